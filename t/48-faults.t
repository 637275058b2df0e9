# 48-faults.t - what goes wrong between the parts of an answer: providers that
# are asked several times for one, binary frames, grants and pictures that are
# fetched before, counts of texts that nobody writes. However requests wait.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Matrix::Providers ();
use MIME::Base64 qw(encode_base64);

my $path = '/v1/chat/completions';
my @modes = qw(off auto always);
my $titan = 'amazon.titan-embed-text-v2:0';

# Who gives grants, and pictures, cannot make the provider late.
my ($mock, $keys, $pics) = map { mock() } 1 .. 3;

# ---- servers

my $made = temp_dir('faults');

END {
    local $?;
    drop_dir($made) if defined $made;
}

# An account of Google's for each place where its tokens come from.
my ($failed, $said) = run(['openssl', 'genpkey', '-algorithm', 'RSA',
    '-pkeyopt', 'rsa_keygen_bits:2048', '-out', "$made/key.pem"]);
die "openssl: $said\n" if $failed;

sub account
{
    my ($name) = @_;

    spew("$made/$name.json", to_json({ type => 'service_account',
        project_id => 'project-1', private_key_id => 'kid-1',
        private_key => slurp("$made/key.pem"),
        client_email => 'gateway@project-1.iam.gserviceaccount.com',
        token_uri => $keys->url . "/$name" }));
    chmod 0644, "$made/$name.json";
    return "$made/$name.json";
}

sub provider
{
    my ($name, $type, @more) = @_;
    my $base = $mock->base($type =~ /^openai/ ? '/v1' : '');

    return join "\n", "<LLMuxProvider $name>", "LLMuxType $type",
        "LLMuxBaseURL $base", 'LLMuxRetries 0', @more,
        "</LLMuxProvider>\n";
}

my @key = 'LLMuxAPIKey sk-x';
my @grants = qw(slow dies killed left stops prefork);

sub providers
{
    my ($mode) = @_;

    return provider('oai', 'openai', @key), provider('ant', 'anthropic', @key),
        provider('gem', 'gemini', @key), provider('oll', 'ollama-native'),
        provider('plain', 'openai-compatible', 'LLMuxAbility -embeddings'),
        provider('bed', 'bedrock', 'LLMuxRegion eu-central-1',
                 'LLMuxAWSKey AKIDEXAMPLE wJalrXUtnFEMI-example'),
        map { provider($_, 'vertex', 'LLMuxRegion europe-west4',
                       'LLMuxCredentials ' . account("$mode-$_")) } @grants;
}

# The first one may fail, then there is another.
sub model
{
    my ($name, $first, $second) = @_;
    return <<"END";
<LLMuxModel $name>
    LLMuxDeployment $first
    LLMuxFallback $name-other
</LLMuxModel>
<LLMuxModel $name-other>
    LLMuxDeployment $second
</LLMuxModel>
END
}

my $models = join '', model('reset', 'ant first', 'ant second'),
    model('stall', 'ant first', 'oai second'),
    model('frame', 'bed first', 'ant second'),
    model('vectors', "bed $titan", 'oll second');

# One child, unless there may be more; few threads where waiting takes none:
# `auto` parks at once as soon as more than half of them are busy.
sub server
{
    my ($mode, %opt) = @_;
    my $threads = $mode eq 'off' ? 40 : 4;
    my $children = $opt{children} // 1;
    my $all = $threads * $children;

    return httpd(modules => ['status'], mpm => $opt{mpm} // 'event',
        conf => ($opt{mpm} ? '' : <<"MPM") . <<"END");
ServerLimit $children
StartServers @{[ $opt{begin} // 1 ]}
ThreadsPerChild $threads
MaxRequestWorkers $all
AsyncRequestWorkerFactor 100
MPM
KeepAliveTimeout 20
AllowEncodedSlashes NoDecode
LLMuxPark $mode
LLMuxDirect on
LLMuxBackoff 1ms
LLMuxDataDir __TREE__/data
LLMuxMediaFetch on
LLMuxMediaNetworks 127.0.0.0/8
@{[ join '', providers($mode) ]}
$models
<Location "/">
    SetHandler llmux
</Location>
<Location "/quick">
    SetHandler llmux
    LLMuxHeartbeat 200ms
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
END
}

my %servers = map { $_ => server($_) } @modes;

# What a full child is told, and providers that fail because they were asked.
my @allowed = (qr/AH00484|AH00485|AH10159|AH03490/, qr/LX002[123]: /);

sub finish
{
    my ($what, $server, @allow) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    # Not while a worker closes a connection: httpd's own race.
    sleep 0.1;
    $server->stop('TERM');
    my @problems = $server->problems(allow => [@allowed, @allow]);
    is_deeply \@problems, [], "$what: nothing untoward in its log";
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

# So many at least; those who wait for others look again and again.
sub parks
{
    my ($mode, $n, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $most = -1;

    wait_until($mode eq 'off' ? 0 : 4, sub {
        my $now = status($servers{$mode})->{LLMuxParked} // -1;
        $most = $now if $now > $most;
        return $most >= $n;
    });
    $mode eq 'off' ? is $most, 0, "$mode: none is parked"
        : cmp_ok $most, '>=', $n, "$mode: $what";
    return;
}

# Its own page is the one request that works.
sub settle
{
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $want = 'LLMuxInFlight=0 LLMuxParked=0 BusyWorkers=1';

    for my $mode (@modes) {
        my $now;
        wait_until(5, sub {
            my $status = status($servers{$mode});
            $now = join ' ', map { "$_=" . ($status->{$_} // '?') }
                qw(LLMuxInFlight LLMuxParked BusyWorkers);
            return $now eq $want;
        });
        is $now, $want, "$mode, $what: nothing is left";
        like get($servers{$mode}, '/metrics')->body,
            qr/^llmux_http_requests_in_flight 1$/m,
            '... /metrics sees only who asks';
    }
    return;
}

# ---- questions and answers

my $so_far = 0;


sub new_id { return 'q' . ++$so_far . 'q' }

# One for each mode: {mode, id, client} and what else is said.
sub each_mode
{
    my (%more) = @_;
    return map { +{ %more, mode => $_, id => new_id(),
                   client => client($servers{$_}, timeout => 25) } } @modes;
}

# Everything but the body has a default.
sub ask
{
    my ($s, $body, $where) = @_;
    return $s->{client}->send_request(POST => $where // $path, body => $body,
        headers => { 'X-Request-ID' => $s->{id},
                     'Content-Type' => 'application/json' });
}

sub words { return "$_[0]{id} b c d" }

# What the provider does when it is asked for the same thing again.
sub in_turn
{
    my ($s, @do) = @_;
    return map { { body => "\\b$s->{id}\\b", times => 1, do => $_ } } @do;
}

sub requests_of
{
    my ($s, $who) = @_;
    return grep { ($_->{body} . $_->{target}) =~ /\b$s->{id}\b/ }
        ($who // $mock)->requests;
}

# What each choice says, in a stream or not.
sub said
{
    my ($res) = @_;
    my @chunks = map { $_->{json} || () } $res->events;

    @chunks = $res->json if !@chunks && $res->json;
    return said_in(\@chunks);
}

sub said_in
{
    my ($chunks) = @_;
    my @said;

    for my $choice (map { @{ $_->{choices} || $_->{candidates} || [] } }
                    @$chunks) {
        my $is = $choice->{delta} || $choice->{message} || $choice;
        $said[$choice->{index} // 0] .= ref $is->{content}
            ? join '', map { $_->{text} // '' } @{ $is->{content}{parts} }
            : $is->{text} // $is->{content} // '';
    }
    return \@said;
}

# How an answer ended, in a word: whole, broken (the stream says it), the
# status, or what the client noticed.
sub outcome
{
    my ($res) = @_;
    my ($last) = reverse grep { $_->{json} } $res->events;

    return $res->error if defined $res->error;
    return $res->status if $res->status != 200;
    return 'broken' if $last && $last->{json}{error}
        && $res->body !~ /\[DONE\]/;
    return 'no end' if $res->body =~ /"chat\.completion\.chunk"/
        && $res->body !~ /\ndata: \[DONE\]\n\n\z/;
    return 'whole';
}

sub quickly
{
    my ($mode, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $began = time;
    my $res = post($servers{$mode}, $path, chat('oai/m', 'quick'));

    is_deeply said($res), ['quick'], "$mode, $what: others are answered"
        or diag $res->error // $res->body;
    cmp_ok time - $began, '<', patience(0.7), '... at once';
    return;
}

# Once each of them has been asked of the provider so often.
sub until_asked
{
    my ($n, @all) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok wait_until(8, sub {
        return !grep { requests_of($_) < $n } @all;
    }), "the provider is asked: $n";
    return;
}

# They leave. Their providers see it within 250 ms, the log says it, and
# nobody is asked any more.
sub leave
{
    my ($what, $n, $who, @all) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my (@late, %line);

    for my $s (@all) {
        $s->{left} = time;
        $s->{client}->abort;
    }
    wait_until(3, sub {
        return !grep { my $s = $_; grep { !$_->{how} } requests_of($s, $who) }
            @all;
    });
    for my $s (@all) {
        my @rq = requests_of($s, $who);
        my $took = ($rq[-1]{ended_at} // 1e12) - $s->{left};
        push @late, "$s->{mode}: after $took" if $took > patience(0.25);
        push @late, "$s->{mode}: " . ($rq[-1]{how} // 'never')
            if ($rq[-1]{how} // '') ne 'peer_closed';
        push @late, "$s->{mode}: asked " . @rq if @rq != $n;
    }
    is_deeply \@late, [], "$what: within 250 ms the provider is let go";
    is_deeply [map { ends($_) } @all], [map { 'client_gone 499' } @all],
        '... the log says so';
    return;
}

# By the access log.
sub ends
{
    my ($s) = @_;
    my $server = $s->{server} // $servers{ $s->{mode} };
    my $line;

    wait_until(4, sub {
        ($line) = grep { ($_->{request_id} // '') eq $s->{id} }
            $server->access_lines;
        return $line;
    });
    return $line ? join ' ', map { $_ // '-' } @$line{qw(end status)}
        : 'no line';
}

# ---- a child that dies while it fetches: it begins now and is looked at last

sub grants
{
    my ($name, @do) = @_;
    my $good = { path => "^/\\w+-$name\$", do => { json => { expires_in => 3600,
        access_token => "ya29.$name", token_type => 'Bearer' } } };

    return (map { my $mode = $_; map { { path => "^/$mode-$name\$",
        times => 1, do => $_ } } @do } @modes), $good;
}

sub fetches
{
    my ($mode, $name) = @_;
    return grep { $_->{path} eq "/$mode-$name" } $keys->requests;
}

# The child that has a connection to that port.
sub child_with
{
    my ($server, $port) = @_;
    my $end = sprintf '0100007F:%04X', $port;
    my %inode = map { my @f = split; @f > 9 && $f[2] eq $end && $f[3] eq '01'
        ? ("socket:[$f[9]]" => 1) : () } split /\n/, slurp('/proc/net/tcp');
    my ($child) = grep {
        my $pid = $_;
        grep { $inode{ readlink($_) // '' } } glob "/proc/$pid/fd/*"
    } $server->children;

    return $child;
}

$keys->rules(grants('killed', 'stall=60'));
my @orphans;

for my $mode (@modes) {
    my $server = server($mode, children => 3, begin => 2);
    my $s = { mode => $mode, id => new_id(), server => $server,
              client => client($server) };

    ask($s, chat('killed/gemini', words($s)));
    wait_until(4, sub { scalar fetches($mode, 'killed') });
    $s->{child} = child_with($server, $keys->port);
    ok $s->{child}, "$mode: a child fetches";
    kill KILL => $s->{child} if $s->{child};
    ok $s->{client}->wait_closed(2), '... and dies of it';
    my @others = map { { mode => $mode, id => new_id(), server => $server,
        client => client($server, timeout => 25) } } 1 .. 3;
    ask($_, chat('killed/gemini', words($_))) for @others;
    push @orphans, [$s, @others];
}

# ---- several requests for one answer

sub three { return { %{ chat($_[0], words($_[1])) }, n => 3, @_[2 .. $#_] } }
sub candidates
{
    return { contents => [{ role => 'user', parts => [{
                 text => words($_[0]) }] }],
             generationConfig => { candidateCount => 3 } };
}

sub streamed { return three(@_, stream => true) }

subtest 'n = 3: the client leaves in the second' => sub {
    my @streams = each_mode();
    my @wholes = each_mode();
    my @parts = each_mode();

    $mock->rules(map({ in_turn($_, 'gap=5', 'stall_after=5,30') } @streams,
                     @parts), map { in_turn($_, {}, 'stall=30') } @wholes);
    ask($_, streamed('ant/m', $_)) for @streams;
    ask($_, three('ant/m', $_)) for @wholes;
    ask($_, { model => 'ant/m', stream => true,
              prompt => [map { words($_) } ($_) x 3] }, '/v1/completions')
        for @parts;
    until_asked(2, @streams, @wholes, @parts);
    for my $s (@streams, @parts) {
        my $res = $s->{client}->read(until => sub {
            return (said($_[0])->[1] // '') =~ / b/;
        }, timeout => 4);
        is_deeply said($res), [words($s), "$s->{id} b"],
            "$s->{mode}: it has begun";
    }
    parks($_, $_ eq 'auto' ? 2 : 3, 'they are parked') for @modes;
    leave('stream', 2, undef, @streams);
    leave('whole', 2, undef, @wholes);
    leave('texts', 2, undef, @parts);
    settle('after it');
};

subtest 'n = 3: the provider resets in the second' => sub {
    my @streams = each_mode();
    my @googles = each_mode();
    my @texts = each_mode();
    my @wholes = each_mode();
    my @alone = each_mode();

    $mock->rules(map({ in_turn($_, 'gap=5', 'reset=5') } @streams, @googles,
                     @texts),
                 map({ in_turn($_, {}, 'reset=0') } @wholes, @alone),
                 { model => 'second', do => { text => 'the other' } });
    ask($_, streamed('ant/m', $_)) for @streams;
    ask($_, { model => 'ant/m', stream => true, prompt => [(words($_)) x 3] },
        '/v1/completions') for @texts;
    ask($_, candidates($_),
        '/v1beta/models/ant%2Fm:streamGenerateContent?alt=sse') for @googles;
    ask($_, three('reset', $_)) for @wholes;
    ask($_, three('ant/m', $_)) for @alone;

    for my $s (@streams, @texts, @googles) {
        my $res = $s->{client}->read;
        is outcome($res), 'broken', "$s->{mode}: the stream says so"
            or diag $res->body;
        my $said = said($res);
        is_deeply [$said->[0], substr($said->[1] // '', 0, length $s->{id}),
                   scalar @$said], [words($s), $s->{id}, 2],
            '... behind what there was' or diag $res->body;
        is scalar(requests_of($s)), 2, '... and no third is asked for';
    }
    for my $s (@googles) {
        my ($last) = reverse map { $_->{json} || () }
            $s->{client}{response}->events;
        is_deeply [sort keys %{ $last->{error} }], [qw(code message status)],
            "$s->{mode}: in Gemini's words";
    }
    for my $s (@wholes) {
        my $res = $s->{client}->read;
        is_deeply said($res), [('the other') x 3],
            "$s->{mode}: whole: all of it from another one"
            or diag $res->error // $res->body;
        is_deeply [@{ $res->json->{usage} }{qw(prompt_tokens
            completion_tokens)}], [3 * 11, 3 * 2], '... and its bill';
        is scalar(requests_of($s)), 5, '... two here, three there';
    }
    is_deeply [map { outcome($_->{client}->read) } @alone], [(502) x 3],
        'who has no other is told, and not half of it';
    settle('after it');
};

subtest 'n = 3: the provider stalls in the second' => sub {
    my @streams = each_mode();
    my @wholes = each_mode();

    $mock->rules(map({ in_turn($_, {}, 'stall=1.6') } @streams, @wholes),
                 { model => 'second', do => { json => { id => 'x',
                     object => 'chat.completion', created => 1, model => 'x',
                     choices => [map { { index => $_, finish_reason => 'stop',
                         message => { role => 'assistant',
                                      content => 'other' } } } 0 .. 2],
                     usage => { prompt_tokens => 1, completion_tokens => 3,
                                total_tokens => 4 } } } });
    ask($_, streamed('ant/m', $_), "/quick$path") for @streams;
    ask($_, three('ant/m', $_)) for @wholes;
    until_asked(2, @streams, @wholes);
    parks($_->[0], $_->[1], 'parked between two of them')
        for ['always', 2], ['auto', 1];
    quickly($_, 'meanwhile') for @modes;
    for my $s (@streams) {
        my $res = $s->{client}->read;
        my @beats = grep { defined $_->{comment} } $res->events;
        is_deeply said($res), [(words($s)) x 3], "$s->{mode}: complete";
        is outcome($res), 'whole', '... with its end';
        cmp_ok scalar @beats, '>=', 4, '... and heartbeats while it waited';
    }
    is_deeply [map { said($_->{client}->read) } @wholes],
        [map { [(words($_)) x 3] } @wholes], 'whole ones, too';
    settle('after it');
};

# Google's way to stream without events: one array, with blanks for heartbeats.
subtest 'three candidates in an array' => sub {
    my @stalled = each_mode();
    my @reset = each_mode();
    my $at = '/v1beta/models/ant%2Fm:streamGenerateContent';

    $mock->rules(map({ in_turn($_, {}, 'stall=0.7') } @stalled),
                 map({ in_turn($_, 'gap=5', 'reset=5') } @reset));
    ask($_, candidates($_), "/quick$at") for @stalled;
    ask($_, candidates($_), $at) for @reset;
    for my $s (@stalled) {
        my $list = $s->{client}->read->json;
        is ref $list, 'ARRAY', "$s->{mode}: it is one, heartbeats and all"
            or diag $s->{client}{response}->body;
        is_deeply said_in($list), [(words($s)) x 3], '... with all three';
    }
    for my $s (@reset) {
        my $list = $s->{client}->read->json;
        is ref $list, 'ARRAY', "$s->{mode}: so it is where it breaks off"
            or diag $s->{client}{response}->body;
        my $last = pop @{ $list || [] };
        is_deeply [sort keys %{ $last->{error} || {} }],
            [qw(code message status)], '... with an error at its end';
        is_deeply said_in($list), [words($s), "$s->{id} b"],
            '... behind what there was';
    }
    settle('after it');
};

subtest 'n = 3: who reads slowly' => sub {
    my @slow = map { my $mode = $_; { mode => $mode, id => new_id(),
        client => client($servers{$mode}, receive_buffer => 4096) } } @modes;

    $mock->rules;
    ask($_, streamed('ant/m+flood=300,10000', $_)) for @slow;
    parks($_, 1, 'parked until he does') for @modes;
    quickly($_, 'meanwhile') for @modes;
    for my $s (@slow) {
        my $res = $s->{client}->read;
        my $body = $res->body;
        my %length;
        $length{$1} += length $2
            while $body =~ /"index":(\d),"delta":\{"content":"(x+)"/g;
        is_deeply \%length, { map { $_ => 3_000_000 } 0 .. 2 },
            "$s->{mode}: in the end all of it";
        like $res->body, qr/\ndata: \[DONE\]\n\n\z/, '... with its end';
    }
    settle('after it');
};

subtest 'n = 3: a graceful restart in the second' => sub {
    my %restarted = map { $_ => server($_, children => 3) } @modes;
    my @all = map { my ($mode, $stream) = @$_;
        { mode => $mode, stream => $stream, id => new_id(),
          client => client($restarted{$mode}) } }
        map { [$_, 1], [$_, 0] } @modes;

    $mock->rules(map { in_turn($_, {}, 'stall_after=4,2') }
                 grep { $_->{stream} } @all);
    $mock->rules(map { in_turn($_, {}, $_->{stream} ? 'stall_after=5,2'
                                                    : 'stall=2') } @all);
    ask($_, three('ant/m', $_, $_->{stream} ? (stream => true) : ()))
        for @all;
    until_asked(2, @all);
    ok $restarted{$_}->graceful, "$_: restarted" for @modes;
    my @new = map { post($restarted{$_}, $path, three('ant/m', {
        id => 'new' })) } @modes;
    is_deeply [map { said($_) } @new], [([('new b c d') x 3]) x 3],
        'new ones are answered';
    for my $s (@all) {
        my $res = $s->{client}->read;
        is_deeply said($res), [(words($s)) x 3], "$s->{mode}: nothing is cut"
            or diag $res->error // $res->body;
    }
    finish("$_, restarted", $restarted{$_}) for @modes;
};

# ---- binary frames

my %say = (blocks => [{ text => 'one two three four' }], end => 'end_turn',
           usage => { input => 3, output => 4 });
my %stream = %{ LLMux::Matrix::Providers::bedrock_streamed(\%say) };
my $bytes = $stream{body};

# Where each message begins.
my @starts = (0);
push @starts, $starts[-1] + unpack "x$starts[-1] N", $bytes
    while $starts[-1] < length $bytes;

sub exception
{
    my ($name) = @_;
    return LLMux::Matrix::Providers::frame({ ':message-type' => 'exception',
        ':exception-type' => $name, ':content-type' => 'application/json' },
        { message => 'the mock says so' });
}

sub flipped
{
    my ($at) = @_;
    my $bad = $bytes;
    substr($bad, $at, 1) = chr(ord(substr $bad, $at, 1) ^ 1);
    return { %stream, body => $bad };
}

# In which of its parts a message is hurt, from where it begins.
my %parts = (length => 3, 'length of headers' => 7, 'CRC of these' => 9,
             headers => 20, payload => -8, CRC => -1);
my $third = $starts[2];         # the second piece of text

my @frames = (
    ['byte by byte', 'whole', { %stream, dribble => [1, 0.0003] }],
    ['in pieces, slowly', 'whole', { %stream, close => 1,
        dribble => [600, 1.1] }],
    ['cut inside a message', 'broken', { %stream, framing => 'eof',
        body => substr $bytes, 0, $third + 30 }],
    ['... inside its length', 'broken', { %stream, framing => 'eof',
        body => substr $bytes, 0, $third + 2 }],
    ['... with the right framing', 'broken', { %stream,
        body => substr $bytes, 0, $third + 30 }],
    ['cut between messages', 'broken', { %stream,
        body => substr $bytes, 0, $third }],
    ['cut in the first one', 502, { %stream,
        body => substr $bytes, 0, 20 }],
    ['nothing at all', 502, { %stream, body => '' }],
    ['no frames', 502, { %stream, body => 'x' x 5000 }],
    ['JSON instead', 502, { %stream, body => '{"message":"no"}' }],
    ['a huge length', 502, { %stream, body => "\xff" x 64 }],
    ['an exception first', 429,
        { %stream, body => exception('throttlingException') }],
    ['... behind the beginning', 429, { %stream, body =>
        substr($bytes, 0, $starts[1]) . exception('throttlingException') }],
    ['... behind text', 'broken', { %stream, body =>
        substr($bytes, 0, $third) . exception('modelStreamErrorException') }],
    ['... behind the end', 'broken', { %stream, body =>
        $bytes . exception('throttlingException') }],
    (map { my $end = $parts{$_} < 0;
        ["$_ hurt", 'broken', flipped($starts[$end ? 3 : 2] + $parts{$_})],
        ["$_ of the first hurt", 502, flipped($starts[$end] + $parts{$_})] }
        sort keys %parts),
);

subtest 'frames of Bedrock' => sub {
    my @cases = map { my ($what, $end, $do) = @$_;
        map { +{ %$_, what => $what, end => $end, do => $do } } each_mode() }
        @frames;
    my @gone = each_mode();
    my @saved = each_mode();

    $mock->rules(
        (map { in_turn($_, $_->{do}) } @cases),
        (map { in_turn($_, { %stream, dribble => [300, 0.3] }) } @gone),
        (map { in_turn($_, flipped($starts[1] + 3)) } @saved));
    ask($_, { %{ chat('bed/m', words($_)) }, stream => true }) for @cases,
        @gone;
    ask($_, { %{ chat('frame', words($_)) }, stream => true,
              max_tokens => 9 }, '/v1/messages') for @saved;
    $_->{client}->read(until => sub { @{ said($_[0]) } }) for @gone;
    leave('a client', 1, undef, @gone);
    parks($_, 1, 'the slow one is parked') for @modes;
    for my $s (@cases) {
        my $res = $s->{client}->read;
        my $said = said($res)->[0] // '';
        is outcome($res), $s->{end}, "$s->{mode}: $s->{what}"
            or diag $res->body;
        like 'one two three four', $s->{end} eq 'broken' ? qr/^\Q$said\E/
            : $s->{end} eq 'whole' ? qr/^\Q$said\E$/ : qr/^/,
            '... and nothing else is said';
    }
    for my $s (@saved) {
        my @events = map { $_->{json} || () } $s->{client}->read->events;
        is join('', map { $_->{delta}{text} // '' } @events), words($s),
            "$s->{mode}: before anything is said, another can";
        is scalar(grep { $_->{type} eq 'message_start' } @events), 1,
            '... and begins anew';
    }
    settle('after it');
};

# ---- grants

sub vertex { return chat("$_[0]/gemini", words($_[1])) }

subtest 'the token server stalls' => sub {
    my @all = map { each_mode() } 1 .. 8;
    my @stream = each_mode();
    my $good = { json => { access_token => 'ya29.late', expires_in => 3600,
                           token_type => 'Bearer' } };

    $mock->rules;
    $keys->rules(grants('slow', { stall => 2, %$good }), grants('killed'));
    my $began = time;
    ask($_, { %{ vertex('slow', $_) }, stream => true }, "/quick$path")
        for @stream;
    ask($_, vertex('slow', $_)) for @all;
    parks($_, $_ eq 'auto' ? 6 : 8, 'who waits for it is parked') for @modes;
    quickly($_, 'meanwhile') for @modes;
    is_deeply [map { said($_->{client}->read) } @all],
        [map { [words($_)] } @all], 'all are answered';
    for my $s (@stream) {
        my $res = $s->{client}->read;
        is outcome($res), 'whole', "$s->{mode}: a stream, too";
        cmp_ok scalar(grep { defined $_->{comment} } $res->events), '>=', 4,
            '... with heartbeats before it began';
    }
    cmp_ok time - $began, '<', patience(3.5), 'as soon as it is there';
    is_deeply [map { scalar fetches($_, 'slow') } @modes], [1, 1, 1],
        'it was asked once';
    settle('after it');
};

subtest 'the token server dies' => sub {
    my %deaths = ('before the head' => 'reset', 'in the middle' => 'cut=0',
        'with half a JSON' => 'broken', 'with too much' => 'bomb=1',
        'with nothing' => 'empty', 'with a page' => 'html');

    $keys->rules(grants('dies', (map { ($deaths{$_}) } sort keys %deaths)),
                 grants('killed'));
    for my $death (sort keys %deaths) {
        my @all = map { each_mode() } 1 .. 2;
        ask($_, vertex('dies', $_)) for @all;
        my @res = map { $_->{client}->read } @all;
        is_deeply [map { outcome($_) } @res], [(502) x 6], $death;
        unlike $res[0]->body, qr/token|google|127\.0/i,
            '... and the client learns no more';
        last if $death eq (sort keys %deaths)[1];
        sleep 2.05;
    }
    is_deeply [map { scalar fetches($_, 'dies') } @modes], [2, 2, 2],
        'asked once each, not for each request';
    settle('after it');
};

subtest 'who leaves the token server' => sub {
    my @first = each_mode();
    my @next = each_mode();

    $keys->rules(grants('left', 'stall=30'), grants('killed'));
    ask($_, vertex('left', $_)) for @first;
    ok wait_until(4, sub {
        return !grep { !fetches($_, 'left') } @modes;
    }), 'it is asked';
    ask($_, vertex('left', $_)) for @next;
    my $left = time;
    $_->{client}->abort for @first;
    is_deeply [map { said($_->{client}->read) } @next],
        [map { [words($_)] } @next], 'another one fetches it';
    cmp_ok time - $left, '<', patience(1), '... at once';
    my @late = grep { ($_->{how} // '') ne 'peer_closed'
        || $_->{ended_at} - $left > patience(0.25) }
        map { (fetches($_, 'left'))[0] } @modes;
    is_deeply \@late, [], '... and the first one was let go';
    is_deeply [map { ends($_) } @first], [('client_gone 499') x 3],
        '... the log says so';
    settle('after it');
};

subtest 'what is not offered needs no grant' => sub {
    my @all = each_mode();
    my @counts = each_mode();

    $keys->rules(grants('stops', 'stall=30'), grants('killed'));
    ask($_, { model => 'stops/claude-x', input => 'a' }, '/v1/embeddings')
        for @all;
    ask($_, { model => 'stops/meta/x', max_tokens => 9, messages => [{
        role => 'user', content => 'Hi' }] }, '/v1/messages/count_tokens')
        for @counts;
    is_deeply [map { outcome($_->{client}->read(timeout => 1)) } @all],
        [(400) x 3], 'vectors are refused';
    is_deeply [map { outcome($_->{client}->read(timeout => 1)) } @counts],
        [('whole') x 3], 'tokens are counted here';
    is_deeply [map { scalar fetches($_, 'stops') } @modes], [0, 0, 0],
        '... without asking for one';
    $_->{client}->abort for @all, @counts;
    settle('after it');
};

# ---- pictures by URL

my $png = "\x89PNG\r\n\x1a\n" . 'picture' x 20;

sub picture
{
    my ($s, $n) = @_;
    return { model => 'gem/m', messages => [{ role => 'user', content => [
        { type => 'text', text => words($s) },
        map { { type => 'image_url', image_url => {
            url => $pics->url . "/$s->{id}/$_.png" } } } 1 .. $n // 1] }] };
}

subtest 'pictures: the client leaves' => sub {
    my @slow = each_mode();
    my @second = each_mode();

    $pics->rules((map { { path => "$_->{id}/1", do => { body => $png,
            type => 'image/png' } } } @second),
        { path => 'png$', do => { body => $png, type => 'image/png',
                                  stall => 30 } });
    ask($_, picture($_)) for @slow;
    ask($_, { %{ picture($_, 2) }, stream => true }, "/quick$path")
        for @second;
    ok wait_until(4, sub {
        return !grep({ !requests_of($_, $pics) } @slow)
            && !grep({ requests_of($_, $pics) < 2 } @second);
    }), 'their servers are asked';
    $_->{client}->read(until => sub { length $_[0]->body }) for @second;
    parks($_, 1, 'they are parked') for @modes;
    quickly($_, 'meanwhile') for @modes;
    leave('the first picture', 1, $pics, @slow);
    leave('the second picture', 2, $pics, @second);
    is scalar(map { requests_of($_) } @slow, @second), 0,
        'and no provider is asked';
    settle('after it');
};

subtest 'pictures: twenty at a time' => sub {
    my @all = map { each_mode() } 1 .. 20;

    $mock->rules;
    $pics->rules({ path => 'png$', do => { body => $png, stall => 0.7,
                                           type => 'image/png' } });
    my $began = time;
    ask($_, picture($_)) for @all;
    quickly($_, 'meanwhile') for @modes;
    my @said = map { said($_->{client}->read) } @all;
    is_deeply \@said, [map { [words($_)] } @all], 'all are answered';
    cmp_ok time - $began, '<', patience(4), '... not one after the other';
    my @bare = grep { $_->{body} !~ /"data":"iVBOR/ }
        map { requests_of($_) } @all;
    is scalar @bare, 0, '... having seen theirs';
    settle('after it');
};

# ---- counts of what nobody writes

sub counted
{
    my ($text, @more) = @_;
    return "{\"model\":\"plain/gpt-4o\",\"max_tokens\":9,\"messages\":["
        . "{\"role\":\"user\",\"content\":\"$text\"}]}";
}

sub noise
{
    my ($n, $from, $to) = @_;
    return join '', map { chr($from + int rand($to - $from)) } 1 .. $n;
}

subtest 'counts of large texts' => sub {
    srand 48;
    my $wide = join '', map { pack 'C2', 0xc2 + int rand 30,
                              0x80 + int rand 64 } 1 .. 1 << 19;
    my %texts = (
        '20 MB of one letter' => counted('a' x 20_000_000),
        '20 MB of one capital' => counted('A' x 20_000_000),
        '20 MB of blanks' => counted(' ' x 20_000_000),
        '1 MB of random bytes' => counted(noise(1 << 20, 0x5d, 0xff)),
        '1 MB of random ASCII' => counted(noise(1 << 20, 0x5d, 0x7f)),
        '1 MB of random letters' => counted($wide),
        '1 MB of random base64' => counted(encode_base64(
            noise(3 << 18, 0, 256), '')),
    );
    my $bare = noise(1 << 20, 0, 256);

    for my $what (sort keys %texts) {
        # 60 MB on their way take the client itself a second.
        my @all = $what =~ /20 MB/ ? (each_mode())[$so_far % 3] : each_mode();
        my $began = time;
        ask($_, $texts{$what}, '/v1/messages/count_tokens') for @all;
        quickly($_, "$what") for map { $_->{mode} } $all[0];
        my @res = map { $_->{client}->read } @all;
        is_deeply [map { outcome($_) } @res], [map {
            $what =~ /bytes/ ? 400 : 'whole' } @all], $what
            or diag map { $_->error // substr $_->body, 0, 200 } @res;
        cmp_ok time - $began, '<', patience(5), '... in bounded time';
        note sprintf '%s: %.2f s', $what, time - $began;
        ok((!grep { $_->status == 200 && $_->json->{input_tokens} < 1000 }
            @res), '... as many');
    }
    my @all = each_mode();
    ask($_, $bare, '/v1/messages/count_tokens') for @all;
    is_deeply [map { outcome($_->{client}->read) } @all], [(400) x 3],
        'no JSON at all';
    settle('after it');
};

# ---- vectors

my $vector = { json => { embedding => [1, 2], inputTextTokenCount => 2 } };

sub inputs
{
    my ($s, $model, $n) = @_;
    return { model => $model, input => [map { "$s->{id} no $_ of it" }
                                        1 .. $n] };
}

subtest 'vectors: one request each' => sub {
    my @many = each_mode();
    my @most = each_mode();
    my @fifth = each_mode();
    my @other = each_mode();
    my @gone = each_mode();

    $mock->rules(
        (map { { path => "/invoke\$", body => "$_->{id} no 5 ",
                 do => { %$vector, cut => 0 } } }
         @fifth),
        (map { { path => '/invoke$', body => "$_->{id} no 5 ", do => '503' } }
         @other),
        (map { { path => '/invoke$', body => "$_->{id} no 5 ",
                 do => 'stall=30' } } @gone),
        { path => '/invoke$', do => $vector },
        { path => '/api/embed$', do => { json => { model => 'o',
            embeddings => [map { [3, 4] } 1 .. 8],
            prompt_eval_count => 4 } } });
    ask($_, inputs($_, "bed/$titan", 2000), '/v1/embeddings') for @many;
    ask($_, inputs($_, "bed/$titan", 256), '/v1/embeddings') for @most;
    ask($_, inputs($_, "bed/$titan", 8), '/v1/embeddings') for @fifth, @gone;
    ask($_, inputs($_, 'vectors', 8), '/v1/embeddings') for @other;
    for my $s (@many) {
        my $res = $s->{client}->read;
        is $res->status, 400, "$s->{mode}: 2000 of them are too many";
        like $res->json->{error}{message}, qr/at most 256/, '... and how many';
        is scalar(requests_of($s)), 0, '... before anybody was asked';
    }
    for my $s (@fifth) {
        my $res = $s->{client}->read;
        is outcome($res), 502, "$s->{mode}: the fifth of eight fails";
        unlike $res->body, qr/embedding/, '... no half an answer';
        is scalar(requests_of($s)), 5, '... and nothing more is asked';
    }
    for my $s (@other) {
        my $data = $s->{client}->read->json->{data};
        is_deeply [map { [@$_{qw(index embedding)}] } @{ $data || [] }],
            [map { [$_, [3, 4]] } 0 .. 7],
            "$s->{mode}: another has all eight, no mixture";
    }
    until_asked(5, @gone);
    leave('a client', 5, undef, @gone);
    for my $s (@most) {
        my $data = $s->{client}->read->json->{data};
        is_deeply [map { $_->{index} } @{ $data || [] }], [0 .. 255],
            "$s->{mode}: 256 go through";
    }
    settle('after it');
};

# ---- again, without what was refused

my $refused = { status => 400, json => { type => 'error', error => {
    type => 'invalid_request_error', message => 'messages.1.content.0: '
        . 'Invalid `signature` in `thinking` block' } } };

sub thinking
{
    my ($s, @more) = @_;
    return { model => 'ant/m', max_tokens => 2000, @more, messages => [
        { role => 'user', content => 'Hi' },
        { role => 'assistant', content => [
            { type => 'thinking', thinking => 'Hm', signature => 'b2xk' },
            { type => 'text', text => 'Yes?' }] },
        { role => 'user', content => words($s) }] };
}

subtest 'again without tokens: the client leaves' => sub {
    my @before = each_mode();
    my @after = each_mode();
    my @stream = each_mode();

    $mock->rules(
        (map { in_turn($_, { %$refused, stall => 3 }) } @before),
        (map { in_turn($_, $refused, 'stall=30') } @after),
        (map { in_turn($_, $refused, 'stall_after=5,30') } @stream));
    ask($_, thinking($_), '/v1/messages') for @before, @after;
    ask($_, thinking($_, stream => true), '/v1/messages') for @stream;
    until_asked(1, @before);
    leave('before it is refused', 1, undef, @before);
    until_asked(2, @after, @stream);
    leave('behind that', 2, undef, @after);
    $_->{client}->read(until => sub { $_[0]->body =~ /text_delta/ })
        for @stream;
    leave('in the second stream', 2, undef, @stream);
    is scalar(grep { requests_of($_) != 1 } @before), 0,
        'nothing is asked for who has left';
    settle('after it');
};

subtest 'again without tokens: in a stream that has heartbeats' => sub {
    my @all = each_mode();
    my @twice = each_mode();

    $mock->rules(
        (map { in_turn($_, { %$refused, stall => 0.7 }, 'stall=0.5') } @all),
        (map { in_turn($_, { %$refused, stall => 0.7 }, $refused) } @twice));
    ask($_, thinking($_, stream => true), '/quick/v1/messages')
        for @all, @twice;
    for my $s (@all) {
        my $res = $s->{client}->read;
        my %of;
        $of{ $_->{event} // '' }++ for $res->events;
        is_deeply [@of{qw(message_start message_stop error)}], [1, 1, undef],
            "$s->{mode}: one beginning, one end" or diag $res->body;
        is join('', map { $_->{json}{delta}{text} // '' } $res->events),
            words($s), '... and all of it';
        cmp_ok $of{ping} // 0, '>=', 4, '... with heartbeats before it';
        my @rq = requests_of($s);
        unlike $rq[-1]{body}, qr/b2xk/, '... asked without it';
        is scalar @rq, 2, '... once';
    }
    for my $s (@twice) {
        my $res = $s->{client}->read;
        my ($last) = reverse $res->events;
        is $last->{event}, 'error', "$s->{mode}: refused twice";
        is scalar(requests_of($s)), 2, '... is enough';
    }
    settle('after it');
};

# ---- the end

# With TERM, while all of this is under way.
subtest 'it stops in the middle of everything' => sub {
    my @grant = map { each_mode() } 1 .. 3;
    my @picture = each_mode();
    my @run = each_mode();
    my @frame = each_mode();
    my @retry = each_mode();
    my @all = (@grant, @picture, @run, @frame, @retry);

    $keys->rules(grants('stops', 'stall=30'), grants('killed'));
    $pics->rules({ path => 'png$', do => 'stall=30' });
    $mock->rules(
        (map { in_turn($_, {}, 'stall_after=4,30') } @run),
        (map { in_turn($_, { %stream, dribble => [300, 3] }) } @frame),
        (map { in_turn($_, $refused, 'stall=30') } @retry));
    ask($_, vertex('stops', $_)) for @grant;
    ask($_, picture($_)) for @picture;
    ask($_, streamed('ant/m', $_)) for @run;
    ask($_, { %{ chat('bed/m', words($_)) }, stream => true }) for @frame;
    ask($_, thinking($_), '/v1/messages') for @retry;
    ok wait_until(5, sub {
        return !grep({ !fetches($_, 'stops') } @modes)
            && !grep({ !requests_of($_, $pics) } @picture)
            && !grep({ requests_of($_) < 2 } @run, @retry);
    }), 'all is under way';
    for my $mode (@modes) {
        my $began = time;
        $servers{$mode}->stop('TERM');
        cmp_ok time - $began, '<', patience(3), "$mode: it stops in time";
        my @mine = grep { $_->{mode} eq $mode } @all;
        is_deeply [map { ends($_) } @mine],
            [map { 'server_stopped 499' } @mine], '... the log says so';
        finish($mode, $servers{$mode});
    }
    ok wait_until(2, sub {
        return !grep { !$_->{how} } (map { requests_of($_) } @run, @retry),
            (map { requests_of($_, $pics) } @picture),
            map { fetches($_, 'stops') } @modes;
    }), 'and everybody was let go';
};

# Its children are told by a signal.
subtest 'prefork stops, too' => sub {
    my $server = server('off', mpm => 'prefork');
    my @all = map { { mode => 'off', id => new_id(), server => $server,
                      client => client($server) } } 1 .. 4;
    my ($grant, $next, $picture, $run) = @all;

    $keys->rules(grants('prefork', 'stall=30'), grants('killed'));
    ask($_, vertex('prefork', $_)) for $grant, $next;
    ask($picture, picture($picture));
    $mock->rules(in_turn($run, {}, 'stall=30'));
    ask($run, streamed('ant/m', $run));
    ok wait_until(5, sub {
        return fetches('off', 'prefork') && requests_of($picture, $pics)
            && requests_of($run) > 1;
    }), 'all is under way';
    my $began = time;
    $server->stop('TERM');
    cmp_ok time - $began, '<', patience(3), 'in time';
    ok wait_until(2, sub {
        return !grep { !$_->{how} } fetches('off', 'prefork'),
            requests_of($picture, $pics), requests_of($run);
    }), 'and everybody is let go';
    finish('prefork', $server);
};

subtest 'a child that died while it fetched' => sub {
    for my $all (@orphans) {
        my ($dead, @others) = @$all;
        my $mode = $dead->{mode};
        is_deeply [map { said($_->{client}->read) } @others],
            [map { [words($_)] } @others], "$mode: others are answered";
        my @fetched = fetches($mode, 'killed');
        is scalar @fetched, 2, '... by a second grant';
        my $after = @fetched > 1 ? $fetched[1]{at} - $fetched[0]{at} : 0;
        cmp_ok $after, '<', patience(5), '... at once' or diag $after;
        my %now = get($dead->{server}, '/server-status?auto')->body
            =~ /^(\w+): (\d+)$/mg;
        is $now{LLMuxInFlight}, 0, '... and nothing is left in flight';
        finish("$mode, killed", $dead->{server}, qr/AH00052: .*Killed/);
    }
};

done_clean();
done_testing;
