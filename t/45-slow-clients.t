# 45-slow-clients.t - clients who take or send little at a time, or stop in the
# middle: they cost no worker where requests wait without one, they get every
# byte, and those who stop are given up.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Park;

my $mock = mock();

# Few threads where waiting does not take them.
sub server
{
    my ($mode, $conf) = @_;
    return park_server($mode, threads => $mode eq 'off' ? 32 : 4,
        providers => provider('mock', $mock->base('/v1')), conf => $conf);
}

# What may not happen all the time may happen: a worker passes on what came.
# So it is the least of several looks that counts.
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

# ---- clients that read slowly

# Reads some of what is there and no more, as `look` would.
sub sip
{
    my ($c, $n) = @_;
    my $got = sysread $c->{socket}, $c->{in}, $n, length $c->{in};

    $c->{closed} ||= 'closed' if defined $got && !$got;
    return $got // 0;
}

# How many letters of a flood came through; parsing takes too long.
sub flooded
{
    my $body = $_[0]->body;
    my $n = 0;
    $n += length $1 while $body =~ /"(x+)"/g;
    return $n;
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

# Once their responses are in. Gives what is wrong.
sub flaws_of_slow_ones
{
    my ($crowd) = @_;
    my @flaws;

    for my $s (@{ $crowd->{slow} }) {
        my $res = $s->[1]{response};
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
    my @ids = map { $_->[2] } @stuck;
    my $ended = ended($mock, @ids);

    is scalar(grep { $ended->{$_} } @ids), scalar(@ids),
        'stuck ones are given up' or return;
    for my $s (@stuck) {
        my $end = $ended->{ $s->[2] };
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
        "Timeout 3\nSendBufferSize 16384") } @modes;
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
            skip 'sanitizers keep freed memory: no bound', 1
                if $ENV{LLMUX_ASAN} || $ENV{LLMUX_TSAN};
            # Five whole answers of 1 MB are in memory, and one of 2 MB; each
            # grew in a buffer that doubles.
            cmp_ok $crowd->{grown}, '<', 2 * 7 * 1024 + 6000,
                'kB grown meanwhile';
        }
        stuck_ones_are_given_up($crowd);
        settles($crowd->{server}, 'after it');
        my @ends = map { $_->{end} } lines_of($crowd->{server},
            map { $_->[2] } map { @{ $crowd->{$_} } } qw(slow stuck));
        is_deeply [@ends[0 .. 9]], [('ok') x 10],
            'the log: slow ones had it all';
        is_deeply [@ends[10, 11]], [('client_gone') x 2],
            '... the stuck ones left';
        finish($crowd->{server});
    }
};

# The provider says so much that it just does not go out at once, and then
# nothing for a while. How much that is depends on the kernel.
for my $mode (@modes) {
    subtest "$mode: nothing stays behind" => sub {
        my $server = server($mode, 'SendBufferSize 16384');
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
        my @got = map {
            join ' ', $_->error // 'whole', flooded($_),
                scalar(() = $_->body =~ /\[DONE\]/g);
        } read_together(map { $_->[1] } @long);
        is_deeply \@got, [map { 'whole ' . 90_000 * $_->[0] . ' 1' } @long],
            'nor does an end overtake what was said';
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
    my %crowds = map { $_ => tricklers(server($_, 'Timeout 3')) }
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

done_clean();
done_testing;
