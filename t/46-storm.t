# 46-storm.t - hundreds of parked requests while clients vanish and children
# come and go; and workers that linger for the next request.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Park;

my $mock = mock();

# All requests park at once; $more: what differs.
sub server
{
    my ($more) = @_;
    return park_server('always', tls => 0, threads => 32, children => 8,
        providers => provider('mock', $mock->base('/v1')), conf => <<"END");
StartServers 2
MaxRequestWorkers 64
MinSpareThreads 33
MaxSpareThreads 250
KeepAliveTimeout 30
$more
END
}

# ---- crowds of streams

sub all_complete
{
    my ($what, @crowd) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @answers = read_together(map { $_->{client} } @crowd);
    my @bad = map { flaw($answers[$_], $crowd[$_]{text}, 1) } 0 .. $#crowd;

    is scalar(@crowd) - @bad, scalar(@crowd), "$what: all are complete"
        or diag $bad[0];
    return;
}

# They look broken, as they are.
sub all_broken
{
    my ($what, @crowd) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @answers = read_together(map { $_->{client} } @crowd);

    is scalar(grep { $_->error && $_->body !~ /\[DONE\]/ } @answers),
        scalar(@crowd), "$what: all look broken";
    return;
}

# The provider has let go of all of them.
sub let_go
{
    my ($what, @crowd) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ended = ended($mock, map { $_->{id} } @crowd);
    my @let_go = grep { ($ended->{ $_->{id} }{how} // '') eq 'peer_closed' }
        @crowd;

    is scalar(@let_go), scalar(@crowd), "$what: the provider is let go";
    return;
}

# Each has one line in the log, that says how it ended.
sub logged
{
    my ($server, $end, @crowd) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my %wanted = map { $_->{id} => 1 } @crowd;
    my %ends;

    wait_until(3, sub {
        my @mine = grep { $wanted{ $_->{request_id} // '' } }
            $server->access_lines;
        %ends = ();
        $ends{ $_->{end} // 'none' }++ for @mine;
        return @mine >= @crowd;
    });
    is_deeply \%ends, { $end => scalar @crowd },
        "the log has a line for each: $end";
    return;
}

# Which child has which stream: {id => pid}.
sub child_of
{
    my ($server) = @_;
    my %child;

    for (split /\n/, $server->log_text) {
        $child{$2} = $1 if /\[pid (\d+)[^\]]*\].* LX0031: \[(q\d+q)\]/;
    }
    return \%child;
}

# ----------------------------------------------------------------------

# 250 of them within 1.5 s, each for half a second at most.
sub storm
{
    my ($server) = @_;
    my @plan;

    for my $i (1 .. 250) {
        my ($begin, $life) = (rand 1.5, rand 0.5);
        my $way = $i % 2 ? 'abort' : 'close';
        my $model = 'mock/m' . ('+gap=40', '+stall=30', '+stall_after=2,30',
                                '+flood=3000,100+gap=5')[$i % 4];
        my $s;
        push @plan, [$begin, sub { ($s) = crowd($server, 1, $model, 50) }],
            [$begin + $life, sub { $s->{client}->$way }];
    }
    play(@plan);
    return;
}

subtest 'clients vanish by the hundred' => sub {
    my $seed = 4712;
    note "seed $seed";
    srand $seed;
    my $server = server('');
    my (@fds, @rss);

    # The most that will be at the same time, so that all has been needed.
    my @crowd = crowd($server, 250, 'mock/m+stall_after=3,30', 3);
    is begun(6, @crowd), 250, 'a crowd to warm it up';
    parks_at_least($server, 250, 'all are parked');
    $_->{client}->abort for @crowd;
    let_go('the crowd', @crowd);
    for my $round (1 .. 3) {
        storm($server);
        settles($server, "round $round");
        ok wait_until(3, sub { !grep { !$_->{how} } $mock->requests }),
            "round $round: no request is left at the provider";
        push @fds, settled(sub { descriptors($server) });
        push @rss, resident($server);
    }
    is scalar($server->children), 2, 'the children are the same two';
    # Each keeps some idle connections to the provider.
    cmp_ok $fds[2] - $fds[0], '<=', 8, "descriptors stay: @fds";
    SKIP: {
        skip 'sanitizers keep freed memory: no bound', 1
            if $ENV{LLMUX_ASAN} || $ENV{LLMUX_TSAN};
        cmp_ok $rss[2] - $rss[0], '<', 3000, "kB of memory stay: @rss";
    }
    my %ends;
    $ends{ $_->{end} }++ for grep { $_->{end} } $server->access_lines;
    cmp_ok $ends{client_gone} // 0, '>', 600, 'the log says who left';
    is_deeply [sort keys %ends], ['client_gone'], '... and nothing else'
        or diag join ' ', %ends;
    finish($server);
};

subtest 'two graceful restarts under 300 parked streams' => sub {
    my $server = server('');
    my @old = $server->children;
    my @crowd = crowd($server, 300, 'mock/m+gap=450', 10);

    is begun(6, @crowd), 300, 'all have begun';
    parks_at_least($server, 250, 'nearly all are parked at the same time');
    for my $round (1, 2) {
        ok $server->graceful, "restart $round";
        is post($server, $path, chat('mock/m', 'x'))->status, 200,
            '... and it serves';
    }
    cmp_ok status($server)->{LLMuxInFlight}, '>=', 290,
        'those of before are counted';
    all_complete('none is cut', @crowd);
    my $done = time;
    $_->{client}->close for @crowd;
    ok wait_until(6, sub {
        my %now = map { $_ => 1 } $server->children;
        return !grep { $now{$_} } @old;
    }), 'the old children go then';
    logged($server, 'ok', @crowd);
    settles($server, 'after it');
    finish($server);
};

subtest 'a stop under 300 parked streams' => sub {
    my $server = server('');
    my @crowd = crowd($server, 300, 'mock/m+stall_after=3,30', 3);

    is begun(6, @crowd), 300, 'all have begun';
    parks_at_least($server, 300, 'all are parked');
    sleep 0.1;
    my $began = time;
    ok $server->stop('TERM'), 'it goes, and nothing is left';
    cmp_ok time - $began, '<', patience(3), 'soon';
    all_broken('streams', @crowd);
    let_go('streams', @crowd);
    logged($server, 'server_stopped', @crowd);
    no_problems($server);
};

subtest 'a hard restart under 300 parked streams' => sub {
    my $server = server('');
    my @crowd = crowd($server, 300, 'mock/m+stall_after=3,30', 3);

    is begun(6, @crowd), 300, 'all have begun';
    parks_at_least($server, 300, 'all are parked');
    sleep 0.1;
    my $began = time;
    kill HUP => $server->pid;
    all_broken('streams', @crowd);
    let_go('streams', @crowd);
    ok $server->wait_ready(2), 'it serves again';
    cmp_ok time - $began, '<', patience(4), 'soon';
    settles($server, 'with the memory of before');
    logged($server, 'server_stopped', @crowd);
    finish($server);
};

subtest 'a child is killed' => sub {
    my $server = server('');
    my @crowd = crowd($server, 200, 'mock/m+stall_after=3,30', 3);

    is begun(6, @crowd), 200, 'all have begun';
    parks_at_least($server, 200, 'all are parked');
    my $child_of = child_of($server);
    my $victim = $child_of->{ $crowd[0]{id} };
    my @hit = grep { $child_of->{ $_->{id} } == $victim } @crowd;
    my @others = grep { $child_of->{ $_->{id} } != $victim } @crowd;
    kill KILL => $victim;

    all_broken('its ' . @hit, @hit);
    let_go('its ' . @hit, @hit);
    my $status;
    ok wait_until(5, sub {
        $status = status($server);
        return 2 == grep { $status->{$_} == @others }
            qw(LLMuxParked LLMuxInFlight);
    }), 'the others are all that is counted'
        or diag "$status->{LLMuxInFlight}, $status->{LLMuxParked} of "
            . @others;
    my @more = crowd($server, 60, 'mock/m+stall_after=3,30', 3);
    is begun(6, @more), 60, 'others may begin';
    parks_at_least($server, @others + 60, '... and park');
    $_->{client}->abort for @others, @more;
    settles($server, 'after it');
    finish($server, qr/exit signal Killed/);
};

subtest 'children that retire' => sub {
    my $worn = server("MaxConnectionsPerChild 40\nStartServers 1\n");
    # Four of them look idle when all requests are parked.
    my $spare = server("StartServers 4\nMaxRequestWorkers 256\n"
        . "MinSpareThreads 1\nMaxSpareThreads 40\n");
    my @crowds = map { [crowd($_, 150, 'mock/m+gap=500', 9)] } $worn, $spare;
    my @was = map { [$_->children] } $worn, $spare;

    is begun(6, @{ $crowds[0] }), 150, 'worn out: all have begun';
    is begun(6, @{ $crowds[1] }), 150, 'too many: all have begun';
    all_complete('worn out', @{ $crowds[0] });
    all_complete('too many', @{ $crowds[1] });
    $_->{client}->close for map { @$_ } @crowds;
    my $child_of = child_of($worn);
    my %pids = map { $child_of->{ $_->{id} } => 1 } @{ $crowds[0] };
    cmp_ok scalar(keys %pids), '>=', 3, 'worn out: several took part';
    ok wait_until(6, sub { scalar($spare->children) < @{ $was[1] } }),
        'too many: some have retired';
    settles($_, 'after it') for $worn, $spare;
    finish($_) for $worn, $spare;
};

# ---- lingering

# Has a worker stayed with a connection, beside the one that tells?
sub lingers { return status($_[0])->{BusyWorkers} - 1 }

sub asks
{
    my ($c, $id) = @_;
    my $res = $c->post($path, chat('mock/m', $id));
    return $res->status == 200 && $res->body =~ /"\Q$id\E"/;
}

sub one_child { return server("StartServers 1\nMaxRequestWorkers 32\n"
                              . "MinSpareThreads 1\nServerLimit 1\n$_[0]") }

subtest 'a worker stays for the next request' => sub {
    my $server = one_child("LLMuxPark auto\nLLMuxLinger 500ms\n");
    my $c = client($server);
    my @ids = map { "c$_-linger" } 1 .. 30;

    my $began = time;
    is scalar(grep { asks($c, $_) } @ids), 30, '30 requests in a row';
    my $took = time - $began;
    cmp_ok $took, '<', patience(0.6), 'without delay';
    my ($first, @threads) = map { /pid (\d+:tid \d+).* LX0031:/ ? $1 : () }
        split /\n/, $server->log_text;
    is_deeply [grep { $_ ne $threads[0] } @threads], [],
        'one thread answered all that came behind the first';
    isnt $first, $threads[0], '... the thread of a loop';
    is lingers($server), 1, 'it waits for more';
    ok wait_until(1, sub { lingers($server) == 0 }), '... not for ever';

    ok asks($c, 'late'), 'who paused is answered';
    is lingers($server), 0, '... and not waited for again';
    ok asks($c, 'soon'), 'when he comes back soon';
    is lingers($server), 1, '... he is';
    $c->close;
    ok wait_until(0.3, sub { lingers($server) == 0 }),
        'who leaves is not waited for';

    my $other = client($server);
    $other->get('/server-status?auto');
    ok wait_until(0.2, sub { lingers($server) == 0 }),
        'nobody lingers for what others answered';
    my @crowd = map { client($server) } 1 .. 30;
    asks($_, 'one of many') for @crowd;
    cmp_ok lingers($server), '<=', 25, 'nor do more than three quarters';
    ok asks(client($server), 'another'), '... so that others are served';
    finish($server);
};

subtest 'LLMuxLinger 0' => sub {
    my $server = one_child("LLMuxPark auto\nLLMuxLinger 0\n");
    my $c = client($server);

    is scalar(grep { asks($c, "x$_") } 1 .. 30), 30, '30 requests in a row';
    is lingers($server), 0, 'nobody lingers';
    finish($server);
};

# Everybody asks again as soon as he is answered. What fails must never have
# been begun: an idle connection may be closed, and the client asks anew.
subtest 'graceful restarts while everybody is in a hurry' => sub {
    my $server = server("LLMuxPark auto\nMaxKeepAliveRequests 0\n");
    my @clients = map { { n => 0 } } 1 .. 16;
    my @old = $server->children;
    my ($answered, @failed, @wrong) = (0);
    my $ask = sub {
        my ($s) = @_;
        $s->{client} //= client($server);
        $s->{id} = new_id();
        ask($s->{client}, 'mock/m', $s->{id}, 0);
    };
    $ask->($_) for @clients;
    my $began = time;
    my @at = (0.7, 1.7);
    while (time - $began < 3) {
        if (@at && time - $began > $at[0]) {
            shift @at;
            kill USR1 => $server->pid;
        }
        for my $s (@clients) {
            my $c = $s->{client};
            $c->look(0);
            my $res = $c->{response};
            $res->feed(\$c->{in}, time);
            if ($res->done) {
                $answered++;
                $s->{n}++;
                push @wrong, $s->{id} . ' ' . $res->body
                    if $res->body !~ /"\Q$s->{id}\E"/;
            }
            elsif ($c->{closed}) {
                push @failed, $s->{id};
                push @wrong, "$s->{id}: cut"
                    if $res->{head} ne '' || defined $res->{head_at};
                push @wrong, "$s->{id}: closed before it had one answer"
                    if !$s->{n};
                delete $s->{client};
                $s->{n} = 0;
            }
            else {
                next;
            }
            $ask->($s);
        }
    }
    my %now = map { $_ => 1 } $server->children;
    is scalar(grep { $now{$_} } @old), 0,
        'the first children are gone, whatever the hurry';
    note "$answered answered, " . @failed . ' had to ask again';
    cmp_ok $answered, '>', 300, 'many are answered';
    is_deeply \@wrong, [], 'each with his own answer, none is cut';
    cmp_ok scalar(@failed), '<=', 4 * 16, 'few had to ask again';
    $_->{client}->close for @clients;
    my %failed = map { $_ => 1 } @failed;
    is_deeply [grep { $failed{$_} } map { $_->{request_id} // () }
        $server->access_lines($answered)], [],
        'those that had to ask again had not been begun';
    like $server->log_text, qr/(?:AH00493.*){2}/s, 'restarted twice';
    ok $server->wait_ready(3), '... and ready';
    settles($server, 'after it');
    finish($server);
};

done_clean();
done_testing;
