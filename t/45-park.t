# 45-park.t - requests that wait without a worker: however they wait, clients
# and providers see the same; and who is slow or silent costs no thread.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use Compress::Zlib ();
use Fcntl qw(F_SETFD);
use IO::Socket::INET;
use POSIX ();

my $path = '/v1/chat/completions';
my @modes = qw(off auto always);
my $mock = mock();

# The same provider behind TLS.
my $front = httpd(tls => 1, module => 0, access_log => 0,
    modules => [qw(proxy proxy_http)], conf => <<"END");
ThreadsPerChild 64
MaxRequestWorkers 128
Timeout 60
ProxyPass /v1 @{[ $mock->base('/v1') ]} flushpackets=on
END

# ---- servers

# One child, and few threads where waiting does not take them: `auto` parks
# at once as soon as more than half of them are busy.
sub threads { return $_[0] eq 'off' ? 32 : 4 }

sub mpm_conf
{
    my ($mpm, $threads) = @_;

    return '' if $mpm eq 'prefork';
    return join "\n", 'ServerLimit 1', "ThreadsPerChild $threads",
        "MaxRequestWorkers $threads",
        $mpm eq 'event' ? 'AsyncRequestWorkerFactor 100' : (), '';
}

sub provider
{
    my ($name, $base, @more) = @_;
    return join "\n", "<LLMuxProvider $name>", 'LLMuxType openai',
        "LLMuxBaseURL $base", 'LLMuxAPIKey sk-x',
        (grep { /LLMuxRetries/ } @more) ? () : 'LLMuxRetries 0', @more,
        "</LLMuxProvider>\n";
}

my $behind_tls = 'https://localhost:' . $front->tls_port . '/v1';
my $providers = join '',
    provider('mock', $mock->base('/v1')),
    provider('safe', $behind_tls, 'LLMuxCAFile ' . $front->certificate),
    map { provider("hasty$_->[0]", $mock->base('/v1'), "$_->[1] 700ms") }
        [1, 'LLMuxFirstByteTimeout'], [2, 'LLMuxSilenceTimeout'],
        [3, 'LLMuxTotalTimeout'];

# Options: threads, mpm, tls, modules, conf.
sub server
{
    my ($mode, %opt) = @_;
    my $mpm = $opt{mpm} // 'event';

    return httpd(tls => 1, mpm => $mpm,
        modules => ['status', @{ $opt{modules} || [] }],
        conf => mpm_conf($mpm, $opt{threads} // threads($mode)) . <<"END");
LLMuxPark $mode
LLMuxDirect on
$providers
<Location "/">
    SetHandler llmux
</Location>
<Location "/quick">
    SetHandler llmux
    LLMuxHeartbeat 500ms
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
@{[ $opt{conf} // '' ]}
END
}

# What a full child is told, and providers that fail because they were asked.
my @allowed = (qr/AH00484|AH00485|AH10159|AH03490/, qr/LX0021/);

sub finish
{
    my ($server, @allow) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    # Gracefully takes seconds, for the sake of idle clients. Not while a
    # worker closes a connection: httpd's own race ends in a crash then.
    sleep 0.1;
    $server->stop('TERM');
    my @problems = $server->problems(allow => [@allowed, @allow]);
    is_deeply \@problems, [], 'nothing untoward in its log';
    $server->remove if !@problems;
    return;
}

# ---- what a server says of itself

sub status
{
    my ($server) = @_;
    my %status = get($server, '/server-status?auto')->body
        =~ /^(\w+): (\d+)$/mg;
    return \%status;
}

sub parked_is
{
    my ($server, $n, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $status;

    ok wait_until(4, sub {
        $status = status($server);
        return ($status->{LLMuxParked} // -1) == $n;
    }), $what or diag "parked: $status->{LLMuxParked}";
    return;
}

# Its own page is the one request that works.
sub settles
{
    my ($server, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $now;

    wait_until(5, sub {
        my $status = status($server);
        $now = join ' ', map { "$_=" . ($status->{$_} // '?') }
            qw(LLMuxInFlight LLMuxParked BusyWorkers);
        return $now eq 'LLMuxInFlight=0 LLMuxParked=0 BusyWorkers=1';
    });
    is $now, 'LLMuxInFlight=0 LLMuxParked=0 BusyWorkers=1',
        "$what: nothing is left";
    return;
}

sub resident
{
    my $sum = 0;
    slurp("/proc/$_/status") =~ /^VmRSS:\s+(\d+)/m and $sum += $1
        for $_[0]->children;
    return $sum;
}

# Connections that stand to that port of this machine.
sub links_to
{
    my $end = sprintf '0100007F:%04X', $_[0];
    return scalar grep { my @f = split; @f > 3 && $f[2] eq $end
                         && $f[3] eq '01' } split /\n/, slurp('/proc/net/tcp');
}

# ---- questions and answers

my $so_far = 0;

sub new_id { return 'q' . ++$so_far . 'q' }

# A question as bytes, for those who send several at once.
sub question
{
    my ($model, $text, $stream) = @_;
    my $body = to_json(chat($model, $text, $stream ? (stream => true) : ()));

    return "POST $path HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        . "application/json\r\nContent-Length: " . length($body)
        . "\r\n\r\n$body";
}

sub ask
{
    my ($c, $model, $text, $stream, %opt) = @_;
    return $c->send_request(POST => $opt{at} // $path,
        headers => { 'X-Request-ID' => $text =~ s/ .*//sr,
                     %{ $opt{headers} || {} } },
        body => chat($model, $text, $stream ? (stream => true) : ()));
}

sub said
{
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json} && $_->{json}{choices} } $_[0]->events;
}

# Everything that was to be said, and a proper end. Gives what is wrong.
sub flaw
{
    my ($res, $text, $stream) = @_;

    return $res->error if defined $res->error;
    return 'status ' . $res->status if $res->status != 200;
    if (!$stream) {
        my $got = eval { $res->json->{choices}[0]{message}{content} } // '';
        return $got eq $text ? () : "whole: '$got'";
    }
    return 'no end' if $res->body !~ /\ndata: \[DONE\]\n\n\z/;
    return said($res) eq $text ? () : "stream: '" . said($res) . "'";
}

sub quickly
{
    my ($server, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($id, $began) = (new_id(), time);
    my @flaws = flaw(post($server, $path, chat('mock/m', $id)), $id);

    is_deeply \@flaws, [], "$what: another request is answered";
    cmp_ok time - $began, '<', patience(0.5), "$what: ... at once";
    return;
}

# How many letters of a flood came through; parsing takes too long.
sub flooded
{
    my $body = $_[0]->body;
    my $n = 0;
    $n += length $1 while $body =~ /"(x+)"/g;
    return $n;
}

# ---- lines that can be cut like a plain one, though a TLS client uses them

my $line_program = <<'END';
use Socket;
my ($fd, $port, $size, $pace) = map { $_ + 0 } @ARGV;
open my $listener, '+<&=', $fd or die;
accept my $near, $listener or die;
close $listener;
socket my $far, PF_INET, SOCK_STREAM, 0 or die;
setsockopt $far, SOL_SOCKET, SO_RCVBUF, $size and
    setsockopt $near, SOL_SOCKET, SO_SNDBUF, $size if $size;
connect $far, sockaddr_in($port, INADDR_LOOPBACK) or die;
$SIG{PIPE} = 'IGNORE';
$SIG{USR1} = sub {
    setsockopt $far, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    exit;
};
$SIG{USR2} = sub { shutdown $far, 1 };
$SIG{HUP} = sub { $pace = 0 };
while (1) {
    my ($r, $n) = '';
    vec($r, fileno $_, 1) = 1 for $near, $far;
    next if select($r, undef, undef, undef) < 0;
    for ([$near, $far], [$far, $near]) {
        my ($from, $to) = @$_;
        next if !vec $r, fileno $from, 1;
        my $n = sysread $from, my $bytes, $size || 16384;
        next if !defined $n;
        select undef, undef, undef, $pace if $pace && $from == $far;
        exit if !$n;
        while (length $bytes) {
            my $n = syswrite $to, $bytes;
            exit if !defined $n && !$!{EINTR};
            substr $bytes, 0, $n // 0, '';
        }
    }
}
END

my @lines;

# A TLS client behind one of them, and the line's process: USR1 resets it,
# USR2 half closes it, STOP stops all. With a size its buffers are small; with
# a pace it takes as many bytes in so many seconds, until HUP.
sub cuttable
{
    my ($server, $size, $pace) = @_;
    my $listener = IO::Socket::INET->new(Listen => 1,
        LocalAddr => '127.0.0.1') or die "listen: $!\n";
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        fcntl $listener, F_SETFD, 0;
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec $^X, '-e', $line_program, fileno $listener, $server->tls_port,
            $size // 0, $pace // 0 or POSIX::_exit(127);
    }
    push @lines, $pid;
    return (client($listener->sockport, tls => 1), $pid);
}

END {
    local $?;
    kill $_ => @lines for qw(TERM CONT);
    waitpid $_, 0 for @lines;
}

# ---- silences longer than Timeout: they begin now and are looked at last

my @silences;

for my $mode (@modes) {
    my $server = server($mode, modules => ['http2'], conf => <<'END');
Timeout 2
Protocols h2 http/1.1
END
    my @cases = (
        ['before the head', 'mock/m+stall=6.5', 1],
        ['whole', 'mock/m+stall=6.5', 0],
        ['in the middle', 'mock/m+stall_after=3,6.5', 1],
        ['a provider behind TLS', 'safe/m+stall_after=3,6.5', 1],
        ['whole, behind TLS', 'safe/m+stall=6.5', 0],
        ['client with TLS', 'mock/m+stall_after=3,6.5', 1, 'tls'],
        ['TLS, whole', 'mock/m+stall=6.5', 0, 'tls'],
    );
    my @waiting = map {
        my ($what, $model, $stream, $tls) = @$_;
        my $text = new_id() . ' two three four';
        my $c = client($server, tls => $tls);
        ask($c, $model, $text, $stream, at => "/quick$path");
        [$what, $stream, $c, $text];
    } @cases;
    my @h2 = ('curl', '-sS', '-q', '--http2', '--max-time', patience(30),
        '-H', 'Content-Type: application/json', '--cacert',
        $server->certificate, '-w', ' version %{http_version}', '-d',
        to_json(chat('mock/m+stall_after=3,6.5', 'over http2',
                     stream => true)), $server->tls_url . "/quick$path");
    open my $h2, '-|', @h2 or die "curl: $!\n";
    push @silences, [$mode, $server, \@waiting, $h2];
}

# ----------------------------------------------------------------------

# Four connections at the same time, so that `auto` does both; and threads
# enough for them: when all are busy, httpd closes idle connections.
sub connections
{
    my ($server) = @_;
    return map { { what => "$_->[0] to $_->[1]", model => "$_->[1]/m",
                   client => client($server, tls => $_->[0] eq 'TLS') } }
        ['plain', 'mock'], ['plain', 'safe'], ['TLS', 'mock'],
        ['TLS', 'safe'];
}

for my $mode (@modes) {
    subtest "$mode: one after the other on a connection" => sub {
        my $server = server($mode, threads => 6);
        my @connections = connections($server);
        my @flaws;

        for my $stream (1, 0, 1, 1, 0, 0) {
            $_->{text} = new_id() . ' two three four five',
                ask($_->{client}, "$_->{model}+gap=20", $_->{text}, $stream)
                for @connections;
            for my $s (@connections) {
                push @flaws, map { "$s->{what}: $_" }
                    flaw($s->{client}->read, $s->{text}, $stream);
            }
        }
        is_deeply \@flaws, [], 'streams and whole answers in turn';

        # The whole lot in one write: over TLS, in one record.
        my $began = time;
        for my $s (@connections) {
            $s->{texts} = [map { new_id() } 1 .. 4];
            $s->{client}->send(join '', map { question(
                "$s->{model}+stall=0.15", $s->{texts}[$_], $_ % 2) } 0 .. 3);
        }
        for my $s (@connections) {
            push @flaws, map { "$s->{what}: $_" } map {
                flaw($s->{client}->read, $s->{texts}[$_], $_ % 2) } 0 .. 3;
        }
        is_deeply \@flaws, [], 'four in one write, in their order';
        cmp_ok time - $began, '<', patience(1.3), '... without delay';

        # While the first is being answered.
        $_->{texts} = [new_id() . ' b c d e f', new_id()],
            ask($_->{client}, "$_->{model}+gap=60", $_->{texts}[0], 1)
            for @connections;
        for my $s (@connections) {
            $s->{client}->read(until => sub { length said($_[0]) });
            $s->{client}->send(question($s->{model}, $s->{texts}[1], 0));
        }
        $began = time;
        for my $s (@connections) {
            push @flaws, map { "$s->{what}: $_" }
                flaw($s->{client}->read, $s->{texts}[0], 1),
                flaw($s->{client}->read, $s->{texts}[1], 0);
        }
        is_deeply \@flaws, [], 'one that comes in the middle of a stream';
        cmp_ok time - $began, '<', patience(1), '... without delay';
        $_->{client}->close for @connections;
        settles($server, 'after it');
        finish($server);
    };
}

# ---- more streams than threads

# How many of them have their first word, after that time at the latest.
sub begun
{
    my ($secs, @streams) = @_;
    my $n;

    wait_until($secs, sub {
        $_->[0]->look(0) for @streams;
        $n = grep { my ($id) = split / /, $_->[1]; $_->[0]{in} =~ /$id/ }
            @streams;
        return $n == @streams;
    });
    return $n;
}

sub hold_60
{
    my ($server, $model) = @_;
    my @streams = map { [client($server), new_id() . ' two three'] } 1 .. 60;

    ask($_->[0], $model, $_->[1], 1) for @streams;
    return @streams;
}

subtest 'off: 60 streams on four threads' => sub {
    my $server = server('off', threads => 4);
    my @streams = hold_60($server, 'mock/m+stall_after=2,30');

    sleep patience(1);
    is begun(0.01, @streams), 4,
        'four have begun, the others wait for a thread';
    $_->[0]->abort for @streams;
    settles($server, 'after it');
    finish($server);
};

subtest 'auto, always: 60 streams on four threads' => sub {
    my %servers = map { $_ => server($_, threads => 4) } qw(auto always);
    my $began = time;
    my %streams = map { $_ => [hold_60($servers{$_},
        'mock/m+stall_after=2,2.5')] } keys %servers;

    for my $mode (sort keys %servers) {
        is begun(2, @{ $streams{$mode} }), 60, "$mode: all have begun";
        is scalar(grep { $_->[0]{in} =~ /DONE/ } @{ $streams{$mode} }), 0,
            "$mode: ... before one ended";
        quickly($servers{$mode}, "$mode, meanwhile");
    }
    for my $mode (sort keys %servers) {
        my @flaws = map { flaw($_->[0]->read, $_->[1], 1) }
            @{ $streams{$mode} };
        is_deeply \@flaws, [], "$mode: and all are complete";
    }
    cmp_ok time - $began, '<', patience(4.5), '... at the same time';
    for my $mode (sort keys %servers) {
        settles($servers{$mode}, $mode);
        finish($servers{$mode});
    }
};

subtest 'auto: a worker for a second, while there are many' => sub {
    my $server = server('auto', threads => 8);
    my $c = client($server);

    ask($c, 'mock/m+stall=2', my $id = new_id(), 0);
    sleep 0.4;
    is status($server)->{LLMuxParked}, 0, 'at first it waits in its worker';
    sleep 1;
    is status($server)->{LLMuxParked}, 1, 'then it is parked';
    is_deeply [flaw($c->read, $id)], [], 'and answered';
    finish($server);
};

# ---- clients that leave

my %leave = (
    FIN  => [sub { $_[0]->close }, sub { $_[0]->close }],
    RST  => [sub { $_[0]->abort }, sub { kill USR1 => $_[1] }],
    half => [sub { $_[0]->half_close }, sub { kill USR2 => $_[1] }],
);

for my $mode (@modes) {
    subtest "$mode: the client leaves" => sub {
        my $server = server($mode);
        my @leavers;

        for my $tls (0, 1) {
            for my $way (sort keys %leave) {
                for my $model ('m+stall=30', 'm+stall_after=3,30') {
                    my ($c, $line) = $tls ? cuttable($server)
                        : client($server);
                    my $id = new_id();
                    ask($c, "mock/$model", "$id two three", 1);
                    push @leavers, { id => $id, client => $c,
                        model => $model, what => join(' ', $tls ? 'TLS'
                            : 'plain', $way, $model),
                        leave => sub { $leave{$way}[$tls]->($c, $line) } };
                }
            }
        }
        for my $l (grep { $_->{model} =~ /after/ } @leavers) {
            $l->{client}->read(until => sub { length said($_[0]) });
        }
        ok wait_until(5, sub {
            my %asked = map { $_->{body} =~ /(q\d+q)/ ? ($1 => 1) : () }
                $mock->requests;
            return !grep { !$asked{ $_->{id} } } @leavers;
        }), 'the provider has all requests';
        parked_is($server, $mode eq 'off' ? 0 : 12,
            $mode eq 'off' ? 'none is parked' : 'all are parked');
        for my $l (@leavers) {
            $l->{left} = time;
            $l->{leave}->();
            sleep 0.03;
        }
        my %ended;
        wait_until(3, sub {
            %ended = map { $_->{body} =~ /(q\d+q)/ && $_->{how}
                           ? ($1 => $_) : () } $mock->requests;
            return !grep { !$ended{ $_->{id} } } @leavers;
        });
        my @late = map {
            my $end = $ended{ $_->{id} };
            my $took = $end ? $end->{ended_at} - $_->{left} : 99;
            $took < patience(0.25) && $end->{how} eq 'peer_closed' ? ()
                : sprintf '%s: %s after %.3f s', $_->{what},
                    $end ? $end->{how} : 'never', $took;
        } @leavers;
        is_deeply \@late, [], 'within 250 ms the provider is let go';
        settles($server, 'after it');
        my $metrics = get($server, '/metrics')->body;
        like $metrics, qr/^llmux_http_requests_in_flight 1$/m,
            '/metrics sees only who asks';
        like $metrics, qr/^llmux_http_requests_parked 0$/m,
            '... and nobody parked';
        my %line;
        wait_until(5, sub {
            %line = map { $_->{request_id} ? ($_->{request_id} => $_) : () }
                $server->access_lines;
            return !grep { !$line{ $_->{id} } } @leavers;
        });
        is_deeply [map { my $l = $line{ $_->{id} };
            join ' ', $_->{what}, $l->{end} // '-', $l->{status} // '-' }
            @leavers], [map { "$_->{what} client_gone 499" } @leavers],
            'the log says so';
        finish($server);
    };
}

for my $mode (@modes) {
    subtest "$mode: the client leaves a provider behind TLS" => sub {
        my $server = server($mode);
        my $port = $front->tls_port;
        my $before = links_to($port);
        my @leavers;

        for my $way (sort keys %leave) {
            my $c = client($server);
            ask($c, 'safe/m+stall_after=3,4', new_id() . ' two three', 1);
            $c->read(until => sub { length said($_[0]) });
            push @leavers, [$way, $c];
        }
        is links_to($port), $before + 3, 'three connections to it';
        for my $i (0 .. 2) {
            my ($way, $c) = @{ $leavers[$i] };
            $leave{$way}[0]->($c);
            ok wait_until(0.25, sub {
                return links_to($port) == $before + 2 - $i;
            }), "$way: its connection is closed";
        }
        settles($server, 'after it');
        finish($server);
    };
}

# ---- providers that fail

for my $mode (@modes) {
    subtest "$mode: the provider breaks off" => sub {
        my $server = server($mode, threads => 16);
        my $text = ' two three four';
        # what, model, stream, what is said, and how it ends
        my @cases = (
            ['a reset in the middle', 'mock/m+reset=3', 1, 'broken'],
            ['a cut in the middle', 'mock/m+cut=3', 1, 'broken'],
            ['... behind TLS', 'safe/m+cut=3', 1, 'broken'],
            ['a reset after a while', 'mock/m+gap=100+reset=3', 1, 'broken'],
            ['a whole one cut', 'mock/m+cut=0', 0, 502],
            ['a reset before the head', 'mock/m+reset', 1, 502],
            ['a late one', 'mock/m+stall=0.3+reset', 0, 502],
            ['byte by byte', 'mock/m+dribble=1,1', 1, 'whole'],
            ['... behind TLS', 'safe/m+dribble=1,1', 1, 'whole'],
            ['... whole', 'mock/m+dribble=1,1', 0, 'whole'],
            ['... in chunks', 'mock/m+chunked+dribble=1,1', 0, 'whole'],
            ['... to a TLS client', 'mock/m+dribble=1,1', 1, 'whole', 'tls'],
            ['packed', 'mock/m+gzip+dribble=7,1', 1, 'whole'],
        );
        for my $case (@cases) {
            my ($what, $model, $stream, $end, $tls) = @$case;
            my $c = client($server, tls => $tls);
            my $mine = new_id() . $text;
            ask($c, $model, $mine, $stream);
            push @$case, $c, $mine;
        }
        for my $case (@cases) {
            my ($what, $model, $stream, $end) = @$case;
            my ($c, $mine) = @$case[-2, -1];
            my $res = $c->read;
            my @last = ($res->events)[-1];
            my $got = !$res->ok ? $res->error
                : $end eq 'whole' ? join('', flaw($res, $mine, $stream),
                                         'whole')
                : $res->status != 200 ? $res->status
                : $last[0] && $last[0]{json}{error}
                    && said($res) eq $mine =~ s/^(\S+ \S+).*/$1/r
                    && $res->body !~ /\[DONE\]/ ? 'broken' : $res->body;
            is $got, $end, "$what: $end";
            my $id = new_id();
            ask($c, 'mock/m', $id, 0);
            is_deeply [flaw($c->read, $id)], [],
                "$what: the connection works on";
        }
        settles($server, 'after it');
        finish($server);
    };
}

for my $mode (qw(auto always)) {
    subtest "$mode: nobody sleeps while it backs off" => sub {
        my $server = server($mode, conf => <<"END");
LLMuxBackoff 800ms
LLMuxAttempts 4
@{[ provider('moody', $mock->base('/v1'), 'LLMuxRetries 2') ]}
<LLMuxModel moody>
    LLMuxDeployment moody moody
    LLMuxFallback spare
</LLMuxModel>
<LLMuxModel spare>
    LLMuxDeployment moody spare
</LLMuxModel>
END
        # Both fail once for all, so that all come back to one of them.
        my $n = 24;
        $mock->rules({ model => '^(?:moody|spare)$', times => 2 * $n,
                       do => 503 });
        my @waiting = map { [client($server), new_id(), $_ % 2] } 1 .. $n;
        my $began = time;
        ask($_->[0], 'moody', @$_[1, 2]) for @waiting;
        # `auto` lets half of the workers wait.
        parked_is($server, $mode eq 'auto' ? $n - 2 : $n, 'they are parked');
        quickly($server, 'meanwhile');
        my @flaws = map { flaw($_->[0]->read, @$_[1, 2]) } @waiting;
        my $took = time - $began;
        is_deeply \@flaws, [], 'they are answered in the end';
        cmp_ok $took, '>', 0.6, 'after their pauses';
        cmp_ok $took, '<', patience(2), '... which they had together';
        my %by;
        $by{$_}++ for map { $_->{attempts} } grep { $_->{attempts} }
            $server->access_lines($n + 2);
        is_deeply \%by, { 1 => 1, 3 => $n }, 'at the third attempt';
        $mock->rules;
        settles($server, 'after it');
        finish($server);
    };
}

subtest 'a provider has its time, and no more' => sub {
    my @servers = map { [$_, server($_)] } @modes;
    my @cases = (
        ['no first byte', 'hasty1/m+stall=20', 1, 0.7],
        ['no first byte, whole', 'hasty1/m+stall=20', 0, 0.7],
        ['silent', 'hasty2/m+stall_after=3,20', 1, 0.7],
        ['in all', 'hasty3/m+gap=200', 1, 0.7],
        ['... whole', 'hasty3/m+stall=20', 0, 0.7],
    );
    my @waiting;
    for my $s (@servers) {
        for my $case (@cases) {
            my $c = client($s->[1]);
            my $id = new_id();
            ask($c, $case->[1], "$id b c d e f g h", $case->[2]);
            push @waiting, ["$s->[0]: $case->[0]", $id, $c];
        }
    }
    my @wrong;
    for my $w (@waiting) {
        my $res = $w->[2]->read(timeout => 5);
        my ($last) = reverse grep { $_->{json} } $res->events;
        my $error = ($res->json // $last->{json} // {})->{error} || {};
        my $code = $error->{code} // $res->error // 'none';
        push @wrong, "$w->[0]: $code" if $code ne 'upstream_timeout';
    }
    is_deeply \@wrong, [], 'all are told that it was the provider';
    my %ended;
    wait_until(2, sub {
        %ended = map { $_->{body} =~ /(q\d+q)/ && $_->{how} ? ($1 => $_)
                       : () } $mock->requests;
        return !grep { !$ended{ $_->[1] } } @waiting;
    });
    my @times = map { $ended{ $_->[1] }
        ? $ended{ $_->[1] }{ended_at} - $ended{ $_->[1] }{at} : 99 } @waiting;
    is scalar(grep { $_ > 0.5 && $_ < patience(1.1) } @times),
        scalar(@waiting), 'and the provider is let go in time'
        or diag "@times";
    for my $s (@servers) {
        settles($s->[1], $s->[0]);
        finish($s->[1]);
    }
};

# ---- clients that take their time

# Reads some of what is there and no more, as `look` would.
sub sip
{
    my ($c, $n) = @_;
    my $got = sysread $c->{socket}, $c->{in}, $n, length $c->{in};

    $c->{closed} ||= 'closed' if defined $got && !$got;
    return $got // 0;
}

my %flood = (n => 100, size => 10_000);

# Streams and whole answers of 1 MB, read at some 32 KB/s at first; streams
# of 40 MB, in events that are longer than what httpd's last filter holds, and
# a whole answer, which nobody reads.
sub slow_ones
{
    my ($server) = @_;
    my %crowd = (server => $server, before => resident($server), slow => [],
                 stuck => []);

    for my $i (0 .. 7) {
        my $c = client($server, receive_buffer => 16384);
        ask($c, "mock/m+flood=$flood{n},$flood{size}", my $id = new_id(),
            $i % 2);
        push @{ $crowd{slow} }, [$i % 2 ? 'stream' : 'whole', $c, $id];
    }
    for my $stream (0, 1) {
        my ($c, $line) = cuttable($server, 16384, 0.4);
        ask($c, "mock/m+flood=$flood{n},$flood{size}", my $id = new_id(),
            $stream);
        push @{ $crowd{slow} },
            ['TLS ' . ($stream ? 'stream' : 'whole'), $c, $id, $line];
    }
    for my $case (['plain', client($server, receive_buffer => 4096)],
                  ['TLS', cuttable($server, 4096)]) {
        my ($what, $c, $line) = @$case;
        ask($c, 'mock/m+flood=400,100000', my $id = new_id(), 1);
        $c->read(until_head => 1) if $line;
        kill STOP => $line if $line;
        push @{ $crowd{stuck} }, [$what, $c, $id, $line];
    }
    $crowd{whole} = client($server, receive_buffer => 4096);
    ask($crowd{whole}, 'mock/m+flood=20,100000', new_id(), 0);
    return \%crowd;
}

# What may not happen all the time may happen: a worker passes on what came.
sub look_at
{
    my ($crowd) = @_;
    my $server = $crowd->{server};
    my $busy = status($server)->{BusyWorkers};
    my $grown = resident($server) - $crowd->{before};

    $crowd->{busy} = $busy if $busy < ($crowd->{busy} // 99);
    $crowd->{grown} = $grown if $grown > ($crowd->{grown} // 0);
    return;
}

# Several at the same time, so that none is kept waiting; read() ends it.
sub read_together
{
    my %left = map { $_ => $_ } @_;
    my $end = time + patience(15);

    while (%left && time < $end) {
        for my $c (values %left) {
            $c->look(0);
            $c->{response}->feed(\$c->{in}, time);
            delete $left{$c} if $c->{response}->done || $c->{closed};
        }
        sleep 0.005;
    }
    return;
}

# Once their responses are in. Gives what is wrong.
sub flaws_of_slow_ones
{
    my ($crowd) = @_;
    my @flaws;

    for my $s (@{ $crowd->{slow} }) {
        my $c = $s->[1];
        my $res = $c->{response}->done ? $c->{response} : $c->read;
        my $n = flooded($res);
        push @flaws, "$s->[0]: " . $res->error if $res->error;
        push @flaws, "$s->[0]: $n letters" if $n != $flood{n} * $flood{size};
        push @flaws, "$s->[0]: its end" if $s->[0] =~ /stream/
            && ($res->body !~ /\[DONE\]\n\n\z/
                || 1 != (() = $res->body =~ /\[DONE\]/g));
    }
    return @flaws;
}

# The log has the time: the provider's own end comes when it is let go.
sub stuck_ones_are_given_up
{
    my ($crowd) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @stuck = @{ $crowd->{stuck} };
    my %ended;

    ok wait_until(5, sub {
        %ended = map { $_->{body} =~ /(q\d+q)/ && $_->{how} ? ($1 => $_)
                       : () } $mock->requests;
        return !grep { !$ended{ $_->[2] } } @stuck;
    }), 'stuck ones are given up' or return;
    for my $s (@stuck) {
        my $end = $ended{ $s->[2] };
        my $took = $end->{ended_at} - $end->{at};
        is $end->{how}, 'peer_closed', "$s->[0]: its provider is let go";
        cmp_ok $took, '>', 2.5, "$s->[0]: ... after Timeout";
        cmp_ok $took, '<', patience(6), "$s->[0]: ... and soon";
        cmp_ok $end->{sent}, '<', 20_000_000,
            "$s->[0]: ... having been held back";
        kill CONT => $s->[3] if $s->[3];
        ok $s->[1]->read->error, "$s->[0]: it can tell that it was cut";
    }
    ok $crowd->{whole}->read->error, 'so can one with a whole answer';
    return;
}

subtest 'slow clients and stuck ones' => sub {
    my %servers = map { $_ => server($_,
        conf => "Timeout 3\nSendBufferSize 16384") } @modes;
    quickly($servers{$_}, $_) for (@modes) x 4;
    my %crowds = map { $_ => slow_ones($servers{$_}) } @modes;

    my @slow = map { @{ $_->{slow} } } values %crowds;
    my $began = time;
    while (time - $began < 4.2) {
        sip($_->[1], 8192) for grep { !$_->[3] } @slow;
        sleep 0.25;
        next if time - $began < 1 || time - $began > 2.6;
        look_at($_) for values %crowds;
        quickly($servers{$_}, "$_, meanwhile") for qw(auto always);
    }
    cmp_ok $crowds{off}{busy}, '>=', 10, 'off: each costs a worker';
    is $crowds{$_}{busy}, 1, "$_: none of them costs a worker"
        for qw(auto always);
    kill HUP => grep { $_ } map { $_->[3] } @slow;
    read_together(map { $_->[1] } @slow);
    my %flaws = map { $_ => [flaws_of_slow_ones($crowds{$_})] } @modes;
    for my $mode (@modes) {
        my $crowd = $crowds{$mode};
        is_deeply $flaws{$mode}, [],
            "$mode: slow ones get every byte, once";
        SKIP: {
            skip 'ASan keeps freed memory: no bound', 1 if $ENV{LLMUX_ASAN};
            # Five whole answers of 1 MB are in memory, and one of 2 MB; each
            # grew in a buffer that doubles.
            cmp_ok $crowd->{grown}, '<', 2 * 7 * 1024 + 6000,
                'kB grown meanwhile';
        }
        stuck_ones_are_given_up($crowd);
        settles($crowd->{server}, 'after it');
        my %line = map { ($_->{request_id} // '') => $_ }
            $crowd->{server}->access_lines;
        is_deeply [map { $line{ $_->[2] }{end} } @{ $crowd->{slow} }],
            [('ok') x 10], 'the log: slow ones had it all';
        is_deeply [map { $line{ $_->[2] }{end} } @{ $crowd->{stuck} }],
            [('client_gone') x 2], '... the stuck ones left';
        finish($crowd->{server});
    }
};

# The provider says so much that it just does not go out at once, and then
# nothing for a while. How much that is depends on the kernel.
for my $mode (@modes) {
    subtest "$mode: nothing stays behind" => sub {
        my $server = server($mode, conf => 'SendBufferSize 16384');
        my @late = map { [4 * $_, client($server, receive_buffer => 16384),
                          new_id()] } 1 .. 30;
        for my $l (@late) {
            my ($n, $c, $id) = @$l;
            ask($c, 'mock/m+flood=200,2000+stall_after=' . ($n + 1) . ',30',
                $id, 1);
        }
        sleep 0.5;
        my $arrived = wait_until(6, sub {
            $_->[1]->look(0) for @late;
            return !grep { $_->[0] > (() = $_->[1]{in} =~ /"x{2000}"/g) }
                @late;
        });
        ok $arrived, 'who was late has all there is as soon as he reads'
            or diag join ' ', map { "$_->[0]: "
                . (() = $_->[1]{in} =~ /"x{2000}"/g) } @late;
        $_->[1]->abort for @late;

        # Long events, the last of them with the end in its wake.
        my @long = map { [$_, client($server, receive_buffer => 16384)] }
            (1) x 6, 3, 3;
        ask($_->[1], "mock/m+flood=$_->[0],90000", new_id(), 1) for @long;
        sleep 0.5;
        read_together(map { $_->[1] } @long);
        is_deeply [map {
            my $res = $_->[1]{response};
            join ' ', $res->error // 'whole', flooded($res),
                scalar(() = $res->body =~ /\[DONE\]/g);
        } @long], [map { 'whole ' . 90_000 * $_->[0] . ' 1' } @long],
            'nor does an end overtake what was said';
        settles($server, 'after it');
        finish($server);
    };
}

for my $mode (qw(off always)) {
    subtest "$mode: with mod_deflate in the way" => sub {
        my $server = server($mode, modules => ['deflate', 'filter'],
            conf => 'AddOutputFilterByType DEFLATE text/event-stream '
                  . 'application/json');
        my @streams = map { [client($server, tls => $_),
            new_id() . ' b c d e f'] } 0, 0, 0, 1;
        ask($_->[0], 'mock/m+gap=120', $_->[1], 1,
            headers => { 'Accept-Encoding' => 'gzip' }) for @streams;
        my $began = time;
        my %first;
        while (time - $began < patience(0.5)) {
            for my $s (@streams) {
                $s->[0]->look(0.02);
                $first{$s} //= time - $began
                    if $s->[0]{in} =~ /\r\n\r\n./s;
            }
        }
        is scalar(keys %first), 4, 'all begin before they end';
        for my $s (@streams) {
            my $res = $s->[0]->read;
            is $res->header('Content-Encoding'), 'gzip', 'it is packed';
            cmp_ok scalar($res->chunks), '>=', 5, '... event by event';
            my $plain = Compress::Zlib::memGunzip($res->body) // '';
            is said(LLMux::Response->whole(body => $plain, at => 0)),
                $s->[1], '... and complete';
        }
        my $c = client($server);
        ask($c, 'mock/m', my $id = new_id(), 0,
            headers => { 'Accept-Encoding' => 'gzip' });
        my $res = $c->read;
        is from_json(Compress::Zlib::memGunzip($res->body))
            ->{choices}[0]{message}{content}, $id, 'a whole answer, too';
        settles($server, 'after it');
        finish($server);
    };
}

# ---- clients that send slowly

# Some send their bodies in bits, and two of them stop in the middle.
sub tricklers
{
    my ($server) = @_;
    my @all = map { { tls => $_, client => client($server, tls => $_),
                      id => new_id() } } (0) x 8, 1, 1;

    for my $t (@all) {
        $t->{left} = question('mock/m', "$t->{id} b c", 1);
        my $head = $t->{left} =~ /\r\n\r\n/ ? $+[0] : 0;
        $t->{client}->send(substr $t->{left}, 0, $head + 5, '');
    }
    return { server => $server, before => 0, stuck => [@all[0, 9]],
             others => [@all[1 .. 8]] };
}

subtest 'bodies that trickle in' => sub {
    my %crowds = map { $_ => tricklers(server($_, conf => 'Timeout 3')) }
        @modes;

    for my $round (1 .. 10) {
        sleep 0.4;
        $_->{client}->send(substr $_->{left}, 0, 3, '')
            for map { @{ $_->{others} } } values %crowds;
        next if $round < 3 || $round > 5;
        look_at($_) for values %crowds;
        quickly($crowds{$_}{server}, "$_, meanwhile") for qw(auto always);
    }
    cmp_ok $crowds{off}{busy}, '>=', 10, 'off: each costs a worker';
    is $crowds{always}{busy}, 1, 'always: none of them costs a worker';
    cmp_ok $crowds{auto}{busy}, '<=', 3,
        'auto: they take half of the workers, which is not many';
    $_->{client}->send($_->{left})
        for map { @{ $_->{others} } } values %crowds;
    for my $mode (@modes) {
        my $crowd = $crowds{$mode};
        note $mode;
        my @flaws = map { flaw($_->{client}->read, "$_->{id} b c", 1) }
            @{ $crowd->{others} };
        is_deeply \@flaws, [], 'they are answered';
        for my $t (@{ $crowd->{stuck} }) {
            my $res = $t->{client}->read(timeout => 3);
            my $what = $t->{tls} ? 'TLS' : 'plain';
            like $res->error // $res->status, qr/^(?:408|closed|reset)/,
                "$what: who stops in the middle is not waited for";
            ok $t->{client}->wait_closed(3), "$what: ... any longer";
        }
        settles($crowd->{server}, 'after it');
        finish($crowd->{server});
    }
};

# ---- others on the same connection

for my $mode (qw(off always)) {
    subtest "$mode: other handlers, redirects, pages in pages" => sub {
        my $server = server($mode, modules => [qw(rewrite include dir)],
            conf => <<'END');
<Location "/site">
    SetHandler none
    ErrorDocument 404 /v1/models
</Location>
<Directory "__DIR__/htdocs">
    Options +Includes
    RewriteEngine on
    RewriteBase /site
    RewriteRule ^site/moved$ /v1/chat/completions [L]
</Directory>
<LocationMatch "^/site/.*\.shtml$">
    SetOutputFilter INCLUDES
</LocationMatch>
END
        my $docs = $server->dir . '/htdocs/site';
        mkdir $docs;
        spew("$docs/plain.txt", 'a file');
        spew("$docs/page.shtml", '<p><!--#include virtual="/v1/models" -->');
        my @clients = map { client($server, tls => $_) } 0, 0, 1;
        my @wrong;

        for my $c (@clients) {
            ask($c, 'mock/m+gap=20', my $id = new_id() . ' b c', 1);
            push @wrong, 'stream: ' . $_ for flaw($c->read, $id, 1);
            my $res = $c->get('/server-status?auto');
            push @wrong, 'status' if $res->body !~ /^LLMuxParked: /m;
            ask($c, 'mock/m+stall=0.05', $id = new_id(), 0);
            push @wrong, "whole: $_" for flaw($c->read, $id);
            $res = $c->get('/site/plain.txt');
            push @wrong, 'file: ' . ($res->error // $res->body)
                if $res->body ne 'a file';
            $res = $c->get('/site/page.shtml');
            push @wrong, 'page: ' . ($res->error // $res->body)
                if $res->body !~ /^<p>\{.*"object":"list"/s;
            $res = $c->get('/site/nothing');
            push @wrong, 'error page: ' . $res->status . $res->body
                if $res->status != 404 || $res->body !~ /"object":"list"/;
            ask($c, 'mock/m+gap=20', $id = new_id() . ' b c', 1);
            push @wrong, "stream again: $_" for flaw($c->read, $id, 1);
        }
        is_deeply \@wrong, [], 'in turn on one connection';

        # Behind an internal redirect it waits in its worker, whatever is set.
        my @moved = map { [$_, new_id() . ' b c'] } @clients[0, 2];
        ask($_->[0], 'mock/m+gap=20+stall_after=3,0.8', $_->[1], 1,
            at => '/site/moved') for @moved;
        $_->[0]->read(until => sub { length said($_[0]) }) for @moved;
        my $status = status($server);
        is $status->{LLMuxParked}, 0, 'a redirected one is not parked';
        is $status->{LLMuxInFlight}, 2, '... but under way';
        my @flaws = map { flaw($_->[0]->read, $_->[1], 1) } @moved;
        is_deeply \@flaws, [], '... and complete';
        for my $c (@clients[0, 2]) {
            ask($c, 'mock/m+stall=0.1', my $id = new_id(), 0);
            push @flaws, flaw($c->read, $id);
        }
        is_deeply \@flaws, [], 'its connection works on';
        settles($server, 'after it');
        finish($server, qr/AH00128/);
    };
}

# ---- where nothing can be parked

sub wait_in_threads
{
    my ($mpm) = @_;
    my $server = server('always', mpm => $mpm, threads => 16,
                        conf => 'Timeout 1');
    my @cases = map { { %$_, client => client($server, tls => $_->{tls}),
                        text => new_id() . ' b c d' } }
        { model => 'mock/m+stall=3.2', stream => 1 },
        { model => 'mock/m+stall_after=3,3.2', stream => 1, tls => 1 },
        { model => 'safe/m+stall=3.2', stream => 0 },
        { model => 'mock/m+gap=20', stream => 1 };

    ask($_->{client}, @$_{qw(model text stream)}) for @cases;
    return ($server, \@cases);
}

my %others = map { $_ => [wait_in_threads($_)] } qw(worker prefork);

for my $mpm (qw(worker prefork)) {
    subtest "$mpm: LLMuxPark always" => sub {
        my ($server, $cases) = @{ $others{$mpm} };
        like $server->log_text, qr/\[llmux:info\].*LX0107: .*keep their/,
            'the log says that it cannot';
        my $gone = client($server);
        ask($gone, 'mock/m+stall_after=3,30', my $id = new_id() . ' b c', 1);
        $gone->read(until => sub { length said($_[0]) });
        is status($server)->{LLMuxParked}, 0, 'none is parked';
        my $left = time;
        $gone->abort;
        my $took = wait_until(2, sub {
            my ($r) = grep { $_->{body} =~ /$id/ } $mock->requests;
            return $r->{how} && $r->{ended_at} - $left;
        });
        cmp_ok $took || 99, '<', patience(0.25), 'who leaves is noticed';
        my @flaws = map { flaw($_->{client}->read, @$_{qw(text stream)}) }
            @$cases;
        is_deeply \@flaws, [], 'silences are waited for';

        my $c = $cases->[-1]{client};
        my @texts = map { new_id() } 1 .. 4;
        $c->send(join '', map { question('mock/m+stall=0.1', $texts[$_],
                                         $_ % 2) } 0 .. 3);
        is_deeply [map { flaw($c->read, $texts[$_], $_ % 2) } 0 .. 3], [],
            'four in one write';
        finish($server);
    };
}

# ---- the silences that began at first

for my $s (@silences) {
    my ($mode, $server, $waiting, $h2) = @$s;
    subtest "$mode: three times Timeout without a word" => sub {
        for my $w (@$waiting) {
            my ($what, $stream, $c, $text) = @$w;
            my $res = $c->read;
            is_deeply [flaw($res, $text, $stream)], [], "$what: it is there";
            my $beats = grep { defined $_->{comment} } $res->events;
            cmp_ok $beats, '>=', 8, "$what: with heartbeats" if $stream;
        }
        my $text = do { local $/; <$h2> };
        like $text, qr/over.*http2.*\[DONE\].*version 2$/s, 'HTTP/2: too';
        close $h2;
        unlike $server->log_text, qr/LX0107/,
            'the event MPM has nothing to excuse';
        settles($server, 'after it');
        my $took = (sort { $a <=> $b } map { $_->{duration_ms} // 0 }
                    grep { ($_->{path} // '') =~ /chat/ }
                    $server->access_lines)[0];
        cmp_ok $took, '>=', 6400, 'none took less than the provider'
            or diag $took;
        finish($server);
    };
}

$front->stop('TERM');
is_deeply [$front->problems(allow => [qr/proxy/])], [],
    'nothing untoward in the log of the provider behind TLS';
$front->remove;
done_clean();
done_testing;
