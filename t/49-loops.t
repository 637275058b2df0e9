# 49-loops.t - connections that are lent to a loop: one thread drives many of
# them. Everybody gets his own answer, and nobody is held up by another: not by
# a hook that takes a second, a client that sends or reads slowly, or one that
# leaves; and whoever waits uses no processor.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use Fcntl qw(F_SETFD);
use IO::Select;
use IO::Socket::INET;
use LLMux::Park;
use POSIX ();

my $mock = mock();

# ---- servers

# Riders stay in their loop for a second: long enough for all that follows.
# Options: loops (1), park ('auto'), and as of park_server().
sub server
{
    my (%opt) = @_;
    my $loops = $opt{loops} // 1;

    return park_server($opt{park} // 'auto', threads => 64,
        allow => [qr/LX0021/], providers => provider('mock',
            $mock->base('/v1')), %opt, conf => <<"END" . ($opt{conf} // ''));
LLMuxLoops $loops
LLMuxLinger 1s
MaxKeepAliveRequests 0
KeepAliveTimeout 20
END
}

# Threads of all loops, by the number of the child they belong to.
sub loop_threads
{
    my ($server) = @_;
    return map { slurp($_) eq "llmux-loop\n" ? m{(\d+)/task} : () }
        map { glob "/proc/$_/task/*/comm" } $server->children;
}

# One that drives, a deputy, and a spare for each loop.
sub threads_are_few
{
    my ($server, $loops, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $n;

    return ok(wait_until(3, sub {
        $n = loop_threads($server);
        return $n >= 2 && $n <= 3 * $loops;
    }), "$what: two or three threads a loop") || diag "$n threads";
}

# Who asked the provider for the request with this id, or, with LX0030, saw
# it fail: 'loop', 'worker', or nothing.
sub driver_of
{
    my ($server, $id, $line) = @_;
    my $is = $line // 'LX0031';
    my ($pid, $tid) = $server->log_text
        =~ /\[pid (\d+):tid (\d+)\][^\n]* $is: \[$id\]/ or return '';

    return slurp("/proc/$pid/task/$tid/comm") =~ /^llmux-loop/ ? 'loop'
        : 'worker';
}

# ---- questions and answers

# A question: model, stream, text, wanted, and options of ask().
sub put
{
    my ($c, $q) = @_;
    $q->{text} //= new_id() . ' two three four';
    ask($c, @$q{qw(model text stream)}, %{ $q->{more} || {} });
    return;
}

sub flaw_of
{
    my ($q, $res) = @_;
    my $got = outcome($res, @$q{qw(text stream)});
    my $want = $q->{want} // 'whole';

    return $got eq $want ? () : "$q->{model}: $got, not $want";
}

# A question and its answer. Gives what is wrong.
sub try_it
{
    my ($c, $model, $stream, %q) = @_;
    my $q = { model => $model, stream => $stream, %q };

    put($c, $q);
    return flaw_of($q, $c->read);
}

# In a loop: who has asked twice in a row. The path is what it may ask for.
sub rides
{
    my ($c, %more) = @_;

    for (1, 2) {
        my @flaws = try_it($c, 'mock/m', 0, %more);
        die "no rider: @flaws\n" if @flaws;
    }
    return $c;
}

sub rider
{
    my ($server, %opt) = @_;
    return rides(client($server, %opt));
}

sub riders { return map { rider($_[0], tls => $_[2]) } 1 .. $_[1] }

# ---- many at once

# Talks, each {client, next => code that gives the next question or nothing},
# and `again`: makes another client when the server has hung up.
# Gives {answers, flaws, slowest}.
sub converse
{
    my @talks = @_;
    my $seen = { answers => 0, flaws => [], slowest => 0 };
    my $sockets = IO::Select->new;
    my %open;
    my $go_on = sub {
        my ($talk) = @_;
        go_on($talk) or return;
        $sockets->add($talk->{client}{socket});
        $open{ fileno $talk->{client}{socket} } = $talk;
    };

    $go_on->($_) for @talks;
    while (%open) {
        my @ready = $sockets->can_read(patience(20));
        push @{ $seen->{flaws} }, 'nobody is answered' if !@ready;
        last if !@ready;
        for my $socket (@ready) {
            my $talk = $open{ fileno $socket };
            next if !listen_to($talk, $seen);
            $sockets->remove($socket);
            delete $open{ fileno $socket };
            $go_on->($talk);
        }
    }
    return $seen;
}

# Puts the next question. Gives whether there was one.
sub go_on
{
    my ($talk) = @_;
    my $q = $talk->{question} = $talk->{next}->() or return 0;
    my $last = $talk->{client}{response};

    if ($talk->{client}{closed}
        || $last && ($last->header('Connection') // '') eq 'close') {
        return 0 if !$talk->{again};
        $talk->{client}->close;
        $talk->{client} = $talk->{again}->();
    }
    $talk->{asked} = time;
    put($talk->{client}, $q);
    return 1;
}

# Gives whether this question is done with.
sub listen_to
{
    my ($talk, $seen) = @_;
    my ($c, $q) = @$talk{qw(client question)};

    $c->look(0);
    my $res = $c->{response};
    $res->feed(\$c->{in}, time);
    return 0 if !$res->done && !$c->{closed};
    $res->eof(time);
    my $took = time - $talk->{asked};
    $seen->{slowest} = $took if $took > $seen->{slowest};
    $seen->{answers}++;
    push @{ $seen->{flaws} }, flaw_of($q, $res);
    push @{ $seen->{flaws} }, "$q->{text}: left over" if length $c->{in};
    return 1;
}

# While something else goes on, these ask one plain question after the other:
# their answers are right, and none takes as long as $limit.
sub nobody_is_held_up
{
    my ($what, $secs, $limit, @others) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $end = time + $secs;
    my $seen = converse(map { my $c = $_; { client => $c, next => sub {
        return time < $end ? { model => 'mock/m', more => $c->{more} }
            : undef } } } @others);

    is_deeply $seen->{flaws}, [], "$what: the others are answered";
    cmp_ok $seen->{answers}, '>', 20 * $secs, '... many times';
    return cmp_ok $seen->{slowest}, '<', $limit, '... at once';
}

# ---- a line to a TLS client that can be held up between two bytes

my $torn_program = <<'END';
use Socket;
my ($fd, $port) = map { $_ + 0 } @ARGV;
my $tear = 0;
$SIG{PIPE} = 'IGNORE';
$SIG{USR1} = sub { $tear = 1 };
open my $listener, '+<&=', $fd or die;
accept my $near, $listener or die;
close $listener;
socket my $far, PF_INET, SOCK_STREAM, 0 or die;
setsockopt $far, 6, 1, 1;
connect $far, sockaddr_in($port, INADDR_LOOPBACK) or die;
while (1) {
    my $r = '';
    vec($r, fileno $_, 1) = 1 for $near, $far;
    next if select($r, undef, undef, undef) < 0;
    for ([$near, $far], [$far, $near]) {
        my ($from, $to) = @$_;
        next if !vec $r, fileno $from, 1;
        sysread $from, my $bytes, 16384 or exit;
        if ($tear && $from == $near) {
            $tear = 0;
            syswrite $to, substr $bytes, 0, 20, '';
            select undef, undef, undef, 1.5;
        }
        syswrite $to, substr $bytes, 0, 16384, '' while length $bytes;
    }
}
END

my @lines;

END {
    local $?;
    kill TERM => @lines;
    waitpid $_, 0 for @lines;
}

# USR1: it passes on 20 bytes of what comes next, and the rest 1.5 s later.
sub tearable
{
    my ($server) = @_;
    my $listener = IO::Socket::INET->new(Listen => 1,
        LocalAddr => '127.0.0.1') or die "listen: $!\n";
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        fcntl $listener, F_SETFD, 0;
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec $^X, '-e', $torn_program, fileno $listener, $server->tls_port
            or POSIX::_exit(127);
    }
    push @lines, $pid;
    return (client($listener->sockport, tls => 1), $pid);
}

# ----------------------------------------------------------------------

# ---- everybody gets his own

# What each of them asks in turn, and how it ends.
my @kinds = (
    { model => 'mock/m', stream => 0 },
    { model => 'mock/m+gap=5', stream => 1 },
    { model => 'mock/m+stall=0.02', stream => 0 },
    { model => 'mock/m+429=1', stream => 0, want => 429 },
    { model => 'mock/m', stream => 1 },
    { model => 'mock/m+500', stream => 1, want => 500 },
    { model => 'none/such', stream => 0, want => 404 },
    { model => 'mock/m+chunked+gzip', stream => 0 },
    { model => 'mock/m+reset=3', stream => 1, want => 'broken' },
    { model => 'mock/m+dribble=40,1', stream => 1 },
    { model => 'mock/m+reset', stream => 0, want => 502 },
    { model => 'mock/m+cut=2+gap=5', stream => 1, want => 'broken' },
    { model => '', stream => 0, want => 400 },
);

# Clients, each of which asks so many times in a row; %more goes with each
# question. Gives the ids and the clients.
sub everybody_gets_his_own
{
    my ($server, $clients, $times, %more) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @ids;
    my @talks = map {
        my ($n, $left) = ($_, $times);
        my $connect = sub { return client($server, tls => $n % 3 == 0) };
        { client => $connect->(), again => $connect, next => sub {
            return if !$left--;
            push @ids, my $id = new_id();
            return { %{ $kinds[($n + $left) % @kinds] }, %more,
                     text => "$id two three four" };
        } };
    } 1 .. $clients;
    my $seen = converse(@talks);
    my %lines;

    is $seen->{answers}, $clients * $times, 'all are answered';
    is_deeply $seen->{flaws}, [], 'each with what is his';
    $lines{$_}++ for map { $_->{request_id} // () }
        $server->access_lines($clients * $times);
    is_deeply [grep { ($lines{$_} // 0) != 1 } @ids], [],
        'each has one line in the log';
    return (\@ids, map { $_->{client} } @talks);
}

for my $loops (0, 1, 3) {
    subtest "$loops loops: 30 clients ask 40 times in a row" => sub {
        my $server = server(loops => $loops);
        my ($ids, @clients) = everybody_gets_his_own($server, 30, 40);
        my %by;

        $by{ driver_of($server, $_) }++ for @$ids[600 .. 630];
        $loops ? cmp_ok($by{loop} // 0, '>', 10, 'loops have served')
            : is($by{loop}, undef, 'workers have served');
        $loops ? threads_are_few($server, $loops, 'all told')
            : is scalar(loop_threads($server)), 0, 'there are no loops';
        $_->close for @clients;
        settles($server, 'after it');
        finish($server);
    };
}

# ---- those who hold up a thread

# A password at which httpd looks for so long, or somewhat longer.
sub password
{
    my ($secs) = @_;

    for my $cost (5 .. 16) {
        my $began = time;
        my ($status, $line) = run([qw(htpasswd -nbBC), $cost, 'u', 'p']);
        die "htpasswd: $line\n" if $status ne '0';
        return $line =~ s/\n//gr . "\n"
            if time - $began > $secs || $cost == 16;
    }
    return;
}

my %who = (headers => { Authorization => 'Basic dTpw' });
my $slow_conf = <<"END";
<Location "/guarded">
    SetHandler llmux
    AuthType Basic
    AuthName guarded
    AuthUserFile "__DIR__/htdocs/users"
    Require valid-user
</Location>
<Location "/limited">
    SetHandler llmux
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 40
</Location>
<Location "/slow">
    SetHandler none
</Location>
ProxyPass /slow @{[ $mock->base('/v1') ]}
END

# Each sleeps in the thread that serves it: at $path, what is asked there, and
# whether only a TLS client's loop would serve it.
my @sleepers = (
    ['a password', "/guarded$path", { model => 'mock/m', stream => 0,
                                       more => \%who }],
    ['a request that is redirected', '/site/moved',
     { model => 'mock/m+stall=0.9', stream => 0 }],
    ['a filter that sleeps', "/limited$path",
     { model => 'mock/m+flood=40,1000', stream => 1 }],
    ['a proxy', '/slow/chat/completions',
     { model => 'mock/m+stall=0.9', stream => 0 }, 'tls'],
);

subtest 'a rider who holds up a thread holds up nobody else' => sub {
    my $server = server(modules => [qw(auth_basic rewrite include dir env
        ratelimit proxy proxy_http)], conf => "$site_conf$slow_conf");
    make_site($server);
    spew($server->dir . '/htdocs/users', password(0.8));

    for my $case (@sleepers) {
        my ($what, $at, $q, $tls) = @$case;
        my %more = (more => { %{ $q->{more} || {} }, at => $at });
        my @others = riders($server, 4);
        for my $n ($what eq 'a password' ? 1 : (), 5) {
            my @slow = map { rider($server, tls => $tls) } 1 .. $n;
            # Of a path that it knows, a loop lets in the next.
            is_deeply [map { try_it($_, 'mock/m', 0, %more) } @slow], [],
                "$n times $what" if !$tls;
            my $began = time;
            my @asked = map { { %$q, %more, text => undef } } @slow;
            put($slow[$_], $asked[$_]) for 0 .. $#slow;
            # Passwords keep the processors busy, too.
            nobody_is_held_up("$n times $what", 1, patience(
                $what eq 'a password' ? 0.5 : 0.25), @others);
            my @res = read_together(@slow);
            my $took = $res[0]{done_at} - $began;
            cmp_ok $took, '>', 0.6, '... though it took its time';
            is_deeply [map { $asked[$_]{model} =~ /flood/
                ? $res[$_]->body =~ /\[DONE\]\n\n\z/ ? () : 'no end'
                : flaw_of($asked[$_], $res[$_]) } 0 .. $#slow], [],
                '... and is answered';
            threads_are_few($server, 1, $what);
            $_->close for @slow;
        }
        $_->close for @others;
    }
    settles($server, 'after it');
    finish($server);
};

# A turn takes about as long as a deputy is patient; one of them thinks that
# he leads when he does not, any more.
subtest 'a change of leaders all the time' => sub {
    my $server = server(loops => 2, modules => [qw(auth_basic env ratelimit
        proxy proxy_http)], conf => $slow_conf);
    spew($server->dir . '/htdocs/users', password(0.012));
    my ($ids, @clients) = everybody_gets_his_own($server, 30, 30,
        more => { %who, at => "/guarded$path" });

    settles($server, 'when nobody asks');
    threads_are_few($server, 2, 'then');
    is_deeply [map { try_it($_, 'mock/m', 0) } grep { !$_->{closed}
        && ($_->{response}->header('Connection') // '') ne 'close' }
        @clients], [], 'they go on';
    $_->close for @clients;
    settles($server, 'after it');
    finish($server);
};

# httpd reads to its end what nobody wants, and waits for it.
subtest 'a body that nobody wants holds up nobody' => sub {
    my $server = server(conf => "LLMuxMasterKey sk-right\n");
    my %right = (headers => { Authorization => 'Bearer sk-right' });
    my @others = map { rides(client($server), more => \%right) } 1 .. 4;
    my @slow = map { rides(client($server), more => \%right) } 1 .. 10;

    $_->{more} = \%right for @others;
    $_->send("POST $path HTTP/1.1\r\nHost: x\r\n"
        . "Authorization: Bearer sk-wrong\r\n"
        . "Content-Length: 200\r\n\r\n{") for @slow;
    nobody_is_held_up('ten of them', 1, patience(0.08), @others);
    is_deeply [map { $_->read->status } @slow], [(401) x 10],
        'they are refused';
    $_->close for @slow, @others;
    settles($server, 'after it');
    finish($server);
};

subtest 'strangers do not ride' => sub {
    my $server = server(conf => "LLMuxMasterKey sk-right\n");
    my @asked = map { my $c = client($server); map { $c->post($path,
        chat('mock/m', 'x'), headers => { Authorization => "Bearer $_" })
        } qw(sk-wrong sk-wrong sk-wrong) } 1 .. 5;

    is_deeply [map { $_->status } @asked], [(401) x 15], 'they are refused';
    is scalar(loop_threads($server)), 0, '... and no loop has begun';

    my $c = client($server);
    my @drivers = map { my ($key, $model) = split;
        my $id = new_id();
        my $res = ask_with($c, $id, model => $model,
                           Authorization => "Bearer sk-$key");
        $res->status . ' ' . driver_of($server, $id)
    } ('right mock/m') x 3, 'wrong mock/m', ('right mock/m') x 3,
      'right nobody/m', ('right mock/m') x 3;
    is_deeply [@drivers[2 .. 4, 6 .. 8, 10]],
        ['200 loop', '401 ', '200 worker', '200 loop', '404 ', '200 worker',
         '200 loop'], 'who becomes one gets off' or diag explain \@drivers;
    finish($server);
};

sub ask_with
{
    my ($c, $id, %headers) = @_;
    my $model = delete $headers{model} // 'mock/m';
    return $c->post($path, chat($model, 'x'),
                    headers => { 'X-Request-ID' => $id, %headers });
}

# It may be another of httpd's servers, and a slow one.
subtest 'another Host is for a worker first' => sub {
    my $server = server();
    my $c = rider($server);
    my @hosts = ('localhost:' . $server->port, ('other.example') x 2,
                 'OTHER.example', 'localhost:' . $server->port);
    my @drivers = map { my $id = new_id();
        ask_with($c, $id, Host => $_); driver_of($server, $id) } @hosts;

    is_deeply \@drivers, [qw(loop worker loop worker worker)],
        'and for the loop when it comes again';
    finish($server);
};

# ---- who sends in pieces

# A question of these bytes: (head, body).
sub parts
{
    my ($text, @headers) = @_;
    my $all = question('mock/m', $text, 0);

    $all =~ s/\r\n/join "\r\n", '', "X-Request-ID: $text", @headers, ''/e;
    return $all =~ /\A(.*?\r\n\r\n)(.*)\z/s;
}

# What comes first, and after a pause the rest; who is to serve it, and headers.
my @in_pieces = (
    ['half a head', 'plain', 'worker', sub { my ($h, $b) = @_;
        (substr($h, 0, 60), substr($h, 60) . $b) }],
    ['one byte', 'plain', 'worker', sub { my ($h, $b) = @_;
        ('P', substr($h, 1) . $b) }],
    ['all but the last byte of a head', 'plain', 'worker', sub {
        my ($h, $b) = @_; (substr($h, 0, -1), "\n$b") }],
    ['a head', 'plain', '', sub { @_ }],
    ['a head and half a body', 'plain', '', sub { my ($h, $b) = @_;
        ($h . substr($b, 0, 20), substr $b, 20) }],
    ['a head that expects to be told to go on', 'plain', '', sub { @_ },
     'Expect: 100-continue'],
    ['half a head in a record', 'TLS', 'worker', sub { my ($h, $b) = @_;
        (substr($h, 0, 60), substr($h, 60) . $b) }],
    ['a head that expects to be told to go on', 'TLS', '', sub { @_ },
     'Expect: 100-continue'],
    ['a head and half a body', 'TLS', '', sub { my ($h, $b) = @_;
        ($h . substr($b, 0, 20), substr $b, 20) }],
    ['half a record', 'torn', 'worker', sub { join '', @_ }],
);

subtest 'who sends in pieces holds up nobody else' => sub {
    my $server = server();
    my @others = riders($server, 4);
    my @slow;

    for my $case (@in_pieces) {
        my ($what, $how, $driver, $cut, @headers) = @$case;
        my ($c, $line) = $how eq 'torn' ? tearable($server)
            : client($server, tls => $how eq 'TLS');
        my $text = new_id();
        my @pieces = $cut->(parts($text, @headers));
        rides($c);
        kill USR1 => $line if $line;
        sleep 0.05 if $line;
        $c->send($pieces[0]);
        push @slow, { what => "$how: $what", client => $c, text => $text,
                      rest => $pieces[1] // '', driver => $driver };
    }
    nobody_is_held_up('all of them', 1.4, patience(0.25), @others);
    for my $s (@slow) {
        my $c = $s->{client};
        $c->send($s->{rest});
        is_deeply [flaw($c->read, $s->{text})], [], "$s->{what}: answered";
        is driver_of($server, $s->{text}), $s->{driver},
            "... by a $s->{driver}" if $s->{driver};
        is_deeply [map { try_it($c, 'mock/m', $_) } 0, 1, 0], [],
            '... and it goes on';
    }
    $_->{client}->close for @slow;
    $_->close for @others;
    settles($server, 'after it');
    threads_are_few($server, 1, 'after it');
    finish($server);
};

subtest 'several at once, and large ones' => sub {
    my $server = server();

    for my $tls (0, 1) {
        my $what = $tls ? 'TLS' : 'plain';
        my $c = rider($server, tls => $tls);
        my @flaws;
        for my $n (2, 5, 2) {
            my @texts = map { new_id() } 1 .. $n;
            $c->send(join '', map { question('mock/m+stall=0.03', $_, 0) }
                @texts);
            push @flaws, map { flaw($c->read, $_) } @texts;
            push @flaws, map { try_it($c, 'mock/m', $_) } 0, 1;
        }
        is_deeply \@flaws, [], "$what: pipelined ones, in their order";

        # The second comes while the first waits.
        my @texts = map { new_id() } 1, 2;
        $c->send(question('mock/m+stall=0.3', $texts[0], 0));
        sleep 0.1;
        $c->send(question('mock/m', $texts[1], 1));
        is_deeply [flaw($c->read, $texts[0]), flaw($c->read, $texts[1], 1)],
            [], "$what: one that comes early";

        for my $size (2000, 4000, 7900) {
            push @flaws, map { try_it($c, 'mock/m', $_, more => { headers => {
                'X-Pad' => 'p' x $size } }) } 0, 1, 0;
        }
        is_deeply \@flaws, [], "$what: heads up to 8 KB";
        my $long = join ' ', new_id(), ('word') x 5_000;
        is_deeply [try_it($c, 'mock/m', 0, text => $long)], [],
            "$what: a body of 25 KB";
        is_deeply [try_it($c, 'mock/m', 1)], [], '... and it goes on';
        $c->close;
    }
    settles($server, 'after it');
    finish($server);
};

# ---- other paths in between

my @elsewhere = (
    ['/server-status?auto', 200, qr/^LLMuxParked: /m],
    ['/site/plain.txt', 200, qr/^a file$/],
    ['/site/page.shtml', 200, qr/^<p>\{.*"object":"list"/s],
    ['/site/nothing', 404, qr/"object":"list"/],
    ['/v1/models', 200, qr/"object":"list"/],
    ['/moved-away', 302, qr//],
    ['/other/v1/models', 200, qr/"object":"list"/],
    ['/forbidden', 403, qr//],
    ['/metrics', 200, qr/^llmux_/m],
);

subtest 'other paths on the same connection' => sub {
    my $server = server(modules => [qw(rewrite include dir alias http2)],
        conf => $site_conf . <<'END');
Redirect /moved-away http://localhost/v1/models
<Location "/other">
    SetHandler llmux
</Location>
<Location "/forbidden">
    Require all denied
</Location>
<Location "/moved-away">
    SetHandler none
</Location>
END
    make_site($server);

    for my $tls (0, 1) {
        my $what = $tls ? 'TLS' : 'plain';
        my $c = rider($server, tls => $tls);
        my @wrong;
        for my $page (@elsewhere) {
            my ($where, $status, $body) = @$page;
            my $res = $c->get($where);
            push @wrong, "$where: " . ($res->error // $res->status)
                if $res->error || $res->status != $status
                || $res->body !~ $body;
            push @wrong, map { "after $where: $_" }
                try_it($c, 'mock/m', 0), try_it($c, 'mock/m', 1);
        }
        push @wrong, map { try_it($c, 'mock/m', $_ % 2, more => {
            at => ('/site/moved', "/other$path")[$_ > 2] }) } 1 .. 5;
        is_deeply \@wrong, [], "$what: in turn";
        my $res = $c->request(HEAD => '/v1/models');
        is $res->status, 200, "$what: HEAD";
        is_deeply [try_it($c, 'mock/m', 0)], [], '... and it goes on';
        is_deeply [try_it($c, 'mock/m', 0, more => { headers => {
            Upgrade => 'h2c', Connection => 'Upgrade, HTTP2-Settings',
            'HTTP2-Settings' => 'AAMAAABkAAQAAP__' } })], [],
            "$what: an Upgrade that is not for us";
        is_deeply [try_it($c, 'mock/m', 0)], [], '... and it goes on';
        is_deeply [try_it($c, 'mock/m', 0, more => { headers => {
            Connection => 'close' } })], [], "$what: Connection: close";
        is $c->wait_closed(2), 'closed', '... which it does';
    }
    settles($server, 'after it');
    finish($server, qr/AH01630|AH00128/);
};

# The answer is HTTP/2, of which the first bytes are enough here.
subtest 'an upgrade to HTTP/2' => sub {
    my $server = server(modules => ['http2'],
        conf => "Protocols h2c http/1.1\nH2Upgrade on\n");
    my @others = riders($server, 4);
    my $c = client($server);

    is $c->get('/v1/models')->status, 200, 'a rider' for 1, 2;
    $c->send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n"
        . "Connection: Upgrade, HTTP2-Settings\r\n"
        . "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    ok wait_until(2, sub { $c->look(0); $c->{in} =~ m{^HTTP/1.1 101 } }),
        'the server agrees';
    $c->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0");
    ok wait_until(2, sub { $c->look(0); $c->{in} =~ /"object":"list"/ }),
        '... and answers';
    nobody_is_held_up('HTTP/2', 1, patience(0.25), @others);
    $c->close;
    $_->close for @others;
    settles($server, 'after it');
    finish($server);
};

# ---- the rest of an answer

# Nobody stays behind an answer here: whoever comes to a loop comes with his
# first request.
sub first_come
{
    my (%opt) = @_;
    my $more = delete $opt{more} // '';

    return server(%opt, conf => "LLMuxLinger 0\n$more");
}

# Questions of new clients, all of them answered in ten pieces and then cut:
# who saw that.
sub seen_by
{
    my ($server, $model, %opt) = @_;
    my @asked = map { { client => client($server, %opt), id => new_id() } }
        1 .. 5;
    my %who;

    ask($_->{client}, $model, "$_->{id} b c d e f g h", 1) for @asked;
    for my $q (@asked) {
        my $end = outcome($q->{client}->read, "$q->{id} b c d e f g h", 1);
        $who{ driver_of($server, $q->{id}, 'LX0030') . " $end" }++;
    }
    return \%who;
}

subtest 'a new client whose answer comes in pieces' => sub {
    for my $tls (0, 1) {
        my $server = first_come();
        my @flaws = map { try_it(client($server, tls => $tls), 'mock/m', 0) }
            1 .. 3;
        is_deeply \@flaws, [], 'answers in one piece';
        is scalar(loop_threads($server)), 0, '... need no loop';
        is_deeply seen_by($server, 'mock/m+gap=30+reset=6', tls => $tls),
            { 'loop broken' => 5 }, 'for one in pieces a loop waits';
        is_deeply [map { try_it(client($server, tls => $tls), 'mock/m+gap=20',
            1, text => new_id() . ' b c d e f g h i j k') } 1 .. 3], [],
            'they come whole';
        settles($server, 'after it');
        finish($server);
    }
};

subtest 'many new clients whose answers come in pieces' => sub {
    for my $case ([auto => 1], [auto => 3], [off => 3]) {
        my ($park, $loops) = @$case;
        my $server = first_come(park => $park, loops => $loops);
        my $seen = converse(map { my ($left, $tls) = (3, $_ % 2);
            my $new = sub { return client($server, tls => $tls) };
            { client => $new->(), again => $new, next => sub { $left--
                ? { model => 'mock/m+gap=20', stream => 1,
                    text => new_id() . ' b c d e f g h i j' } : undef } }
        } 1 .. 60);

        is_deeply $seen->{flaws}, [], "park $park, $loops loops: 60 clients";
        is $seen->{answers}, 180, '... three answers each';
        threads_are_few($server, $loops, '... in loops');
        settles($server, 'after it');
        finish($server);
    }
};

subtest 'where no loop waits for it' => sub {
    my $proxy = provider('curl', $mock->base('/v1'),
                         'LLMuxProxy http://127.0.0.1:' . $mock->port);
    my %servers = (
        'LLMuxPark always' => first_come(park => 'always'),
        'LLMuxLoops 0' => first_come(loops => 0),
        'a forward proxy' => first_come(providers => $proxy),
        'a filter that keeps bytes' => first_come(
            modules => [qw(env ratelimit)],
            more => "SetOutputFilter RATE_LIMIT\nSetEnv rate-limit 500\n"),
    );

    for my $what (sort keys %servers) {
        my $server = $servers{$what};
        my $name = $what =~ /proxy/ ? 'curl' : 'mock';
        is_deeply seen_by($server, "$name/m+gap=30+reset=6"),
            { 'worker broken' => 5 }, "$what: a worker does";
        is scalar(loop_threads($server)), 0, '... and there is no loop';
        settles($server, $what);
        finish($server);
    }
};

# Writes which thread it is, and takes its time where it is asked to.
my $log_lua = <<'END';
function log(r)
    local thread = io.open("/proc/thread-self/comm")
    local to = io.open(r.document_root .. "/threads", "a")
    to:write(thread:read("*l"), "\n")
    to:close()
    thread:close()
    if r.headers_in["X-Slow"] then r.usleep(60000) end
    return apache2.DECLINED
end
END

subtest 'a log that is slow for everybody' => sub {
    my $server = server(modules => ['lua'],
        conf => "LuaHookLog __DIR__/log.lua log\n");
    my $seen = $server->dir . '/htdocs/threads';

    spew($server->dir . '/log.lua', $log_lua);
    for my $slow (0, 1) {
        spew($seen, '');
        chmod 0666, $seen;
        my @flaws = map { try_it(client($server), 'mock/m+gap=10', 1,
            text => new_id() . ' b c d e f g h',
            more => { headers => $slow ? { 'X-Slow' => 1 } : {} }) } 1 .. 20;
        is_deeply \@flaws, [], 'all are answered';
        my $loops = () = slurp($seen) =~ /^llmux-loop$/mg;
        $slow ? cmp_ok($loops, '<=', 5, 'it takes the time of a worker')
              : cmp_ok($loops, '>=', 18, 'it is written in the loop');
    }
    settles($server, 'after it');
    finish($server);
};

# httpd's listener reserves a worker, and accepts nobody while no other is
# idle: four who ride would leave the rest at the door.
subtest 'riders leave workers to others' => sub {
    my $server = server(threads => 4);

    for my $round (1 .. 4) {
        my @first = crowd($server, 12, 'mock/m+gap=15+stall_after=5,1', 8);
        is begun(patience(1), @first), 12, "round $round: who is there rides";
        sleep 0.2;
        my @then = crowd($server, 12, 'mock/m+gap=15', 4);
        is begun(patience(0.4), @then), 12, '... and others are served';
        is_deeply [map { flaw($_->{client}->read, $_->{text}, 1) } @first,
            @then], [], '... all to the end';
        $_->{client}->close for @first, @then;
    }
    settles($server, 'after it');
    finish($server);
};

# httpd accepts nobody while there are more connections than this factor times
# its idle workers.
subtest 'riders leave room for connections' => sub {
    my $server = server(threads => 16, conf => "AsyncRequestWorkerFactor 8\n");
    my @parked = crowd($server, 40, 'mock/m+stall_after=2,6', 4);

    is begun(patience(2), @parked), 40, 'many have begun';
    parks_at_least($server, 34, 'they are parked');
    my @riders = crowd($server, 14, 'mock/m+gap=40', 80);
    is begun(patience(1), @riders), 14, 'some are busy';
    sleep 0.5;
    my @then = crowd($server, 6, 'mock/m', 4);
    is begun(patience(0.8), @then), 6, '... and others are served';
    is_deeply [map { flaw($_->{client}->read, $_->{text}, 1) } @parked,
        @riders, @then], [], '... all to the end';
    $_->{client}->close for @parked, @riders, @then;
    settles($server, 'after it');
    finish($server);
};

# ---- who leaves

my %leave = (
    FIN  => [sub { $_[0]->close }, sub { $_[0]->close }],
    RST  => [sub { $_[0]->abort }, sub { kill USR1 => $_[1] }],
    half => [sub { $_[0]->half_close }, sub { kill USR2 => $_[1] }],
);

subtest 'a client leaves while its request waits in the loop' => sub {
    my $server = server(park => 'off');
    my @leavers;

    for my $tls (0, 1) {
        for my $way (sort keys %leave) {
            for my $q (['m+stall=30', 0], ['m+stall=30', 1],
                       ['m+stall_after=3,30', 1],
                       ['m+gap=20+stall_after=6,30', 1, 'new']) {
                my ($c, $line) = $tls ? cuttable($server) : client($server);
                my $id = new_id();
                rides($c) if !$q->[2];
                ask($c, "mock/$q->[0]", "$id b c d e f g h", $q->[1]);
                push @leavers, { id => $id, client => $c, new => $q->[2],
                    what => join(' ', $tls ? 'TLS' : 'plain', $way, @$q),
                    leave => sub { $leave{$way}[$tls]->($c, $line) } };
            }
        }
    }
    my @ids = map { $_->{id} } @leavers;
    ok asked($mock, @ids), 'the provider has all requests';
    is_deeply [map { driver_of($server, $_->{id}) } @leavers],
        [map { $_->{new} ? 'worker' : 'loop' } @leavers],
        'a loop has asked, or a worker for who is new';
    sleep 0.3;
    for my $l (@leavers) {
        $l->{left} = time;
        $l->{leave}->();
        sleep 0.02;
    }
    my $ended = ended($mock, @ids);
    my @late = map {
        my $end = $ended->{ $_->{id} };
        my $took = $end ? $end->{ended_at} - $_->{left} : 99;
        $took < patience(0.25) && $end->{how} eq 'peer_closed' ? ()
            : sprintf '%s: %s after %.3f s', $_->{what},
                $end ? $end->{how} : 'never', $took;
    } @leavers;
    is_deeply \@late, [], 'within 250 ms the provider is let go';
    is_deeply [map { join ' ', $_->{end} // '-', $_->{status} // '-' }
               lines_of($server, @ids)],
        [map { 'client_gone 499' } @ids], 'the log says so';
    settles($server, 'after it');
    finish($server);
};

subtest 'a client leaves while it is idle in a loop' => sub {
    my $server = server();
    my @ways = map { my $tls = $_; map { [$tls, $_] } sort keys %leave } 0, 1;
    my @before;

    for my $round (1 .. 3) {
        my @gone = map { my ($tls, $way) = @$_;
            my ($c, $line) = $tls ? cuttable($server) : client($server);
            rides($c);
            [$c, $line, $leave{$way}[$tls]] } @ways, @ways;
        $_->[2]->(@$_[0, 1]) for @gone;
        ok wait_until(0.5, sub { status($server)->{BusyWorkers} == 1 }),
            "round $round: their workers are back" if $round > 1;
        $_->[0]->close for @gone;
        settles($server, "round $round");
        push @before, settled(sub { descriptors($server) });
    }
    is_deeply [@before[1, 2]], [@before[0, 0]], "descriptors stay: @before";
    finish($server);
};

# ---- providers that let go

# In turn: what is asked, whether as a stream, and how it ends.
my @fickle = (
    ['mock/m+idle=0', 0, 'whole'], ['mock/m', 1, 'whole'],
    ['mock/m+close', 0, 'whole'], ['mock/m+reset=3', 1, 'broken'],
    ['mock/m', 0, 'whole'], ['mock/m+idle=5', 1, 'whole'],
    ['mock/m', 0, 'whole'], ['mock/m+cut=3', 1, 'broken'],
    ['mock/m', 1, 'whole'], ['mock/m+reset', 0, 502],
    ['mock/m', 0, 'whole'], ['mock/m+eof', 0, 'whole'],
);

subtest 'a provider lets go of connections' => sub {
    my $server = server();
    my @fds;

    for my $round (1 .. 4) {
        my $seen = converse(map { my $n = 0;
            { client => rider($server), next => sub {
                my $case = $fickle[$n++] or return;
                return { model => $case->[0], stream => $case->[1],
                         want => $case->[2] } } } } 1 .. 6);
        is $seen->{answers}, 6 * @fickle, "round $round: all are answered";
        is_deeply $seen->{flaws}, [], '... rightly';
        $mock->drop_idle;
        my $c = rider($server);
        for (1 .. 5) {
            $mock->drop_idle;
            push @{ $seen->{flaws} }, try_it($c, 'mock/m', $_ % 2);
        }
        is_deeply $seen->{flaws}, [], '... when it hangs up, too';
        $mock->drop_idle;
        $c->close;
        settles($server, "round $round");
        push @fds, settled(sub { descriptors($server) });
    }
    cmp_ok $fds[3] - $fds[0], '<=', 1, "descriptors stay: @fds";
    finish($server);
};

# ---- slow readers

subtest 'a slow reader holds up nobody else' => sub {
    my $server = server(conf => <<'END', modules => ['substitute']);
SendBufferSize 16384
<Location "/filtered">
    SetHandler llmux
    SetOutputFilter SUBSTITUTE
    Substitute "s|not there|neither|n"
</Location>
END
    my @others = riders($server, 4);
    my @cases = (['a stream', $path, 100, 1], ['a whole answer', $path, 20, 0],
        ['a filter in the way', "/filtered$path", 100, 1]);

    for my $case (@cases) {
        my ($what, $at, $n, $stream) = @$case;
        my $c = client($server, receive_buffer => 4096);
        rides($c, more => { at => $at });
        ask($c, "mock/m+flood=$n,20000", new_id(), $stream, at => $at);
        nobody_is_held_up($what, 0.8, patience(0.25), @others);
        my $res = $c->read;
        is $res->error, undef, '... it is answered';
        my $letters = 0;
        $letters += length for $res->body =~ /"(x+)"/g;
        is $letters, $n * 20000, '... with all of it';
        is_deeply [try_it($c, 'mock/m', 0)], [], '... and goes on';
        $c->close;
    }
    $_->close for @others;
    threads_are_few($server, 1, 'after it');
    settles($server, 'after it');
    finish($server);
};

# ---- silence

subtest 'who waits for more than a second is parked' => sub {
    my %servers = map { $_ => server(park => $_) } qw(auto off);
    my @cases = map { my $mode = $_; map { [$mode, @$_] }
        [0, 0, 'm+stall=2.5'], [0, 1, 'm+stall_after=3,2.5'],
        [1, 1, 'm+stall_after=3,2.5'], [1, 0, 'm+stall=2.5'],
        [0, 1, 'm+gap=20+stall_after=6,2.5'] } qw(auto off);

    for my $case (@cases) {
        my ($mode, $tls, $stream, $model) = @$case;
        my $c = client($servers{$mode}, tls => $tls);
        push @$case, $model =~ /gap/ ? $c : rides($c);
    }
    my $began = time;
    for my $case (@cases) {
        my ($mode, $tls, $stream, $model, $c) = @$case;
        push @$case, my $text = new_id() . ' b c d e f g h';
        ask($c, "mock/$model", $text, $stream);
    }
    my $waits = sub { return join ' ', map { status($servers{$_})->{$_[0]} }
                      qw(auto off) };
    is $waits->('LLMuxParked'), '0 0', 'at first they are in their loops';
    sleep $began + 1.6 - time;
    is $waits->('LLMuxParked'), '5 0', 'then they are parked, or not';
    is $waits->('BusyWorkers'), '1 6', '... and have no worker, or one';
    is_deeply [map { flaw($_->[4]->read, $_->[5], $_->[2]) } @cases], [],
        'all are answered';
    cmp_ok time - $began, '<', patience(3.2), '... in time';
    is_deeply [map { map { try_it($cases[$_][4], 'mock/m', $_ % 2) } 0, 1 }
               0 .. $#cases], [], '... and go on';
    for my $server (values %servers) {
        settles($server, 'after it');
        finish($server);
    }
};

subtest 'clocks go on in a loop' => sub {
    my $server = server(park => 'off', providers => join('',
        provider('mock', $mock->base('/v1')), map { provider("hasty$_->[0]",
            $mock->base('/v1'), "$_->[1] 500ms") }
            [1, 'LLMuxFirstByteTimeout'], [2, 'LLMuxSilenceTimeout'],
            [3, 'LLMuxTotalTimeout']), conf => <<'END');
<Location "/beats">
    SetHandler llmux
    LLMuxHeartbeat 200ms
</Location>
END
    my @cases = map { { stream => 1, want => 'broken', %$_ } }
        { model => 'hasty1/m+stall=20', stream => 0, want => 504 },
        { model => 'hasty2/m+stall_after=3,20' },
        { model => 'hasty3/m+gap=150' },
        { model => 'hasty3/m+stall=20', stream => 0, want => 504 };

    $_->{client} = rider($server) for @cases;
    my $beats = client($server);
    rides($beats, more => { at => "/beats$path" });
    my $began = time;
    put($_->{client}, $_) for @cases;
    ask($beats, 'mock/m+stall=1.3', my $id = new_id(), 1,
        at => "/beats$path");
    my @ends = map { $_->{client}->read } @cases;
    is_deeply [map { flaw_of($cases[$_], $ends[$_]) } 0 .. $#cases], [],
        'a provider has its time';
    is_deeply [grep { $_->{done_at} - $began < 0.45 } @ends], [],
        '... all of it';
    cmp_ok time - $began, '<', patience(1), '... and no more';
    my $res = $beats->read;
    is_deeply [flaw($res, $id, 1)], [], 'a stream';
    cmp_ok scalar(grep { defined $_->{comment} } $res->events), '>=', 4,
        '... with heartbeats';
    is driver_of($server, $id), 'loop', '... of a loop';
    $_->close for $beats, map { $_->{client} } @cases;
    settles($server, 'after it');
    finish($server);
};

# ---- the end of a child

# Riders with a request each, and new clients: {client, id, text, stream}.
sub waiting
{
    my ($server, $n, @models) = @_;

    # So that to ask what it has is quick later.
    $mock->requests;
    return map {
        my $s = { client => $_ % 3 ? rider($server) : client($server),
                  id => new_id(), stream => $_ % 2 };
        $s->{text} = "$s->{id} b c d e f";
        ask($s->{client}, $models[$_ % 2], @$s{qw(text stream)});
        $s;
    } 1 .. $n;
}

subtest 'a stop while riders wait' => sub {
    my $server = server(park => 'off', loops => 2,
        modules => [qw(rewrite include dir)], conf => $site_conf);
    my @riders = waiting($server, 10, 'mock/m+stall=30',
                         'mock/m+gap=20+stall_after=5,30');
    my @idle = riders($server, 4);
    my $sleeper = client($server);
    rides($sleeper, more => { at => '/site/moved' });
    push @riders, { id => new_id(), client => $sleeper };
    ask($sleeper, 'mock/m+stall=30', $riders[-1]{id}, 0,
        at => '/site/moved');
    my @ids = map { $_->{id} } @riders;
    ok asked($mock, @ids), 'they wait';
    sleep 0.2;
    my $began = time;
    ok $server->stop('TERM'), 'it goes, and nothing is left';
    cmp_ok time - $began, '<', patience(3), '... soon';
    is_deeply [map { $_->{end} // '-' } lines_of($server, @ids)],
        [map { 'server_stopped' } @ids], 'the log says so of each';
    my $ended = ended($mock, @ids);
    is_deeply [grep { ($ended->{$_}{how} // '') ne 'peer_closed' } @ids], [],
        'the provider is let go';
    no_problems($server);
};

subtest 'a graceful restart while riders wait' => sub {
    for my $mode (qw(off auto)) {
        my $server = server(park => $mode, loops => 2, children => 2,
                            conf => "StartServers 1\n");
        my @old = $server->children;
        my @riders = waiting($server, 10, 'mock/m+stall=1.8',
                             'mock/m+gap=350');
        my @idle = riders($server, 3);
        ok asked($mock, map { $_->{id} } @riders), "$mode: they wait";
        ok $server->graceful, 'a graceful restart';
        my @answers = read_together(map { $_->{client} } @riders);
        is_deeply [map { flaw($answers[$_], @{ $riders[$_] }{qw(text
            stream)}) } 0 .. $#riders], [], "$mode: none is cut";
        ok wait_until(4, sub {
            my %now = map { $_ => 1 } $server->children;
            return !grep { $now{$_} } @old;
        }), '... and the child goes';
        settles($server, 'after it');
        finish($server);
    }
};

subtest 'a child is killed' => sub {
    my $server = server(children => 2, conf => <<'END');
StartServers 2
MinSpareThreads 65
MaxSpareThreads 128
END
    my @riders = waiting($server, 24, 'mock/m+stall=2', 'mock/m+gap=400');
    ok asked($mock, map { $_->{id} } @riders), 'they wait';
    my %of = map { $_ => [] } $server->children;
    for my $s (@riders) {
        my ($pid) = $server->log_text
            =~ /\[pid (\d+):[^\n]* LX0031: \[$s->{id}\]/;
        push @{ $of{$pid} }, $s;
    }
    my ($victim, $other) = sort { @{ $of{$b} } <=> @{ $of{$a} } } keys %of;
    kill KILL => $victim;
    is scalar(grep { !$_->{client}->read->error } @{ $of{$victim} }), 0,
        'its ' . @{ $of{$victim} } . ' are cut';
    is_deeply [map { flaw($_->{client}->read, @$_{qw(text stream)}) }
        @{ $of{$other} }], [], 'the other ' . @{ $of{$other} } . ' are not';
    $_->{client}->close for @riders;
    is_deeply converse(map { my $left = 10; { client => client($server),
        next => sub { $left-- ? { model => 'mock/m' } : undef } } }
        1 .. 6)->{flaws}, [], 'others go on';
    settles($server, 'after it');
    finish($server, qr/exit signal Killed/);
};

# ---- where there are no loops

subtest 'LLMuxLoops where it cannot be' => sub {
    for my $mpm (qw(worker prefork)) {
        my $server = server(mpm => $mpm, loops => 2, tls => 0);
        is_deeply converse(map { my $left = 10;
            { client => client($server), next => sub { $left--
                ? { model => 'mock/m', stream => $left % 2 } : undef } } }
            1 .. 4)->{flaws}, [], "$mpm: all is as it was";
        is scalar(loop_threads($server)), 0, '... without loops';
        settles($server, $mpm);
        finish($server);
    }
};

# ---- whoever waits uses no processor

# Clock ticks of all its children so far.
sub ticks
{
    my ($server) = @_;
    my $sum = 0;

    slurp("/proc/$_/stat") =~ /\) .(?: \S+){10} (\d+) (\d+)/
        and $sum += $1 + $2 for $server->children;
    return $sum;
}

# What happens before it is to be quiet: a rider, and his server.
my @quiet = (
    ['idle riders', sub { }],
    ['a silent provider', sub { ask($_[0], 'mock/m+stall=30', new_id(), 0) }],
    ['a silent provider, in the middle', sub {
        ask($_[0], 'mock/m+stall_after=3,30', new_id() . ' b c d', 1) }],
    ['a pipelined request nobody reads yet', sub {
        ask($_[0], 'mock/m+stall=30', new_id(), 0);
        sleep 0.1;
        $_[0]->send(question('mock/m', new_id(), 0)) }],
    ['... in the same write', sub {
        $_[0]->send(join '', map { question('mock/m+stall=30', new_id(), 0) }
            1, 2) }],
    ['half a request nobody reads yet', sub {
        ask($_[0], 'mock/m+stall=30', new_id(), 0);
        sleep 0.1;
        $_[0]->send("POST $path HT") }],
    ['half a head', sub { $_[0]->send("POST $path HT") }],
    ['half a body', sub {
        $_[0]->send(substr question('mock/m', new_id(), 0), 0, -9) }],
    ['a provider that has closed an idle connection', sub {
        my ($c, $server) = @_;
        is_deeply [map { try_it($c, 'mock/m+idle=50', $_) } 0, 1], [],
            'it is asked'; }],
    ['... while another is silent', sub {
        my ($c, $server) = @_;
        my $other = $_[2] = rider($server);
        ask($other, 'mock/m+idle=50+stall=0.1', new_id(), 0);
        ask($c, 'mock/m+stall=30', new_id(), 0);
        $other->read }],
    ['a client that reads nothing of an endless stream', sub {
        ask($_[0], 'mock/m+flood=9000,50000', new_id(), 1) }],
    ['... and has sent more', sub {
        ask($_[0], 'mock/m+flood=9000,50000', new_id(), 1);
        sleep 0.1;
        $_[0]->send(question('mock/m', new_id(), 0)) }],
);

for my $tls (0, 1) {
    my $how = $tls ? 'TLS' : 'plain';

    subtest "$how: whoever waits uses no processor" => sub {
        my @cases = map { my ($what, $do) = @$_;
            my $server = server(park => 'off', conf => 'Timeout 60');
            { what => $what, do => $do, server => $server } } @quiet;

        for my $case (@cases) {
            my $c = $case->{client} = client($case->{server}, tls => $tls,
                receive_buffer => 8192);
            rides($c);
            $case->{do}->($c, $case->{server}, $case->{other});
        }
        sleep patience(1.5);
        $_->{before} = ticks($_->{server}) for @cases;
        sleep 1;
        my @busy = map { my $n = ticks($_->{server}) - $_->{before};
            $n > 4 ? "$_->{what}: $n ticks" : () } @cases;
        is_deeply \@busy, [], 'none of them';
        for my $case (@cases) {
            $_->close for grep { defined } @$case{qw(client other)};
            settles($case->{server}, $case->{what});
            finish($case->{server});
        }
    };
}

done_clean();
done_testing;
