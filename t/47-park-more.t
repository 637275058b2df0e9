# 47-park-more.t - requests that wait without a worker, where it is harder:
# clients with HTTP/2, providers whose TLS goes wrong, a storm over TLS, other
# modules' filters and handlers, and an httpd that cannot watch who is parked.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use Compress::Zlib ();
use Fcntl qw(F_SETFD);
use IO::Socket::INET;
use LLMux::Park;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my $mock = mock();

# ---- what is made for this test

my $made = temp_dir('park');
my $orders = temp_dir('faults');
my @started;

END {
    local $?;
    kill TERM => @started;
    waitpid $_, 0 for @started;
    drop_dir($_) for $made, $orders;
}

sub compile
{
    my ($name, $out, @more) = @_;
    my ($status, $said) = run([$ENV{CC} || 'cc', qw(-std=gnu99 -O1 -g),
        '-o', "$made/$out", tree() . "/t/tools/park/$name", @more]);

    die "$name: $said\n" if $status ne '0';
    return "$made/$out";
}

my $faults = compile('faults.c', 'faults.so', qw(-shared -fPIC -ldl));
my $crooked = compile('crooked.c', 'crooked', qw(-lssl -lcrypto));

# A TLS door to the mock provider that goes wrong as the path says.
sub crooked_door
{
    my $listener = IO::Socket::INET->new(Listen => 64,
        LocalAddr => '127.0.0.1') or die "listen: $!\n";
    my ($status, $out) = run([
        qw(openssl req -x509 -nodes -days 1 -newkey ec),
        qw(-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost),
        '-addext', 'subjectAltName=DNS:localhost',
        '-addext', 'basicConstraints=critical,CA:FALSE',
        '-keyout', "$made/door.key", '-out', "$made/door.crt"]);
    die "openssl: $out\n" if $status ne '0';
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        fcntl $listener, F_SETFD, 0;
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec $crooked, fileno $listener, $mock->port, "$made/door.crt",
            "$made/door.key" or POSIX::_exit(127);
    }
    push @started, $pid;
    return 'https://localhost:' . $listener->sockport;
}

my $door = crooked_door();

# ---- servers

# Options: as of park_server(). Some providers fail because they were asked.
sub server
{
    my ($mode, %opt) = @_;

    return park_server($mode, threads => 16, allow => [qr/LX0021/],
        providers => provider('mock', $mock->base('/v1'))
            . provider('safe', "$door/v1", "LLMuxCAFile $made/door.crt"),
        %opt, conf => "KeepAliveTimeout 20\n" . ($opt{conf} // ''));
}

# ---- what became of questions

# How long after $since the last of these (ids) let its provider go; nothing
# if not all have.
sub let_go
{
    my ($since, @ids) = @_;
    my $ended = ended($mock, @ids);
    my @left = map { $_->{ended_at} } grep { defined } @$ended{@ids};
    my ($last) = sort { $b <=> $a } @left;

    return @left == @ids ? $last - $since : undef;
}

# How these requests ended by the access log, in their order.
sub logged
{
    my ($server, @ids) = @_;
    return [map { $_->{end} // 'no line' } lines_of($server, @ids)];
}

# ----------------------------------------------------------------------

# ---- descriptors that cannot be watched

# Beside what the sanitizers want loaded first.
sub preloaded
{
    my $there = LLMux::Httpd::environment({ dir => $orders })->{LD_PRELOAD};
    return { LD_PRELOAD => join(' ', grep { defined } $there, $faults),
             LLMUX_FAULTS => $orders };
}

# What is to become of those that are to be watched from now on.
sub order
{
    my ($name, $letters) = @_;
    spew("$orders/$name", $letters);
    chmod 0666, "$orders/$name";
    return;
}

sub heeded { return slurp("$orders/$_[0]") }

# A child whose httpd cannot watch a connection closes it, and httpd then lets
# the child finish what it has and replaces it.
subtest 'httpd cannot watch who is to be parked' => sub {
    order('bad', '');
    my $server = server('always', children => 3, env => preloaded());
    my ($child) = $server->children;
    my @others = map { { client => client($server, tls => $_->[1]),
        model => "$_->[0]/m+stall_after=3,5",
        text => new_id() . ' two three four' } }
        (['mock', 0]) x 4, (['safe', 0]) x 2, (['mock', 1]) x 2;
    my @cases = (
        ['a stream', 'mock/m+gap=150', 1, 0, 'closed early'],
        ['a stream, TLS', 'mock/m+gap=150', 1, 1, 'closed early'],
        ['a provider behind TLS', 'safe/m+gap=150', 1, 0, 'closed early'],
        ['both behind TLS', 'safe/m+gap=150', 1, 1, 'closed early'],
        ['a head in bits', 'mock/m+dribble=8,150', 1, 0, 'closed'],
        ['... whole', 'mock/m+dribble=8,150', 0, 0, 'closed'],
        ['... TLS', 'mock/m+dribble=8,150', 0, 1, 'closed'],
        ['... behind TLS', 'safe/m+dribble=8,150', 0, 0, 'closed'],
    );

    ask($_->{client}, $_->{model}, $_->{text}, 1) for @others;
    parks($server, 8, 'others are parked');
    my $before = settled(sub { descriptors($server) });
    for my $case (@cases) {
        my ($what, $model, $stream, $tls) = @$case;
        my $c = client($server, tls => $tls);
        my $id = new_id();
        ask($c, $model, join(' ', $id, 'a' .. 'z'), $stream);
        push @$case, $id, $c;
    }
    $_->[6]->read(until => sub { length said($_[0]) })
        for grep { $_->[4] eq 'closed early' } @cases;
    parks($server, 16, 'so are they');
    order('eventpoll', 'msmsmsms');
    my $began = time;
    for my $case (@cases) {
        my ($what, $end, $res) = ($case->[0], $case->[4],
                                  $case->[6]->read(timeout => 3));
        is $res->error, $end, "$what: it is cut";
    }
    cmp_ok time - $began, '<', patience(1), '... at once';
    is heeded('eventpoll'), 'MSMSMSMS', 'because they could not be watched';
    my @ids = map { $_->[5] } @cases;
    cmp_ok let_go($began, @ids) // 99, '<', patience(1),
        'their providers are let go';
    is_deeply logged($server, @ids), [('client_gone') x 8],
        'each has its line in the log';
    ok kill(0 => $child), 'the child lives';
    # It listens no more.
    cmp_ok settled(sub { scalar(() = glob "/proc/$child/fd/*") }), '<=',
        $before, 'they leave no descriptor behind';
    is slurp("$orders/bad"), '', 'nobody closed what was not his';
    parks($server, 8, 'the others are still parked');
    is_deeply [map { flaw($_->{client}->read, $_->{text}, 1) } @others], [],
        '... and complete';
    $_->{client}->close for @others;
    ok wait_until(4, sub { !kill 0 => $child }), 'then the child goes';
    is slurp("$orders/bad"), '', 'still nobody closed what was not his';
    settles($server, 'after it');
    is scalar(() = $server->log_text =~ /AH10503/g), 8, 'httpd says why';
    finish($server, qr/AH10503/);
};

subtest 'we cannot watch: a worker waits' => sub {
    order('bad', '');
    unlink "$orders/eventpoll";
    order('timerfd', '.');
    my $server = server('always', env => preloaded());
    my @clients = map { client($server, tls => $_) } 0, 0, 1;
    my $turn = sub {
        my ($model) = @_;
        my @texts = map { new_id() . ' b c d e' } @clients;
        ask($clients[$_], "$model+gap=40", $texts[$_], 1) for 0 .. 2;
        return map { flaw($clients[$_]->read, $texts[$_], 1) } 0 .. 2;
    };

    is_deeply [map { $turn->($_) } qw(mock/m safe/m)], [], 'it works';
    like heeded('timerfd'), qr/,/, '... with clocks';
    $_->close for @clients;
    my $before = settled(sub { descriptors($server) });
    @clients = map { client($server, tls => $_) } 0, 0, 1;
    order('timerfd', 'ms' x 100);
    is_deeply [$turn->('mock/m')], [], 'without clocks, too';
    like heeded('timerfd'), qr/^MSM/, '... for there were none';
    ask($clients[0], 'mock/m+stall=0.6', my $id = new_id(), 0);
    sleep 0.2;
    is status($server)->{LLMuxParked}, 0, 'it is not parked';
    is_deeply [flaw($clients[0]->read, $id)], [], '... but answered';
    my $left = time;
    ask($clients[1], 'mock/m+stall_after=2,30', $id = new_id() . ' b', 1);
    $clients[1]->read(until => sub { length said($_[0]) });
    $clients[1]->abort;
    cmp_ok let_go($left, $id =~ /^(\S+)/) // 99, '<', patience(0.5),
        '... and who leaves is noticed';
    unlink "$orders/timerfd";
    is_deeply [map { flaw($_->read, $id) } map {
        ask($_, 'mock/m+stall=0.2', $id = new_id(), 0); $_ } $clients[0]],
        [], 'with clocks again';
    $_->close for @clients[0, 2];
    cmp_ok settled(sub { descriptors($server) }), '<=', $before,
        'no descriptor is left behind';
    is slurp("$orders/bad"), '', 'nobody closed what was not his';
    settles($server, 'after it');
    finish($server);
};

# ----------------------------------------------------------------------

# ---- a client with HTTP/2 of its own, who can do what a good one would not

# All of it on one connection. `window`: how much it takes of each stream
# before it is asked again; 0 = it says so itself, with open_window().
sub h2
{
    my ($server, %opt) = @_;
    my $self = { client => $opt{tls} ? h2_over_tls($server)
                     : client($server), next => 1, streams => {},
                 scheme => $opt{tls} ? 'https' : 'http',
                 window => $opt{window} // 65535 };

    # No table of headers, so that there is little to decode.
    $self->{client}->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame(4, 0, 0, pack 'nNnN', 1, 0, 4, $self->{window})
        . frame(8, 0, 0, pack 'N', 1 << 30));
    return $self;
}

# As LLMux::Client does without a library, but it asks for "h2".
sub h2_over_tls
{
    my ($server) = @_;

    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!\n";
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        open STDIN, '<&', $theirs;
        open STDOUT, '>&', $theirs;
        open STDERR, '>', '/dev/null';
        exec qw(openssl s_client -quiet -alpn h2 -connect),
            '127.0.0.1:' . $server->tls_port or POSIX::_exit(127);
    }
    close $theirs;
    $ours->blocking(0);
    return bless { socket => $ours, helper => $pid, in => '', closed => 0,
                   timeout => 20 }, 'LLMux::Client';
}

sub frame
{
    my ($type, $flags, $stream, $payload) = @_;
    my $size = length $payload;
    return pack('CnCCN', $size >> 16, $size & 0xffff, $type, $flags, $stream)
        . $payload;
}

# Short ones only.
sub text_of { return pack 'C/a', $_[0] }

# Begins a stream and gives its number.
sub h2_ask
{
    my ($h2, $model, $text, $stream) = @_;
    my $id = $h2->{next};
    my $body = to_json(chat($model, $text, $stream ? (stream => true) : ()));
    my %fields = ('content-type' => 'application/json',
                  'x-request-id' => $text =~ s/ .*//sr);
    my $head = "\x83" . ($h2->{scheme} eq 'http' ? "\x86" : "\x87")
        . "\x04" . text_of($path) . "\x01" . text_of('localhost')
        . join '', map { "\0" . text_of($_) . text_of($fields{$_}) }
          sort keys %fields;

    $h2->{next} += 2;
    $h2->{streams}{$id} = { body => '', status => 0, text => $text,
                            whole => !$stream };
    $h2->{client}->send(frame(1, 4, $id, $head) . frame(0, 1, $id, $body));
    return $id;
}

# What comes within that time, or until the condition holds.
sub h2_read
{
    my ($h2, $secs, $enough) = @_;
    my $c = $h2->{client};
    my $end = time + patience($secs);

    while (1) {
        h2_frames($h2);
        my $is_enough = $enough && $enough->();
        return $is_enough if $is_enough || $c->{closed} || time > $end;
        $c->look(0.02);
    }
}

# Takes whole frames out of what came in.
sub h2_frames
{
    my ($h2) = @_;
    my $in = \$h2->{client}{in};

    while (length $$in >= 9) {
        my ($high, $low, $type, $flags, $id) = unpack 'CnCCN', $$in;
        my $size = ($high << 16) + $low;
        last if length $$in < 9 + $size;
        my $payload = substr $$in, 9, $size;
        substr $$in, 0, 9 + $size, '';
        h2_take($h2, $type, $flags, $id, $payload);
    }
    return;
}

sub h2_take
{
    my ($h2, $type, $flags, $id, $payload) = @_;
    my $s = $h2->{streams}{$id} || {};

    if ($type == 0) {
        $s->{body} .= $payload;
        open_window($h2, $id, length $payload)
            if $h2->{window} && length $payload && !($flags & 1);
    }
    elsif ($type == 1) {
        $s->{status} ||= h2_status($payload);
    }
    elsif ($type == 3) {
        $s->{error} //= 'reset by ' . unpack 'N', $payload;
        $s->{done} = 1;
    }
    elsif ($type == 4 && !($flags & 1) || $type == 6 && !($flags & 1)) {
        $h2->{client}->send(frame($type, 1, 0, $type == 6 ? $payload : ''));
    }
    elsif ($type == 7) {
        $h2->{goaway} = unpack 'x4N', $payload;
    }
    $s->{done} = 1 if $type <= 1 && $flags & 1;
    return;
}

# The first field, by the tables of RFC 7541.
sub h2_status
{
    my ($block) = @_;
    my %known = (0x88 => 200, 0x8c => 400, 0x8d => 404, 0x8e => 500);
    my %digit = ((map { sprintf('%05b', $_) => $_ } 0 .. 2),
                 (map { sprintf('%06b', 22 + $_) => $_ } 3 .. 9));

    $block =~ s/^[\x20-\x3f]+//;
    my ($first, $how, $text) = unpack 'CCa*', $block;
    return $known{$first} if $known{$first};
    return substr $text, 0, 3 if $how == 3;
    my $bits = unpack 'B*', $text;
    return join '', map { $bits =~ s/^(0000[01]|00010|01\d{4})//
                          ? $digit{$1} // '?' : '?' } 1 .. 3;
}

sub open_window
{
    my ($h2, $id, $size) = @_;
    return $h2->{client}->send(frame(8, 0, $id, pack 'N', $size));
}

sub h2_cancel
{
    my ($h2, @ids) = @_;
    $h2->{streams}{$_}{done} = 1 for @ids;
    return $h2->{client}->send(join '', map { frame(3, 0, $_, pack 'N', 8) }
        @ids);
}

# How these ended, as outcome() would say.
sub h2_outcomes
{
    my ($h2, $secs, @ids) = @_;

    h2_read($h2, $secs, sub { !grep { !$h2->{streams}{$_}{done} } @ids });
    return map {
        my $s = $h2->{streams}{$_};
        my $res = LLMux::Response->whole(body => $s->{body}, at => 0,
            status => $s->{status}, error => $s->{error}
                // ($s->{done} ? undef : 'no end'));
        outcome($res, $s->{text}, !$s->{whole});
    } @ids;
}

sub h2_quickly
{
    my ($h2, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $began = time;

    is join(' ', h2_outcomes($h2, 3, h2_ask($h2, 'mock/m', new_id(), 0))),
        'whole', "$what: another stream is answered";
    cmp_ok time - $began, '<', patience(0.5), "$what: ... at once";
    return;
}

sub id_of { return $_[0]{streams}{ $_[1] }{text} =~ /^(\S+)/ ? $1 : '' }

my $h2_conf = <<'END';
Protocols h2 h2c http/1.1
H2MinWorkers 24
H2MaxWorkers 64
Timeout 3
END

for my $mode (@modes) {
    subtest "$mode: clients with HTTP/2" => sub {
        my $server = server($mode, modules => ['http2'], conf => $h2_conf);
        my @both = map { h2($server, tls => $_) } 0, 1;
        my @names = ('in the clear', 'TLS');

        # Who takes nothing: it is looked at last.
        my $stuck = h2($server, window => 0);
        my $never = h2_ask($stuck, 'mock/m+flood=400,100000', new_id(), 1);

        # Side by side, longer than anybody waits in a worker.
        my @streams = map { my $h2 = $_; [map { h2_ask($h2, $_->[0],
            new_id() . ' b c d e', $_->[1]) }
            ['mock/m+gap=20', 1], ['safe/m+gap=20', 1], ['mock/m', 0],
            ['safe/m', 0], ['mock/m+stall=1.2', 0],
            ['mock/m+stall_after=3,1.2', 1], ['safe/m+stall=1.2', 1],
            ['mock/m+gap=100', 1]] } @both;
        for my $i (0, 1) {
            is_deeply [h2_outcomes($both[$i], 5, @{ $streams[$i] })],
                [('whole') x 8], "$names[$i]: streams side by side";
        }

        # Some are cancelled while others go on.
        for my $i (0, 1) {
            my $h2 = $both[$i];
            my $other = h2_ask($h2, 'mock/m+gap=120', new_id() . ' b c d', 1);
            my @gone = map { h2_ask($h2, $_->[0], new_id() . ' b c d',
                $_->[1]) } ['mock/m+stall=30', 1], ['mock/m+stall=30', 0],
                ['mock/m+stall_after=3,30', 1],
                ['safe/m+stall_after=3,30', 1], ['mock/m+gap=50', 1];
            ok h2_read($h2, 3, sub {
                return !grep { !length $h2->{streams}{$_}{body} }
                    @gone[2, 3, 4];
            }), "$names[$i]: three have begun";
            my @ids = map { id_of($h2, $_) } @gone;
            ok asked($mock, @ids), '... and the provider has all five';
            my $left = time;
            h2_cancel($h2, @gone);
            cmp_ok let_go($left, @ids) // 99, '<', patience(0.5),
                "$names[$i]: cancelled ones let their providers go";
            is_deeply [h2_outcomes($h2, 3, $other)], ['whole'],
                '... the one beside them goes on';
            is_deeply logged($server, @ids), [('client_gone') x 5],
                '... the log says so';
            h2_quickly($h2, $names[$i]);
        }

        # The provider fails.
        my @faults = (['mock/m+reset=3', 1, 'broken'],
            ['mock/m+cut=3', 1, 'broken'], ['safe/m+cut=3', 1, 'broken'],
            ['mock/m+gap=50+reset=3', 1, 'broken'],
            ['safe/m+reset=3', 1, 'broken'], ['mock/m+reset', 1, 502],
            ['mock/m+stall=0.3+reset', 0, 502], ['safe/m+cut=0', 0, 502],
            ['mock/m+dribble=3,1', 1, 'whole'],
            ['safe/m+dribble=3,1', 0, 'whole']);
        for my $i (0, 1) {
            my @ids = map { h2_ask($both[$i], $_->[0], new_id() . ' b c d',
                                   $_->[1]) } @faults;
            is_deeply [h2_outcomes($both[$i], 4, @ids)],
                [map { $_->[2] } @faults], "$names[$i]: the provider fails";
            h2_quickly($both[$i], $names[$i]);
        }

        # Who reads slowly.
        my @slow = map { h2($server, tls => $_, window => 0) } 0, 1;
        my @taken = map { h2_ask($_, 'mock/m+flood=100,10000',
                                 new_id() . ' b', 1) } @slow;
        my @whole = map { h2_ask($_, 'mock/m+flood=30,10000',
                                 new_id() . ' b', 0) } @slow;
        for my $i (0, 1) {
            open_window($slow[$i], $_, 8192) for $taken[$i], $whole[$i];
            h2_read($slow[$i], 0.4);
            h2_quickly($both[$i], "$names[$i], beside slow ones");
            for my $id ($taken[$i], $whole[$i]) {
                my $got = length $slow[$i]{streams}{$id}{body};
                is $got, 8192, 'as much as was asked for';
            }
            open_window($slow[$i], $_, 1 << 24) for $taken[$i], $whole[$i];
        }
        for my $i (0, 1) {
            h2_read($slow[$i], 6, sub {
                return !grep { !$slow[$i]{streams}{$_}{done} }
                    $taken[$i], $whole[$i] });
            is_deeply [map { my $n = 0; my $b = $slow[$i]{streams}{$_}{body};
                $n += length $1 while $b =~ /"(x+)"/g; $n } $taken[$i],
                $whole[$i]], [1_000_000, 300_000], 'in the end all of it';
            like $slow[$i]{streams}{ $taken[$i] }{body},
                qr/\ndata: \[DONE\]\n\n\z/, '... to its end';
        }

        # Connections that die: of a client, and of curl.
        my $curls = new_id();
        my $pid = open(my $curl, '-|', qw(curl -sS -q -N --http2 --cacert),
            $server->certificate, '-H', "X-Request-ID: $curls",
            '-H', 'Content-Type: application/json', '-d',
            to_json(chat('mock/m+stall_after=3,30', "$curls b c d",
                         stream => true)), $server->tls_url . $path)
            or die "curl: $!\n";
        sysread $curl, my $begun, 1000;
        my @orphans = ($curls);
        for my $h2 (@both) {
            my @open = map { h2_ask($h2, $_, new_id() . ' b c d', 1) }
                'mock/m+stall_after=3,30', 'safe/m+stall_after=3,30';
            h2_read($h2, 3, sub {
                !grep { !length $h2->{streams}{$_}{body} } @open });
            push @orphans, map { id_of($h2, $_) } @open;
        }
        my $left = time;
        $_->{client}->abort for @both;
        kill KILL => $pid;
        cmp_ok let_go($left, @orphans) // 99, '<', patience(0.5),
            'connections that die take their streams along';
        is_deeply logged($server, @orphans), [('client_gone') x 5],
            '... the log says so';
        close $curl;

        my ($end) = grep { $_->{body} =~ id_of($stuck, $never) }
            $mock->requests;
        ok wait_until(6, sub {
            ($end) = grep { $_->{n} == $end->{n} } $mock->requests;
            return $end->{how};
        }), 'who takes nothing is given up';
        cmp_ok $end->{sent} // 0, '<', 20_000_000, '... having been held back';
        is_deeply logged($server, id_of($stuck, $never)), ['client_gone'],
            '... the log says so';
        $_->{client}->close for @slow, $stuck;
        settles($server, 'after it');
        finish($server);
    };
}

# ---- providers behind TLS that go wrong

# Before the head, inside it, and inside the body: of a stream between its
# events, or of a whole answer.
my @places = (['before the head', 0], ['inside the head', 40],
              ['inside the body', 620]);

my %what_becomes = (
    (map { $_ => [502, 502, 'broken'] } qw(reset cut bye garbage torn)),
    (map { $_ => [504, 504, 'broken'] } qw(stall half)),
    (map { $_ => [('whole') x 3] } qw(late crumbs)),
);

sub crooked_name { return "$_[0]$_[1]" }

my $crooked_conf = join '', map {
    my $fault = $_;
    my $hasty = $fault =~ /stall|half/ ? '700ms' : '5s';
    map { provider(crooked_name($fault, $_->[1]),
        "$door/fault/$fault,$_->[1]/v1", "LLMuxCAFile $made/door.crt",
        "LLMuxFirstByteTimeout $hasty", "LLMuxSilenceTimeout $hasty") }
    @places;
} sort keys %what_becomes;

for my $mode (@modes) {
    subtest "$mode: a provider whose TLS goes wrong" => sub {
        my $server = server($mode, threads => 64, modules => ['http2'],
                            conf => $h2_conf . $crooked_conf);
        my $h2 = h2($server);
        my (@cases, @wrong);

        for my $fault (sort keys %what_becomes) {
            for my $i (0 .. 2) {
                my ($where, $n) = @{ $places[$i] };
                my $model = crooked_name($fault, $n) . '/m+gap=20';
                push @cases, map { { what => "$fault $where, $_->[0]",
                    model => $model, end => $what_becomes{$fault}[$i],
                    text => new_id() . ' b c d e f g h', how => $_->[0],
                    stream => $_->[1] } } ['plain', 1], ['HTTP/2', 1],
                    $i == 1 ? ['plain whole', 0] : (),
                    $i == 2 ? ['TLS', 1] : ();
            }
        }
        for my $case (@cases) {
            if ($case->{how} eq 'HTTP/2') {
                $case->{id} = h2_ask($h2, @$case{qw(model text stream)});
                next;
            }
            $case->{client} = client($server, tls => $case->{how} eq 'TLS');
            ask(@$case{qw(client model text stream)});
        }
        for my $case (@cases) {
            my $got = $case->{client}
                ? outcome($case->{client}->read(timeout => 8),
                          @$case{qw(text stream)})
                : join '', h2_outcomes($h2, 8, $case->{id});
            push @wrong, "$case->{what}: $got, not $case->{end}"
                if $got ne $case->{end};
        }
        is_deeply \@wrong, [], 'all ' . @cases . ' end as they should';

        # What went wrong is not kept for others.
        my $c = client($server);
        my @flaws = map {
            ask($c, $_ % 2 ? 'safe/m' : 'mock/m', my $id = new_id(), 0);
            flaw($c->read, $id);
        } 1 .. 4;
        is_deeply \@flaws, [], 'the next ones are answered';
        for my $case (grep { $_->{client} } @cases) {
            ask($case->{client}, 'safe/m', my $id = new_id(), 0);
            push @flaws, map { "$case->{what}: $_" }
                flaw($case->{client}->read, $id);
        }
        is_deeply \@flaws, [], '... on the same connections, too';
        h2_quickly($h2, 'HTTP/2');
        settles($server, 'after it');
        finish($server);
    };
}

# ---- a storm

# n clients in 1.5 s, every other with TLS, each for half a second at most;
# they hang up, or die.
sub storm
{
    my ($server, $n) = @_;
    my (@plan, @ids);

    for my $i (1 .. $n) {
        my $tls = $i % 2;
        my ($begin, $life) = (rand 1.5, 0.05 + rand 0.45);
        my $model = ('mock/m+gap=40', 'safe/m+stall=30',
            'mock/m+stall_after=2,30', 'safe/m+gap=40',
            'mock/m+flood=3000,100+gap=5')[$i % 5];
        my $text = new_id() . ' b' x 50;
        my $c;
        push @ids, $text =~ /^(\S+)/;
        push @plan, [$begin, sub {
            $c = client($server, tls => $tls);
            ask($c, $model, $text, 1);
        }], [$begin + $life, sub {
            kill KILL => $c->{helper} if $tls && $i % 4 == 1 && $c->{helper};
            $i % 3 ? $c->close : $c->abort;
        }];
    }
    play(@plan);
    return @ids;
}

subtest 'a storm, half of it over TLS' => sub {
    my $seed = 4713;
    note "seed $seed";
    srand $seed;
    my %servers = map { $_ => server($_) } qw(auto always);
    my %fds;

    for my $round (1 .. 2) {
        for my $mode (sort keys %servers) {
            my $server = $servers{$mode};
            my @ids = storm($server, 70);
            settles($server, "$mode, round $round");
            ok wait_until(3, sub { !grep { !$_->{how} } $mock->requests }),
                "$mode, round $round: no request is left at the provider";
            my %line = map { ($_->{request_id} // '') => $_->{end} }
                $server->access_lines;
            my @ends = grep { defined } @line{@ids};
            cmp_ok scalar(@ends), '>=', 40, '... and most have begun';
            is scalar(grep { $_ ne 'client_gone' } @ends), 0,
                '... of which each was left';
            push @{ $fds{$mode} }, settled(sub { descriptors($server) });
        }
    }
    for my $mode (sort keys %servers) {
        my ($first, $second) = @{ $fds{$mode} };
        cmp_ok $second - $first, '<=', 4,
            "$mode: descriptors stay: $first, $second";
        finish($servers{$mode});
    }
};

# ---- other modules, where some requests are parked and others are not

subtest 'auto: with mod_deflate in the way' => sub {
    my $server = server('auto', modules => ['deflate', 'filter'],
        conf => 'AddOutputFilterByType DEFLATE text/event-stream '
              . 'application/json');
    my @gzip = (headers => { 'Accept-Encoding' => 'gzip' });
    my $text_of = sub {
        return Compress::Zlib::memGunzip($_[0]->body) // '';
    };
    my @streams = map { { client => client($server, tls => $_->[1]),
        model => $_->[0], text => new_id() . ' b c d e f' } }
        ['mock/m+gap=20+stall_after=4,2.5', 0],
        ['safe/m+gap=20+stall_after=4,2.5', 1],
        (['mock/m+gap=120', 0]) x 2;
    my @wholes = map { { client => client($server, tls => $_->[1]),
        model => $_->[0], text => new_id() } }
        ['mock/m+stall=2.5', 0], ['safe/m+stall=2.5', 1];

    ask($_->{client}, $_->{model}, $_->{text}, 1, @gzip) for @streams;
    ask($_->{client}, $_->{model}, $_->{text}, 0, @gzip) for @wholes;
    parks($server, 4, 'who is silent for a second is parked');
    my @held = @streams[0, 1];
    $_->{client}->look(0) for @held;
    # Each event is a chunk: it is let go of when it comes.
    is scalar(grep { (() = $_->{client}{in} =~ /\r\n[0-9a-f]+\r\n/g) >= 3 }
              @held), 2, '... having sent what there was';
    is scalar(grep { $_->{client}{in} =~ /\r\n0\r\n\r\n\z/ } @held), 0,
        '... before the rest came';
    for my $s (@streams) {
        my $res = $s->{client}->read;
        is $res->header('Content-Encoding'), 'gzip', 'a stream is packed';
        is_deeply [flaw(LLMux::Response->whole(status => $res->status,
            at => 0, body => $text_of->($res)), $s->{text}, 1)], [],
            '... and complete';
    }
    for my $s (@wholes) {
        my $res = $s->{client}->read;
        is_deeply [flaw(LLMux::Response->whole(status => $res->status,
            at => 0, body => $text_of->($res)), $s->{text}, 0)], [],
            'a whole answer, too';
    }
    settles($server, 'after it');
    finish($server);
};

subtest 'auto: other handlers on the same connections' => sub {
    my $server = server('auto', modules => [qw(rewrite include dir headers)],
        conf => "$site_conf\nHeader always set X-Other module");
    make_site($server);
    my @clients = map { client($server, tls => $_) } 0, 0, 1;
    my @models = qw(mock/m safe/m mock/m);
    my @wrong;
    my @site = (
        ['/site/plain.txt', 200, qr/^a file$/],
        ['/site/page.shtml', 200, qr/^<p>\{.*"object":"list"/s],
        ['/site/nothing', 404, qr/"object":"list"/],
        ['/server-status?auto', 200, qr/^LLMuxParked: /m],
        ['/v1/models', 200, qr/"object":"list"/],
    );

    # Each is parked once before the others' turn, and once after it.
    for my $turn (1, 2) {
        my @texts = map { new_id() . ' b c d' } @clients;
        ask($clients[$_], "$models[$_]+stall_after=3,2", $texts[$_], 1)
            for 0 .. 2;
        parks($server, 3, "turn $turn: they are parked");
        for my $i (0 .. 2) {
            my $res = $clients[$i]->read;
            push @wrong, map { "stream $turn: $_" }
                flaw($res, $texts[$i], 1);
            push @wrong, 'no header of mod_headers'
                if ($res->header('X-Other') // '') ne 'module';
        }
        next if $turn == 2;
        for my $c (@clients) {
            for my $page (@site) {
                my ($where, $status, $body) = @$page;
                my $res = $c->get($where);
                push @wrong, "$where: " . ($res->error // $res->status)
                    . $res->body if $res->error || $res->status != $status
                    || $res->body !~ $body;
            }
        }
    }
    is_deeply \@wrong, [], 'in turn on each connection';

    # Behind an internal redirect it waits in its worker, however long.
    my @moved = map { [$_, new_id() . ' b c'] } @clients[0, 2];
    ask($_->[0], 'mock/m+gap=20+stall_after=3,2.2', $_->[1], 1,
        at => '/site/moved') for @moved;
    sleep 1.2;
    my $status = status($server);
    is $status->{LLMuxParked}, 0, 'a redirected one is not parked';
    is $status->{LLMuxInFlight}, 2, '... but under way';
    is_deeply [map { flaw($_->[0]->read, $_->[1], 1) } @moved], [],
        '... and complete';
    $_->close for @clients;
    settles($server, 'after it');
    finish($server, qr/AH00128/);
};

done_clean();
done_testing;
