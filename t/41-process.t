# 41-process.t - children come and go under live streams: restarts, deaths, a
# provider that stops breathing, many clients at once, clients that vanish, and
# the connections that are kept.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $path = '/v1/chat/completions';
my $mock = mock();
my $keeper = mock();        # the one whose connections are counted

# Two children from the start, and room for those of older generations that
# still have streams. $models: those of the provider `mock`.
sub conf
{
    my ($models, $more) = @_;
    return <<"END" . ($more // '');
StartServers 2
ServerLimit 8
MinSpareThreads 40
<LLMuxProvider mock>
    LLMuxType openai
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey sk-mock
    LLMuxModels $models
</LLMuxProvider>
<LLMuxProvider kept>
    LLMuxType openai
    LLMuxBaseURL @{[ $keeper->base('/v1') ]}
    LLMuxAPIKey sk-kept
    LLMuxModels kept kept+idle=0 kept+idle=3
</LLMuxProvider>
<LLMuxProvider hasty>
    LLMuxType openai
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey sk-hasty
    LLMuxModels hurry hurry+gap=100
    LLMuxRetries 0
    LLMuxFirstByteTimeout 600ms
    LLMuxSilenceTimeout 600ms
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
END
}

my $models = 'm m+stall=1.5 m+stall=30 m+gap=5 m+gap=30 m+gap=100';
my @allowed = (
    qr/exit signal Killed/,             # by us
    qr/LX0021: .* with hasty /,         # its provider was stopped by us
    qr/AH10159/,                        # two full children are all there are
);
my $httpd = httpd(modules => ['status'], conf => conf($models));

# ---- streams, each with words of its own

my $streams_so_far = 0;

# Opens n streams of $count words. Each is {client, text, id}.
sub open_streams
{
    my ($where, $n, $model, $count) = @_;

    return map {
        my $id = 's' . ++$streams_so_far;
        my $text = join ' ', map { "$id-$_" } 1 .. $count;
        my $c = client($where);
        $c->send_request(POST => $path, headers => { 'X-Request-ID' => $id },
                         body => chat($model, $text, stream => true));
        { client => $c, text => $text, id => $id };
    } 1 .. $n;
}

# Until each of them has said something.
sub wait_for_words
{
    for my $s (@_) {
        $s->{client}->read(until => sub { $_[0]->body =~ /$s->{id}-1\b/ });
    }
    return;
}

sub said
{
    my ($res) = @_;
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json} && $_->{json}{choices} } $res->events;
}

sub is_complete
{
    my ($s, $res) = @_;
    return $res->ok && $res->status == 200 && said($res) eq $s->{text}
        && $res->body =~ /\ndata: \[DONE\]\n\n\z/;
}

# All of them arrive as they should: every word, no other's, one end.
sub all_complete
{
    my ($what, @streams) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @bad = grep { !is_complete($_, $_->{client}->read) } @streams;

    is scalar(@bad), 0, "$what: " . @streams . ' of ' . @streams
        . ' are complete';
    diag($bad[0]{client}{response}->error // 'no error', "\n",
         $bad[0]{client}{response}->body) if @bad;
    return;
}

# ---- what the server says of itself

sub in_flight
{
    my ($where) = @_;
    get($where, '/server-status?auto')->body =~ /^LLMuxInFlight: (\d+)/m;
    return $1 // 'no number';
}

sub settles
{
    my ($where, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok wait_until(5, sub { in_flight($where) eq '0' }),
        "$what: nothing is in flight" or diag in_flight($where);
    return;
}

# Lines of the metrics that tell of deployments: {line without value => value}.
sub metrics
{
    my ($where) = @_;
    my %lines = map { /^(.+) (\S+)$/ ? ($1 => $2) : () }
        grep { /^llmux_/ && !/"other"|in_flight/ }
        split /\n/, get($where, '/metrics')->body;
    return \%lines;
}

sub served_line
{
    my ($model) = @_;
    return 'llmux_requests_total{provider="mock",model="' . $model
        . '",status="200"}';
}

sub served
{
    my ($where, $model) = @_;
    return metrics($where)->{served_line($model)} // 0;
}

# Those that are less than they were. Only models that are still there.
sub lost
{
    my ($before, $after) = @_;
    my %still = map { /[,{]model="([^"]+)"/ ? ($1 => 1) : () } keys %$after;

    return [grep { ($after->{$_} // 0) < $before->{$_} }
        grep { /[,{]model="([^"]+)"/ && $still{$1} } sort keys %$before];
}

sub models_of
{
    return join ' ', map { $_->{id} }
        @{ get($_[0], '/v1/models')->json->{data} };
}

sub works
{
    my ($where, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $word = 'w' . ++$streams_so_far;
    my $res = post($where, $path, chat('m', $word));

    is eval { $res->json->{choices}[0]{message}{content} }, $word,
        "$what: the next request works" or diag $res->body;
    return;
}

sub descriptors { return scalar(() = glob "/proc/$_[0]/fd/*") }

# Those of all children, once it has been the same for half a second: httpd
# takes up to two for its farewell to a client.
sub settled_descriptors
{
    my ($where) = @_;
    my ($last, $since) = (-1, 0);

    wait_until(5, sub {
        my $now = 0;
        $now += descriptors($_) for $where->children;
        ($last, $since) = ($now, time) if $now != $last;
        return time - $since > 0.5;
    });
    return $last;
}

# Of all children together, in kB.
sub resident
{
    my ($where) = @_;
    my $sum = 0;
    slurp("/proc/$_/status") =~ /^VmRSS:\s+(\d+)/m and $sum += $1
        for $where->children;
    return $sum;
}

# ----------------------------------------------------------------------

subtest 'a graceful restart cuts nobody off' => sub {
    post($httpd, $path, chat('m', 'x')) for 1 .. 3;
    my $before = metrics($httpd);
    my $n = $mock->requests;
    my @old = $httpd->children;

    my @streams = open_streams($httpd, 20, 'm+gap=100', 20);
    my $whole = client($httpd);
    $whole->send_request(POST => $path, body => chat('m+stall=1.5', 'whole'));
    ok $mock->wait_requests($n + 21), 'all of them are under way';
    wait_for_words(@streams);

    ok $httpd->graceful(conf("$models brand-new")), 'restarted';
    like models_of($httpd), qr/\bbrand-new\b/, 'the new configuration holds';
    is in_flight($httpd), 21, 'the old children\'s requests are in flight';
    works($httpd, 'meanwhile');
    is_deeply lost($before, metrics($httpd)), [], 'no counter was lost';

    all_complete('streams', @streams);
    is $whole->read->json->{choices}[0]{message}{content}, 'whole',
        'and so is the whole answer';
    ok wait_until(10, sub {
        my %now = map { $_ => 1 } $httpd->children;
        return !grep { $now{$_} } @old;
    }), 'the old children are gone';
    settles($httpd, 'after it');
    is served($httpd, 'm+gap=100'), 20, 'what they did at last is counted';
};

subtest 'and neither do two in a row' => sub {
    my @all;
    my $before = served($httpd, 'm+gap=100');

    for my $round (1, 2) {
        my @streams = open_streams($httpd, 10, 'm+gap=100', 20);
        wait_for_words(@streams);
        push @all, @streams;
        ok $httpd->graceful(conf("$models round-$round")),
            "restart $round under streams";
        like models_of($httpd), qr/\bround-$round\b/, 'its configuration holds';
    }
    is in_flight($httpd), 20, 'three generations are counted together';
    all_complete('streams of two generations', @all);
    is served($httpd, 'm+gap=100') - $before, 20, 'all are counted';
    settles($httpd, 'after it');
};

subtest 'counters outlive configurations' => sub {
    post($httpd, $path, chat('m', 'a b c'));
    ok wait_until(5, sub { in_flight($httpd) eq '0' }), 'quiet';
    my $before = metrics($httpd);
    my %of_m = map { $_ => $before->{$_} } grep { /model="m"/ } keys %$before;
    cmp_ok scalar(keys %of_m), '>', 20, 'there are numbers';

    ok $httpd->graceful(conf('another')), 'the model is taken out';
    is_deeply [grep { /model="m"/ } keys %{ metrics($httpd) }], [],
        'its numbers are not shown';
    ok $httpd->graceful(conf($models)), 'it comes back';
    my $after = metrics($httpd);
    is_deeply { map { $_ => $after->{$_} } keys %of_m }, \%of_m,
        'with the numbers it had';
    is_deeply lost($before, $after), [], 'as everything else';
    works($httpd, 'then');
    is served($httpd, 'm'), 1 + $before->{served_line('m')},
        'and they go on rising';
};

# Which child answers which stream: {id => pid}, by the log.
sub child_of
{
    my ($where) = @_;
    my %child;

    for (split /\n/, $where->log_text) {
        $child{$2} = $1 if /\[pid (\d+)[^\]]*\].* LX0031: \[(s\d+)\]/;
    }
    return \%child;
}

subtest 'a child is killed' => sub {
    # After a graceful restart httpd brings the second one a second later.
    ok wait_until(10, sub { 2 == $httpd->children }), 'two children';
    my $counted = metrics($httpd);
    my $n = $mock->requests;

    # Until each of them has some.
    my (@streams, %by_child);
    while (@streams < 40 && 2 > grep { @$_ >= 3 } values %by_child) {
        push @streams, open_streams($httpd, 4, 'm+gap=100', 20);
        wait_for_words(@streams[-4 .. -1]);
        my $child_of = child_of($httpd);
        %by_child = ();
        push @{ $by_child{ $child_of->{ $_->{id} } } }, $_ for @streams;
    }
    # Not before: one of an older generation may have been among them.
    my @before = $httpd->children;
    my ($victim) = sort { @{ $by_child{$a} } <=> @{ $by_child{$b} } }
        keys %by_child;
    ok scalar(grep { $_ == $victim } @before), 'it is a child of ours'
        or return;
    my @hit = @{ delete $by_child{$victim} };
    my @others = map { @$_ } values %by_child;
    is in_flight($httpd), scalar(@streams), 'all streams are in flight';
    kill KILL => $victim;

    my @broken = grep { my $res = $_->{client}->read;
        $res->error && $res->error =~ /^(?:closed early|reset)$/
            && $res->body !~ /\[DONE\]/ } @hit;
    is scalar(@broken), scalar(@hit),
        'its ' . @hit . ' streams break, and look broken';
    works($httpd, 'at once');
    ok wait_until(10, sub {
        my @now = grep { $_ != $victim } $httpd->children;
        return @now == 2;
    }), 'the parent starts another one';
    all_complete('streams of the other child', @others);
    settles($httpd, 'the slot of the dead one');
    ok wait_until(2, sub {
        my @r = ($mock->requests)[$n .. $n + @streams - 1];
        return @hit == grep { ($_->{how} // '') eq 'peer_closed' } @r;
    }), 'its connections to the provider are closed';
    works($httpd, "then $_") for 1 .. 4;
    is_deeply lost($counted, metrics($httpd)), [],
        'the counters are still there';
};

subtest 'the provider stops breathing' => sub {
    my ($s) = open_streams($httpd, 1, 'hurry+gap=100', 40);
    $s->{client}->read(until => sub { $_[0]->body =~ /$s->{id}-3\b/ });
    my $stopped = time;
    kill STOP => $mock->{pid};
    my $res = $s->{client}->read(timeout => 5);
    my $took = time - $stopped;
    my $whole = post($httpd, $path, chat('hurry', 'x'), timeout => 5);
    kill CONT => $mock->{pid};

    my @events = grep { defined $_->{data} } $res->events;
    my $error = $events[-1]{json}{error} || {};
    is $res->error, undef, 'the stream ends cleanly';
    is $error->{code}, 'upstream_timeout', 'with an error event';
    unlike $res->body, qr/\[DONE\]/, 'and no [DONE]';
    cmp_ok $took, '>', 0.4, 'not before the silence was long enough';
    cmp_ok $took, '<', patience(2), 'and soon after';
    is $whole->status, 504, 'who comes meanwhile is told';
    is $whole->json->{error}{code}, 'upstream_timeout', 'the same';
    works($httpd, 'when it breathes again');
    is post($httpd, $path, chat('hurry', 'y'))->status, 200,
        'also by that provider';
    settles($httpd, 'after it');
};

subtest 'many at once, and each gets his own' => sub {
    my @clients = map { client($httpd) } 1 .. 50;
    my ($answered, $again, @wrong) = (0, 0);

    for my $round (1 .. 4) {
        my @words = map { "r$round-c$_-" . int rand 1e9 } 0 .. $#clients;
        my $ask = sub {
            $clients[$_[0]]->send_request(POST => $path,
                body => chat('m', $words[$_[0]]));
        };
        $ask->($_) for 0 .. $#clients;
        for my $i (0 .. $#clients) {
            my $res = $clients[$i]->read;
            # httpd closes some idle connections when a child has no thread
            # left; every client asks again then.
            if ($round > 1 && ($res->error // '') =~ /^(?:closed|reset)$/) {
                $clients[$i] = client($httpd);
                $ask->($i);
                $again++;
                $res = $clients[$i]->read;
            }
            my $got = eval { $res->json->{choices}[0]{message}{content} };
            $answered++;
            push @wrong, "$words[$i]: " . ($got // $res->error // $res->body)
                if !defined $got || $got ne $words[$i];
        }
    }
    is $answered, 200, '200 requests over 50 connections';
    is_deeply \@wrong, [], 'each answer belongs to its question';
    cmp_ok $again, '<', 50, 'few had to come again';
    $_->close for @clients;
    all_complete('60 streams at once', open_streams($httpd, 60, 'm+gap=5', 30));
    settles($httpd, 'after them');
};

# ---- clients that vanish

# What a client may do before it goes. None of it comes to an end by itself
# before the client does.
my $body = to_json(chat('m+gap=30', join(' ', 1 .. 100), stream => true));
my $head = "POST $path HTTP/1.1\r\nHost: localhost\r\n"
    . "Content-Type: application/json\r\nContent-Length: "
    . length($body) . "\r\n\r\n";
my @habits = (
    sub { },                                                # says nothing
    sub { $_[0]->send(substr $head, 0, int rand length $head) },
    sub { $_[0]->send($head . substr $body, 0, int rand length $body) },
    (sub { $_[0]->send("$head$body") }) x 4,                # a stream
    (sub { $_[0]->send_request(POST => $path,
        body => chat('m+stall=30', 'x')) }) x 2,            # whole, silent
    sub { $_[0]->send_request(POST => $path, body =>
        chat('m+stall=30', 'x', stream => true)) },
    sub { $_[0]->get('/health'); $_[0]->send("$head$body") },
);

# A hundred of them within 1.5 s, each for up to 0.4 s.
sub storm
{
    my ($where) = @_;
    my @plan;

    for (1 .. 100) {
        my ($begin, $life) = (rand 1.5, rand 0.4);
        my $habit = $habits[rand @habits];
        my $way = rand() < 0.5 ? 'abort' : 'close';
        my $c;
        push @plan, [$begin, sub { $c = client($where); $habit->($c) }],
            [$begin + $life, sub { $c->$way }];
    }
    my $start = time;
    for my $step (sort { $a->[0] <=> $b->[0] } @plan) {
        my $ahead = $start + $step->[0] - time;
        sleep $ahead if $ahead > 0;
        $step->[1]->();
    }
    return;
}

subtest 'a hundred clients vanish, three times' => sub {
    my $seed = 4711;
    note "seed $seed";
    srand $seed;
    # Children without a past: no connections of the crowds before.
    ok $httpd->graceful, 'fresh children';
    ok wait_until(10, sub { 2 == $httpd->children }), 'two';
    my @crowd = open_streams($httpd, 60, 'm+gap=30', 100);
    wait_for_words(@crowd);
    $_->{client}->abort for @crowd;
    settles($httpd, 'a crowd has warmed it up');
    works($httpd, 'before') for 1 .. 4;

    my $n = $mock->requests;
    my (@fds, @rss);
    for my $round (1 .. 3) {
        storm($httpd);
        settles($httpd, "round $round");
        ok wait_until(5, sub { !grep { !$_->{how} } $mock->requests }),
            "round $round: no request is left at the provider";
        my @open = grep { !$_->{closed_at} } $mock->connections;
        # An idle one for each child that has answered somebody since.
        cmp_ok scalar(@open), '<=', 4, "round $round: nor are connections";
        works($httpd, "round $round");
        is scalar($httpd->children), 2, "round $round: two children";
        push @fds, settled_descriptors($httpd);
        push @rss, resident($httpd);
    }
    my @seen = ($mock->requests)[$n .. $mock->requests - 1];
    cmp_ok scalar(@seen), '>', 100, 'many of them reached the provider';
    cmp_ok scalar(grep { $_->{how} eq 'peer_closed' } @seen), '>', 100,
        'which was told when they left';
    # A pooled connection has three descriptors: its own, and two with which
    # libcurl wakes itself.
    cmp_ok $fds[2] - $fds[0], '<=', 6, "descriptors stay: @fds";
    # 64 threads, each with pools of its own that become as large as what it
    # has met; 10 kB for each vanished client would be seen.
    SKIP: {
        skip 'sanitizers keep freed memory: no bound', 1
            if $ENV{LLMUX_ASAN} || $ENV{LLMUX_TSAN};
        cmp_ok $rss[2] - $rss[0], '<', 2000, "kB of memory stay: @rss";
    }
};

# ---- connections to providers

# n requests on connections of their own. Gives the children that answered.
sub ask_kept
{
    my ($n, $model, $pause, @how) = @_;
    my (%child, @bad);
    my @ids = map { 's' . ++$streams_so_far } 1 .. $n;

    for my $id (@ids) {
        my $res = post($httpd, $path, chat($model, $id),
                       headers => { 'X-Request-ID' => $id });
        push @bad, "$id: " . $res->body if $res->status != 200;
        sleep $pause->() if $pause;
    }
    is_deeply \@bad, [], "$n times $model: all answered";
    my %mine = map { $_ => 1 } @ids;
    wait_until(5, sub {
        return $n <= grep { $mine{ $_->{request_id} // '' } }
            $httpd->access_lines;
    });
    is_deeply [map { "$_->{request_id}: $_->{attempts}" }
        grep { $mine{ $_->{request_id} // '' } && $_->{attempts} != 1 }
        $httpd->access_lines], [], '... at the first attempt';
    my $child_of = child_of($httpd);
    $child{ $child_of->{$_} }++ for @ids;
    return keys %child;
}

subtest 'connections are kept, and closed ones do no harm' => sub {
    my @children = ask_kept(20, 'kept');
    my @made = $keeper->connections;
    is scalar(@made), scalar(@children), 'one connection for each child';
    my @requests = $keeper->requests;
    cmp_ok +(sort { $b <=> $a } map { $_->{nth_on_conn} } @requests)[0], '>=',
        20 / @children, 'used again and again';

    $keeper->drop_idle;
    @children = ask_kept(10, 'kept');
    cmp_ok scalar(() = $keeper->connections), '<=', @made + @children,
        'dropped by the provider, each is made once more';

    my $before = $keeper->connections;
    ask_kept(20, 'kept+idle=0');
    cmp_ok $keeper->connections - $before, '>=', 18,
        'a provider who hangs up after each answer';
    # It hangs up while the next request is on its way, now and then.
    ask_kept(100, 'kept+idle=3', sub { 0.001 + rand 0.004 });

    ask_kept(4, 'kept');
    ok $httpd->graceful, 'restart';
    ok wait_until(5, sub { !grep { !$_->{closed_at} } $keeper->connections }),
        'old children close what they kept';
};

done_clean($httpd, allow => \@allowed);
done_testing;
