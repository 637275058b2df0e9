# 20-stream.t - streams: flushed at once, in constant memory, never cut bare,
# and stopped when nobody listens any more.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $mock = mock();
my $text = 'one two three four';

# Three accounts with the same mock, addressed directly: what the mock is to
# do stands in the model's name. The groups have two accounts each, so that
# there is somebody to go to.
my $httpd = httpd(conf => <<"END");
    LLMuxDirect on
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-oai
        LLMuxRetries 0
    </LLMuxProvider>
    <LLMuxProvider ant>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-ant
        LLMuxRetries 0
    </LLMuxProvider>
    <LLMuxProvider gem>
        LLMuxType gemini
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-gem
        LLMuxRetries 0
    </LLMuxProvider>
    <LLMuxProvider hasty>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-hasty
        LLMuxRetries 0
        LLMuxSilenceTimeout 300ms
    </LLMuxProvider>
    <LLMuxProvider spare>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/spare/v1') ]}
        LLMuxAPIKey sk-spare
        LLMuxRetries 0
    </LLMuxProvider>
    <LLMuxModel oai-then-spare>
        LLMuxDeployment oai first
        LLMuxFallback spare-alone
    </LLMuxModel>
    <LLMuxModel ant-then-spare>
        LLMuxDeployment ant first
        LLMuxFallback spare-alone
    </LLMuxModel>
    <LLMuxModel gem-then-spare>
        LLMuxDeployment gem first
        LLMuxFallback spare-alone
    </LLMuxModel>
    <LLMuxModel spare-alone>
        LLMuxDeployment spare second
    </LLMuxModel>
    <Location "/">
        SetHandler llmux
    </Location>
    <Location "/quick">
        SetHandler llmux
        LLMuxHeartbeat 200ms
    </Location>
END

my $path = '/v1/chat/completions';
my $quick = "/quick$path";
my @dialects = qw(oai ant gem);

# ---- what a client sees of a stream

sub body { return chat($_[0], $text, stream => true, @_[1 .. $#_]) }

sub stream
{
    my ($model, %more) = @_;
    return post($httpd, delete $more{at} // $path, body($model, %more));
}

# Several at the same time: [$model, %more] each. Gives the responses in order.
sub together
{
    my @clients = map {
        my ($model, %more) = @$_;
        my $c = client($httpd);
        $c->send_request(POST => delete $more{at} // $path,
                         body => body($model, %more));
        $c;
    } @_;
    return map { $_->read } @clients;
}

# Of how many letters the floods in this stream were; parsing takes too long.
sub flooded { return length join '', $_[0]->body =~ /"(x+)"/g }

sub events { return grep { defined $_->{data} } $_[0]->events }
sub chunks { return grep { $_->{json} && !$_->{json}{error} } $_[0]->events }
sub comments { return grep { defined $_->{comment} } $_[0]->events }
sub dones { return scalar grep { $_->{data} =~ /^\[DONE\]/ } events($_[0]) }

sub said
{
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json}{choices} } chunks($_[0]);
}

sub finish
{
    return join ' ', grep { defined } map { $_->{json}{choices}[0]{finish_reason} }
        chunks($_[0]);
}

# A stream that says all of it: chunks, a finish, one [DONE], a clean end.
sub is_whole
{
    my ($res, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @events = events($res);

    is_deeply {
        status => $res->status, type => $res->type, error => $res->error,
        said => said($res), finish => finish($res), dones => dones($res),
        last => $events[-1] && $events[-1]{data},
    }, {
        status => 200, type => 'text/event-stream', error => undef,
        said => $text, finish => 'stop', dones => 1, last => '[DONE]',
    }, $what or diag $res->body;
    return;
}

# One that broke off after it had begun: what came before, then an error in
# OpenAI's words as the last event, no [DONE], no finish, and HTTP's own end.
sub is_broken
{
    my ($res, $said, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @events = events($res);
    my $error = @events ? $events[-1]{json}{error} : undef;

    is_deeply {
        status => $res->status, error => $res->error, said => said($res),
        finish => finish($res), dones => dones($res),
    }, {
        status => 200, error => undef, said => $said, finish => '',
        dones => 0,
    }, $what or diag $res->body;
    ok $error && length $error->{message} && length $error->{type}
        && exists $error->{code} && exists $error->{param},
        "$what: an error event in OpenAI's form" or diag $res->body;
    return $error;
}

sub last_request { return ($mock->requests)[-1] }

# ---- resident memory of httpd's children, in kB

# AddressSanitizer keeps what was freed.
my $hoards = $ENV{LLMUX_ASAN} ? 100 : 1;

sub resident
{
    my $sum = 0;

    for my $pid ($httpd->children) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
    }
    return $sum;
}

# ----------------------------------------------------------------------

subtest 'three dialects' => sub {
    for my $p (@dialects) {
        my $res = stream("$p/m");
        is_whole($res, "$p: complete");
        my @chunks = map { $_->{json} } chunks($res);
        my %ids = map { $_->{id} => 1 } @chunks;
        is scalar(keys %ids), 1, "$p: one id";
        is_deeply [grep { $_->{object} ne 'chat.completion.chunk'
                          || !$_->{created} || $_->{model} ne 'm' } @chunks],
            [], "$p: every chunk is one";
        is $chunks[0]{choices}[0]{delta}{role}, 'assistant',
            "$p: the first one says who speaks";
        ok !(grep { $_->{usage} } @chunks), "$p: no usage unless asked for";
        is $res->header('content-length'), undef, "$p: no length";
        like $res->header('cache-control'), qr/no-cache/, "$p: not cached";

        @chunks = map { $_->{json} } chunks(stream("$p/m",
            stream_options => { include_usage => true }));
        my @with = grep { $_->{usage} } @chunks;
        is scalar(@with), 1, "$p: one chunk with usage when asked for";
        is_deeply [@{ $with[0]{usage} }{qw(prompt_tokens completion_tokens
            total_tokens)}], [11, 4, 15], "$p: the right numbers";
        is_deeply $with[0]{choices}, [], "$p: and nothing else in it";
        is $chunks[-1]{usage}{total_tokens}, 15, "$p: it is the last one";
    }
};

subtest 'usage is always asked of the provider' => sub {
    my @cases = (
        [{}, 'not mentioned'],
        [{ stream_options => undef }, 'null'],
        [{ stream_options => { include_usage => false } }, 'declined'],
        [{ stream_options => { include_usage => true } }, 'wanted'],
        [{ stream_options => { include_obfuscation => false } }, 'others'],
    );
    for my $case (@cases) {
        my ($more, $what) = @$case;
        my $res = stream('oai/m', %$more);
        my $sent = last_request()->{json};
        is_whole($res, $what);
        ok $sent->{stream_options}{include_usage}, "$what: asked upstream";
        ok $sent->{stream}, "$what: streamed upstream";
    }
    ok exists last_request()->{json}{stream_options}{include_obfuscation},
        'other options stay';
    stream('oai/m');
    ok wait_until(5, sub {
        my @lines = $httpd->access_lines;
        return @lines && ($lines[-1]{output_tokens} // 0) == 4;
    }), 'the log has the tokens that the client did not ask for';
};

# The mock says n events and then nothing more: what has not come through by
# then never will.
subtest 'each event goes out at once' => sub {
    my @cases = (       # model, words that are said by then
        (map { ["oai/m+stall_after=$_,30", $_ - 1] } 2 .. 5),
        (map { ["ant/m+stall_after=$_,30", $_ - 3] } 4 .. 6),
        (map { ["gem/m+stall_after=$_,30", $_] } 1 .. 3),
        ['oai/m+gzip+stall_after=3,30', 2],
    );
    for my $case (@cases) {
        my ($model, $words) = @$case;
        my $want = join ' ', (split / /, $text)[0 .. $words - 1];
        my $c = client($httpd);
        my $res = $c->start(POST => $path, body => body($model), timeout => 5,
            until => sub { said($_[0]) =~ /^\s*\Q$want\E\s*$/ });
        is said($res) =~ s/\s+$//r, $want, $model;
        ok !$res->done, "$model: and more is expected";
        $c->abort;
    }
};

subtest 'event by event, in time' => sub {
    my $res = stream('oai/m+gap=120');
    my @at = map { $_->{at} } grep { said_by($_) } $res->events;
    my @gaps = sort { $a <=> $b } map { $at[$_] - $at[$_ - 1] } 1 .. $#at;
    is scalar(@at), 4, 'four words';
    cmp_ok $gaps[@gaps / 2], '>', 0.06, 'mostly came when they were said';
    cmp_ok $at[-1] - $at[0], '>', 0.2, 'spread over time';

    for my $p (@dialects) {
        is_whole(stream("$p/m+dribble=9,1"), "$p: in pieces of 9 bytes");
    }
};

sub said_by
{
    my ($event) = @_;
    return length($event->{json}{choices}[0]{delta}{content} // '')
        if $event->{json} && $event->{json}{choices};
    return 0;
}

subtest 'the connections live on' => sub {
    for my $p (@dialects) {
        my $c = client($httpd);
        is_whole($c->post($path, body("$p/m")), "$p: a stream");
        my $before = last_request();
        is_whole($c->post($path, body("$p/m")), "$p: one more there");
        my $res = $c->post($path, chat("$p/m", 'x'));
        is $res->json->{choices}[0]{message}{content}, 'x',
            "$p: and a whole answer";
        my $after = last_request();
        is $after->{conn}, $before->{conn},
            "$p: one connection to the provider, too";
    }
};

subtest 'memory does not grow with the stream' => sub {
    my %floods = (oai => 'flood=24000,200', ant => 'flood=12000,400',
                  gem => 'flood=400,20000');
    for my $p (@dialects) {
        my ($n, $size) = $floods{$p} =~ /(\d+)/g;
        stream("$p/m+flood=200,$size");
        my $before = resident();
        my $c = client($httpd);
        my $res = $c->start(POST => $path, body => body("$p/m+$floods{$p}"),
                            until_bytes => $n * $size * 0.95);
        my $during = resident();
        $res = $c->read;
        ok $res->ok, "$p: all of it came";
        is flooded($res), $n * $size, "$p: nothing is lost";
        my $after = resident();
        note "$p: $before kB before, $during near its end, $after after it";
        cmp_ok $during - $before, '<', 500 * $hoards, "$p: none near its end";
        cmp_ok $after - $before, '<', 500 * $hoards, "$p: none after it";
    }
};

subtest 'a slow client holds the provider back' => sub {
    for my $p (qw(oai ant)) {
        my $before = resident();
        my ($n, $size) = (400, 100_000);
        my $c = client($httpd, receive_buffer => 8192);
        my $res = $c->start(POST => $path, timeout => 60, until_head => 1,
                            body => body("$p/m+flood=$n,$size"));
        is $res->status, 200, "$p: it begins";
        my $grown = 0;
        for (1 .. 10) {
            sleep 0.1;
            $grown = resident() - $before if resident() - $before > $grown;
        }
        is last_request()->{how}, undef, "$p: the mock cannot get rid of it";
        cmp_ok $grown, '<', 6000 * $hoards, "$p: kB grown meanwhile";
        $c->abort;
        my @r = $mock->wait_requests(scalar(() = $mock->requests), ended => 1);
        is $r[-1]{how}, 'peer_closed', "$p: the client leaves, so do we";
        cmp_ok $r[-1]{sent}, '<', $n * $size * 0.7,
            "$p: much was never sent";
    }
    my $c = client($httpd, receive_buffer => 8192);
    my $res = $c->start(POST => $path, timeout => 60, until_head => 1,
                        body => body('ant/m+flood=200,50000'));
    sleep 0.3;
    $res = $c->read;
    ok $res->ok, 'when it reads on, it gets the rest';
    is flooded($res), 10_000_000, 'nothing is lost';
    like $res->body, qr/"finish_reason":"stop".*\[DONE\]\n\n\z/s,
        'up to the end';
};

# How long the mock's connection outlives the client's.
sub leave
{
    my ($model, $way, %opt) = @_;
    my $n = $mock->requests;
    my $c = client($httpd);

    if ($opt{until}) {
        $c->start(POST => $path, body => body($model), until => $opt{until});
    }
    else {
        $c->send_request(POST => $path, body => $opt{body} // body($model));
    }
    wait_until(5, sub { $mock->requests > $n }) or return 99;
    sleep 0.05;
    my $left = time;
    $way eq 'shutdown' ? $c->half_close : $c->$way;
    my @requests = $mock->wait_requests($n + 1, ended => 1, timeout => 3);
    return 98 if !@requests || $requests[-1]{how} ne 'peer_closed';
    return $requests[-1]{ended_at} - $left;
}

subtest 'the client leaves: within 250 ms the provider knows' => sub {
    my $talking = sub { length said($_[0]) };
    my @cases = (
        ['before the head',    'oai/m+stall=30'],
        ['whole, no head',     'oai/m+stall=30', body => chat('oai/m+stall=30', 'x')],
        ['in the middle',      'oai/m+stall_after=3,30', until => $talking],
        ['Anthropic',          'ant/m+stall_after=5,30', until => $talking],
        ['Gemini',             'gem/m+stall_after=2,30', until => $talking],
        ['held back',          'oai/m+stall_after=1,30'],
        ['while it talks',     'oai/m+flood=3000,50+gap=10', until => $talking],
    );
    for my $case (@cases) {
        my ($what, $model, %opt) = @$case;
        for my $way (qw(close abort)) {
            my @took = map { leave($model, $way, %opt) } 1 .. 3;
            is scalar(grep { $_ < patience(0.25) } @took), 3,
                "$what, $way: 3 of 3" or diag "took @took";
        }
    }
    my @lines = $httpd->access_lines;
    my @gone = grep { ($_->{end} // '') eq 'client_gone' } @lines;
    cmp_ok scalar(@gone), '>=', 6 * @cases, 'the log says who left';
    is_deeply [grep { $_->{status} != 499 } @gone], [], 'as 499';
};

subtest 'a silent stream gets comments' => sub {
    my %late = (oai => 2, ant => 5, gem => 2);     # events, then silence
    my ($head, $usual, $inside, @middle) = together(
        ['oai/m+stall=0.75', at => $quick],
        ['oai/m+stall=0.3'],
        # 150 bytes every 250 ms: most of the silences are inside an event.
        ['oai/m+dribble=150,250', at => $quick],
        map { ["$_/m+stall_after=$late{$_},0.75", at => $quick] } @dialects);

    is_whole($head, 'before the head');
    cmp_ok scalar(comments($head)), '>=', 2, 'comments';
    ok defined +($head->events)[0]{comment}, 'the first one before all else';
    for my $p (@dialects) {
        my $res = shift @middle;
        is_whole($res, "$p: silent in the middle");
        my @kinds = map { defined $_->{comment} ? 'c' : 'd' } $res->events;
        like join('', @kinds), qr/^d+c{2,}d+$/, "$p: comments between events";
    }
    is scalar(comments($usual)), 0, 'none as long as the setting says';

    is_whole($inside, 'silences inside events');
    cmp_ok scalar(comments($inside)), '>=', 3, 'have comments, too';
    is_deeply [grep { defined $_->{comment} && defined $_->{data} }
        $inside->events], [], 'but never inside an event';
};

# The cases run at the same time; a stop sequence tells the mock which is
# which, as it passes to every dialect.
subtest 'a heartbeat settles the status, not the deployment' => sub {
    my @faults = (
        ['500', { stall => 0.5, status => 500 }],
        ['a reset', { stall => 0.5, reset => 'head' }],
        ['a page', { stall => 0.5, html => 1 }],
        ['nothing', { stall => 0.5, body => '' }],
        ['a cut after the role', { stall_after => [1, 0.5], cut => 1 }],
    );
    my (@cases, @rules);
    for my $p (@dialects) {
        for my $fault (@faults) {
            my ($what, $do) = @$fault;
            next if $do->{cut} && $p eq 'gem';     # says no role
            push @cases, ["$p: $what", "$p-then-spare", "case-$p-" . @cases];
            push @rules, { body => "$cases[-1][2]\"", model => '^first$',
                           do => { %$do, close => 1 } };
        }
    }
    # On a connection that was used before, libcurl answers a reset by asking
    # once more on a new one: that would be a third request. So none is used
    # twice.
    $mock->rules(@rules, { do => 'close' });
    $mock->drop_idle;
    my $before = $mock->requests;
    my @answers = together(map { [$_->[1], at => $quick, stop => [$_->[2]]] }
                           @cases);
    my @requests = ($mock->requests)[$before .. $mock->requests - 1];
    for my $case (@cases) {
        my ($what, $group, $mark) = @$case;
        my $res = shift @answers;
        is_whole($res, "$what: the second answers");
        ok defined +($res->events)[0]{comment}, "$what: after a comment";
        is_deeply [map { $_->{model} } grep { $_->{body} =~ /\Q$mark\E"/ }
            @requests], ['first', 'second'], "$what: both were asked once";
    }
    $mock->rules({ do => { stall => 0.3, status => 503 } });
    my $c = client($httpd);
    my $res = $c->post($quick, body('oai-then-spare'));
    ok comments($res) > 0, 'nobody answers: there was a comment';
    my $error = is_broken($res, '', 'nobody answers');
    is $error->{code}, 'overloaded', 'with the code';
    $mock->rules;
    is_whole($c->post($quick, body('oai/m')), 'the connection works on');
};

subtest 'the provider breaks off in the middle' => sub {
    for my $p (@dialects) {
        my $skip = { oai => 1, ant => 3, gem => 0 }->{$p};
        my $n = $skip + 2;
        for my $how ("cut=$n", "reset=$n", "half=$n", "unfinished=$n",
                     "error_event=$n") {
            my $c = client($httpd);
            my $res = $c->post($path, body("$p/m+$how"));
            is_broken($res, 'one two', "$p: $how");
            is $c->get('/v1/models')->status, 200,
                "$p: $how: the connection works on";
        }
        is_broken(stream("$p/m+unfinished"), $text,
                  "$p: all said, but no finish");
    }
    my $error = is_broken(stream('oai/m+error_event=3'), 'one two',
                          'an error of the provider');
    like $error->{message}, qr/mock says 529/, 'its words pass';
    like $httpd->log_text, qr/the answer had begun/, 'the log says so';
};

subtest 'the provider falls silent in the middle' => sub {
    my $n = $mock->requests;
    my $res = stream('hasty/m+stall_after=3,30');
    my $error = is_broken($res, 'one two', 'no more than it had said');
    is_deeply [@$error{qw(type code)}], ['timeout', 'upstream_timeout'],
        'it is a timeout';
    my @r = $mock->wait_requests($n + 1, ended => 1, timeout => 2);
    is $r[-1]{how}, 'peer_closed', 'and the provider is let go';
};

subtest 'how streams may end' => sub {
    my @chunk = map { { id => 'c', object => 'chat.completion.chunk',
        created => 1, model => 'm', choices => [{ index => 0, delta =>
        $_->[0], finish_reason => $_->[1] }] } }
        [{ role => 'assistant', content => $text }, undef], [{}, 'stop'];
    my @cases = (
        ['without [DONE]', { sse => [@chunk] }],
        ['closed without [DONE]', { sse => [@chunk], framing => 'eof' }],
        ['with two [DONE]', { sse => [@chunk, '[DONE]', '[DONE]'] }],
        ['something behind it', { sse => [@chunk, '[DONE]', $chunk[0]] }],
        ['[DONE] and then silence', { sse => [@chunk, '[DONE]', 'x'],
                                      stall_after => [3, 30] }],
        ['finish and content in one', { sse => [
            { %{ $chunk[0] }, choices => [{ %{ $chunk[0]{choices}[0] },
                finish_reason => 'stop' }] }, '[DONE]'] }],
    );
    for my $case (@cases) {
        my ($what, $do) = @$case;
        $mock->rules({ do => $do });
        is_whole(stream('oai/m'), $what);
    }
    my %whole = %{ $chunk[0] };
    $mock->rules({ do => { sse => ['[DONE]'] } });
    my $res = stream('oai/m');
    is $res->status, 502, 'nothing but [DONE] is no answer';
    $mock->rules;
};

subtest 'bad beginnings go to the next deployment' => sub {
    my @cases = (
        ['oai-then-spare', 'error_event=0', 'an error right after 200'],
        ['oai-then-spare', 'error_event=1', 'an error after the role'],
        ['oai-then-spare', 'cut=1', 'the role and a cut'],
        ['oai-then-spare', 'reset=1', 'the role and a reset'],
        ['oai-then-spare', 'unfinished=1', 'the role and the end'],
        ['oai-then-spare', 'unfinished=0', '200 and the end'],
        ['ant-then-spare', 'error_event=0', 'an error right after 200'],
        ['ant-then-spare', 'error_event=3', 'an error after the ping'],
        ['ant-then-spare', 'cut=2', 'an empty block and a cut'],
        ['ant-then-spare', 'unfinished=3', 'an empty block and the end'],
        ['gem-then-spare', 'error_event=0', 'an error right after 200'],
        ['gem-then-spare', 'cut=0', '200 and a cut'],
    );
    for my $case (@cases) {
        my ($group, $fault, $what) = @$case;
        $mock->rules({ model => '^first$', do => $fault });
        my $n = $mock->requests;
        is_whole(stream($group), "$group: $what");
        is_deeply [map { $_->{model} } ($mock->requests)[$n .. $n + 1]],
            ['first', 'second'], "$group: $what: both were asked";
    }
    $mock->rules({ do => 'error_event=1' });
    my $res = stream('oai-then-spare');
    is $res->status, 500, 'when all fail so, the status tells';
    is $res->type, 'application/json', 'and there is no stream';
    $mock->rules;
};

subtest 'one side streams, the other does not' => sub {
    my %rules = (
        oai => { sse => [
            { id => 'c', object => 'chat.completion.chunk', created => 1,
              model => 'm', choices => [{ index => 0, delta => { role =>
              'assistant', content => $text }, finish_reason => undef }] },
            { id => 'c', object => 'chat.completion.chunk', created => 1,
              model => 'm', choices => [{ index => 0, delta => {},
              finish_reason => 'stop' }], usage => { prompt_tokens => 5,
              completion_tokens => 6, total_tokens => 11 } }, '[DONE]'] },
        gem => { sse => [{ modelVersion => 'm', responseId => 'r',
            candidates => [{ index => 0, finishReason => 'STOP',
            content => { role => 'model', parts => [{ text => $text }] } }],
            usageMetadata => { promptTokenCount => 5,
            candidatesTokenCount => 6, totalTokenCount => 11 } }] },
    );
    for my $p (sort keys %rules) {
        $mock->rules({ do => $rules{$p} });
        my $res = post($httpd, $path, chat("$p/m", 'x'));
        is $res->status, 200, "$p: a whole answer from a stream";
        is $res->type, 'application/json', "$p: as JSON";
        my $answer = $res->json;
        is $answer->{object}, 'chat.completion', "$p: of the right kind";
        is $answer->{choices}[0]{message}{content}, $text, "$p: the text";
        is $answer->{choices}[0]{finish_reason}, 'stop', "$p: the finish";
        is $answer->{usage}{total_tokens}, 11, "$p: the usage";
    }
    %rules = (
        oai => { id => 'c', object => 'chat.completion', created => 1,
            model => 'm', choices => [{ index => 0, finish_reason => 'stop',
            message => { role => 'assistant', content => $text } }],
            usage => { prompt_tokens => 5, completion_tokens => 6,
                       total_tokens => 11 } },
        ant => { id => 'msg_1', type => 'message', role => 'assistant',
            model => 'm', content => [{ type => 'text', text => $text }],
            stop_reason => 'end_turn', stop_sequence => undef,
            usage => { input_tokens => 5, output_tokens => 6 } },
        gem => { modelVersion => 'm', responseId => 'r', candidates => [{
            index => 0, finishReason => 'STOP', content => { role => 'model',
            parts => [{ text => $text }] } }], usageMetadata => {
            promptTokenCount => 5, candidatesTokenCount => 6,
            totalTokenCount => 11 } },
    );
    for my $p (@dialects) {
        $mock->rules({ do => { json => $rules{$p} } });
        my $res = stream("$p/m", stream_options => { include_usage => true });
        is_whole($res, "$p: a stream from a whole answer");
        is +(grep { $_->{json}{usage} } chunks($res))[0]{json}{usage}
            {total_tokens}, 11, "$p: with its usage";
        $mock->rules({ do => { json => $rules{$p}, type =>
            'text/event-stream' } });
        is_whole(stream("$p/m"), "$p: the same under a false type");
    }
    $mock->rules;
};

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
