# 21-attempts.t - who is asked, in which order, how often and with what; and
# what becomes of the providers' failures.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $mock = mock();
my $nobody = free_port();

# Accounts are told apart by their paths, deployments by the model's name.
sub account
{
    my ($name, $type, @lines) = @_;
    my $version = $type =~ /^openai/ ? '/v1' : '';

    return join "\n", "<LLMuxProvider $name>", "LLMuxType $type",
        'LLMuxBaseURL ' . $mock->base("/$name$version"),
        "LLMuxAPIKey sk-key-of-$name", 'LLMuxRetries 0', @lines,
        '</LLMuxProvider>', '';
}

# A group: its deployments, then its fallbacks behind "or".
sub model
{
    my ($name, @words) = @_;
    my ($how, $lines) = ('LLMuxDeployment', '');

    for my $word (@words) {
        $how = 'LLMuxFallback', next if $word eq 'or';
        $lines .= "$how $word\n";
    }
    return "<LLMuxModel $name>\n$lines</LLMuxModel>\n";
}

my $httpd = httpd(conf => join '',
    account('a', 'openai', 'LLMuxHeader X-Team blue',
            'LLMuxHeader User-Agent our-own/1.0'),
    account('b', 'openai-compatible'),
    account('c', 'openai'),
    account('ant', 'anthropic', 'LLMuxHeader anthropic-beta some-beta'),
    account('gem', 'gemini'),
    account('patient', 'openai', 'LLMuxRetries 4'),
    account('hasty', 'openai', 'LLMuxFirstByteTimeout 250ms'),
    account('brief', 'openai', 'LLMuxTotalTimeout 300ms'),
    account('gone', 'openai', "LLMuxBaseURL http://127.0.0.1:$nobody/v1"),
    model('a', 'a first', 'or', 'b'),
    model('b', 'b second'),
    model('c', 'c third'),
    model('ant', 'ant first', 'or', 'b'),
    model('gem', 'gem first', 'or', 'b'),
    model('b-ant', 'b first', 'or', 'ant-alone'),
    model('b-gem', 'b first', 'or', 'gem-alone'),
    model('ant-alone', 'ant second'),
    model('gem-alone', 'gem second'),
    model('hasty', 'hasty first', 'or', 'b'),
    model('brief', 'brief first', 'or', 'b'),
    model('gone', 'gone first', 'or', 'b'),
    model('gone-alone', 'gone first'),
    model('account', 'a one', 'a two', 'a three', 'or', 'b'),
    model('account-alone', 'a one', 'a two', 'a three'),
    model('two-accounts', 'a one', 'b two'),
    model('weighted', 'a heavy weight=3', 'b light'),
    model('five', map { "a $_" } qw(v w x y z)),
    model('patient', 'patient only'),
    model('chain', 'a 1', 'or', 'chain2', 'chain3'),
    model('chain2', 'b 2', 'or', 'chain4'),
    model('chain3', 'c 3'),
    model('chain4', 'ant 4'),
    <<'END');
    LLMuxMasterKey sk-master-of-the-test
    <Location "/">
        SetHandler llmux
    </Location>
    <Location "/two">
        SetHandler llmux
        LLMuxAttempts 2
    </Location>
    <Location "/nine">
        SetHandler llmux
        LLMuxAttempts 9
    </Location>
    <Location "/direct">
        SetHandler llmux
        LLMuxDirect on
    </Location>
    <Location "/strict">
        SetHandler llmux
        LLMuxUnsupported refuse
        LLMuxDirect on
    </Location>
END

my $path = '/v1/chat/completions';
my $text = 'one two three';
my $http;

# ---- asking

# One request; what the client got, and what the mock saw meanwhile.
sub ask
{
    my ($body, %opt) = @_;
    my $before = $mock->requests;
    my %headers = (Authorization => 'Bearer sk-master-of-the-test',
                   %{ delete $opt{headers} || {} });
    $http //= client($httpd);
    my $res = $http->post(($opt{at} // '') . $path, $body,
                          headers => \%headers);
    # httpd closes after some errors, and after a hundred requests.
    $http = undef if ($res->header('connection') // '') =~ /close/i;

    my @requests = $mock->requests;
    return ($res, @requests[$before .. $#requests]);
}

sub models { return [map { $_->{model} } @_] }

sub content
{
    my ($res) = @_;

    return $res->json->{choices}[0]{message}{content}
        if $res->type eq 'application/json' && $res->status == 200;
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json} } $res->events;
}

sub error { return ($_[0]->json || {})->{error} || {} }

# The line of this request in the access log.
sub log_line
{
    my ($res) = @_;
    my ($id, $line) = $res->header('x-request-id');

    wait_until(5, sub {
        ($line) = grep { $_->{request_id} eq $id } $httpd->access_lines;
    });
    return $line || {};
}

# ----------------------------------------------------------------------

subtest 'failures that pass: the next one is asked' => sub {
    my @cases = (
        (map { ['a', $_] } qw(408 429 429=60 500 502 503 504 529 empty broken
            html reset cut=0 long=9+close length=many)),
        (map { ['ant', $_] } qw(408 429 500 529 empty broken html reset)),
        (map { ['gem', $_] } qw(429 500 503 empty broken html reset)),
        ['hasty', 'stall=30'], ['brief', 'stall_after=0,30'],
        ['a', 'bomb=10'],
    );
    for my $case (@cases) {
        my ($group, $fault) = @$case;
        for my $streamed (0, 1) {
            next if $streamed && $fault =~ /^(?:long|length)/;
            my $what = ($streamed ? 'streamed' : 'whole') . " $group: $fault";
            $mock->rules({ model => '^first$', do => $fault });
            # A reset on a used connection is tried again by libcurl.
            $mock->drop_idle;
            my ($res, @asked) = ask(chat($group, $text,
                $streamed ? (stream => true) : ()));
            is $res->status, 200, $what or diag $res->body;
            is content($res), $text, "$what: the text";
            is_deeply models(@asked), ['first', 'second'],
                "$what: one after the other";
        }
    }
    $mock->rules;
    my ($res, @asked) = ask(chat('gone', $text));
    is content($res), $text, 'nobody listens there';
    is_deeply models(@asked), ['second'], 'so only the other one is asked';
    my $line = log_line($res);
    is $line->{attempts}, 2, 'but two attempts are counted';
    is $line->{provider}, 'b', 'the log names the one that answered';
    is $line->{model_group}, 'gone', 'and the group asked for';
    is $line->{upstream_model}, 'second', 'and its model';
};

subtest 'when nobody is left, the last failure is told' => sub {
    my @cases = (
        ['408', 504, 'timeout', 'upstream_timeout'],
        ['429=7', 429, 'rate_limit_error', 'rate_limit_exceeded'],
        ['500', 500, 'server_error', undef],
        ['502', 502, 'server_error', 'bad_upstream'],
        ['503', 503, 'server_error', 'overloaded'],
        ['504', 504, 'timeout', 'upstream_timeout'],
        ['529', 503, 'server_error', 'overloaded'],
        ['html', 502, 'server_error', 'bad_upstream'],
        ['empty', 502, 'server_error', 'bad_upstream'],
        ['broken', 502, 'server_error', 'bad_upstream'],
        ['reset', 502, 'server_error', 'bad_upstream'],
        ['long=9+close', 502, 'server_error', 'bad_upstream'],
    );
    for my $case (@cases) {
        my ($fault, $status, $type, $code) = @$case;
        $mock->rules({ do => $fault });
        my ($res) = ask(chat('a', $text));
        my $error = error($res);
        is $res->status, $status, "$fault: status";
        is_deeply [@$error{qw(type code)}], [$type, $code], "$fault: words";
        ok length $error->{message}, "$fault: a message";
        is $res->header('x-should-retry'), 'false',
            "$fault: the SDK need not try again";
        is $res->header('retry-after'), $fault =~ /^429=(\d+)/ ? $1 : undef,
            "$fault: Retry-After";
    }
    $mock->rules({ do => '500' });
    my ($res) = ask(chat('a', $text));
    like error($res)->{message}, qr/mock says 500/, "the provider's words";
    $mock->rules({ do => { status => 503, type => 'text/plain',
                           body => " no healthy\nupstream" } });
    ($res) = ask(chat('a', $text));
    is error($res)->{message}, 'no healthy upstream', '... in plain text too';
    $mock->rules({ do => 'html' });
    ($res) = ask(chat('a', $text));
    unlike error($res)->{message}, qr/</, '... but no page';
    ($res) = ask(chat('gone-alone', $text));
    is $res->status, 502, 'connection refused';
    unlike $res->body, qr/127\.0\.0\.1|$nobody/, 'no address is told';
    $mock->rules;
    for my $model (qw(hasty brief)) {
        my $fault = $model eq 'hasty' ? 'stall=30' : 'stall_after=0,30';
        ($res) = ask(chat("$model/m+$fault", $text), at => '/direct');
        is $res->status, 504, "$model: too late";
        is error($res)->{type}, 'timeout', "$model: a timeout";
    }
};

subtest 'fallbacks in order' => sub {
    my @order = qw(1 2 3 4);
    for my $n (0 .. $#order) {
        my @bad = @order[0 .. $n - 1];
        $mock->rules({ model => '^(?:' . join('|', @bad) . ')$', do => '503' })
            if @bad;
        my ($res, @asked) = ask(chat('chain', $text), at => '/nine');
        is_deeply models(@asked), [@order[0 .. $n]], "$n of them fail";
        is content($res), $text, 'and the next one answers';
    }
    $mock->rules;
};

# The status says enough: nobody waits for a page that does not end.
subtest 'refusals without an end' => sub {
    my @cases = (
        ['a long one', 0, patience(2), { status => 503, body => 'x' x 70_000,
                                         length => 10_000_000 }],
        ['one that stops', 4.5, patience(7), { status => 503, body => 'x' x 99,
                                               length => 1_000 }],
    );
    for my $case (@cases) {
        my ($what, $least, $most, $do) = @$case;
        $mock->rules({ model => '^first$', do => $do });
        my $began = Time::HiRes::time();
        my ($res, @asked) = ask(chat('a', $text));
        my $took = Time::HiRes::time() - $began;
        is_deeply models(@asked), [qw(first second)], "$what: the next is asked";
        is content($res), $text, '... and answers';
        cmp_ok $took, '<', $most, '... in time';
        cmp_ok $took, '>=', $least, '... after a while';
    }
    $mock->rules;
};

subtest 'weights' => sub {
    my %asked;
    for (1 .. 300) {
        my ($res, @requests) = ask(chat('weighted', 'x'));
        $asked{ $_->{model} }++ for @requests;
    }
    is $asked{heavy} + $asked{light}, 300, 'one attempt each';
    # 225 expected, standard deviation 7.5: outside of this once in 2 million.
    cmp_ok $asked{heavy}, '>', 186, 'three of four go to the heavy one';
    cmp_ok $asked{heavy}, '<', 264, 'and one of four does not';
};

subtest 'how often' => sub {
    $mock->rules({ do => '503' });
    my @cases = (
        ['five', '', 3], ['five', '/two', 2], ['five', '/nine', 5],
        ['patient', '', 3], ['patient', '/two', 2],
        ['a', '/nine', 2], ['b', '/nine', 1],
    );
    for my $case (@cases) {
        my ($group, $at, $n) = @$case;
        my ($res, @asked) = ask(chat($group, $text), at => $at);
        is scalar(@asked), $n, "$group$at: $n times";
        is $res->status, 503, "$group$at: and then it is told";
        is log_line($res)->{attempts}, $n, "$group$at: so says the log";
        next if $group ne 'five';
        my %once = map { $_->{model} => 1 } @asked;
        is scalar(keys %once), $n, "$group$at: each deployment once";
    }
    $mock->rules;
};

subtest 'patience' => sub {
    $mock->rules({ times => 2, do => '503' });
    my ($res, @asked) = ask(chat('patient', $text));
    is $res->status, 200, 'the third try succeeds';
    my @gaps = map { $asked[$_]{head_at} - $asked[$_ - 1]{head_at} } 1, 2;
    cmp_ok $gaps[0], '>=', 0.08, 'a pause before the second';
    cmp_ok $gaps[1], '>=', 0.16, 'twice as long before the third';
    cmp_ok $gaps[0] + $gaps[1], '<', patience(1.5), 'and no longer';

    $mock->rules({ times => 1, do => '429=1' });
    ($res, @asked) = ask(chat('patient', $text));
    is $res->status, 200, 'Retry-After: 1 is waited for';
    cmp_ok $asked[1]{head_at} - $asked[0]{head_at}, '>=', 0.99, 'a second';

    $mock->rules({ times => 1, do => { status => 429,
        headers => { 'Retry-After-Ms' => 350 }, retry_after => 40 } });
    ($res, @asked) = ask(chat('patient', $text));
    is $res->status, 200, 'in milliseconds, too, which go first';
    cmp_ok $asked[1]{head_at} - $asked[0]{head_at}, '>=', 0.34, '350 ms';

    $mock->rules({ times => 1, do => '429=1' });
    my $before = $mock->requests;
    my $c = client($httpd);
    $c->send_request(POST => $path, body => chat('patient', $text), headers =>
        { Authorization => 'Bearer sk-master-of-the-test' });
    ok $mock->wait_requests($before + 1, ended => 1), 'while it waits,';
    $c->close;
    sleep 1.3;
    is $mock->requests - $before, 1, 'the client leaves: nobody is asked again';

    $mock->rules({ do => '429=40' });
    my $start = time;
    ($res, @asked) = ask(chat('patient', $text));
    is $res->status, 429, 'Retry-After: 40 is not waited for';
    is $res->header('retry-after'), 40, 'the client is told';
    is scalar(@asked), 1, 'and nobody is asked again';
    cmp_ok time - $start, '<', patience(2), 'at once';
    $mock->rules;
};

# What the request itself is to blame for, nobody else can do better.
subtest 'bad requests are not repeated' => sub {
    my $words = { error => { message => 'max_tokens is too large',
        type => 'invalid_request_error', param => 'max_tokens',
        code => 'invalid_value' } };
    for my $status (400, 422) {
        $mock->rules({ do => { status => $status, json => $words } });
        my ($res, @asked) = ask(chat('a', $text));
        is scalar(@asked), 1, "$status: one attempt";
        is $res->status, 400, "$status: the client's fault";
        is_deeply error($res), $words->{error}, "$status: in their words";
        is $res->header('x-should-retry'), 'false', "$status: no retry";
    }
    $mock->rules({ do => { status => 400, json => { error => { message =>
        'too many tokens', code => 'context_length_exceeded' } } } });
    my ($res, @asked) = ask(chat('ant', $text));
    is scalar(@asked), 1, 'a prompt that is too long';
    is error($res)->{code}, 'context_length_exceeded', 'says so';
    $mock->rules({ do => { status => 413, json => { error => { message =>
        'too large' } } } });
    ($res, @asked) = ask(chat('a', $text));
    is scalar(@asked) . $res->status, '1413', 'a body that is too large';
    $mock->rules;
};

subtest 'a refused key: other accounts, and no word of it' => sub {
    my $secret = 'sk-LEAK-0123456789';
    my %words = (
        a => { error => { message => "Incorrect API key provided: $secret",
            type => 'invalid_request_error', code => 'invalid_api_key' } },
        ant => { type => 'error', error => { type => 'authentication_error',
            message => "invalid x-api-key $secret" } },
        gem => { error => { code => 403, status => 'PERMISSION_DENIED',
            message => "Consumer 'api_key:$secret' is suspended" } },
    );
    for my $status (401, 403) {
        $mock->rules({ path => '^/a/', do => { status => $status,
                       json => $words{a} } });
        my ($res, @asked) = ask(chat('account', $text));
        is content($res), $text, "$status: another account answers";
        is scalar(@asked), 2, "$status: this one was asked once";
        is $asked[1]{model}, 'second', "$status: then the other";

        ($res, @asked) = ask(chat('account-alone', $text));
        is scalar(@asked), 1, "$status: no other account";
        is $res->status, 502, "$status: not the client's fault";
        is error($res)->{code}, 'bad_upstream', "$status: and so it says";
        unlike $res->body, qr/LEAK|Incorrect/, "$status: not its words";
        is log_line($res)->{upstream_status}, $status, 'the log knows why';
    }
    my @cases = map { my $p = $_; map { [$p, $_] } 0, 1 } sort keys %words;
    for my $case (@cases) {
        my ($p, $streamed) = @$case;
        for my $how ({ status => 401, json => $words{$p} },
                     { status => 403, body => "no, $secret is bad" },
                     { status => 200, json => $words{$p} },
                     { sse => [['error', $words{$p}]] }) {
            $mock->rules({ do => $how });
            my ($res) = ask(chat("$p/m", $text, $streamed
                ? (stream => true) : ()), at => '/direct');
            my $what = "$p, " . ($streamed ? 'streamed' : 'whole') . ', '
                . join ' ', map { "$_=" . (ref $how->{$_} || $how->{$_}) }
                    sort keys %$how;
            is $res->status, 502, "$what: 502";
            unlike $res->body, qr/LEAK/, "$what: no secret";
        }
    }
    # The framing breaks right behind it, in one and the same read.
    my $event = 'data: ' . to_json($words{a}) . "\n\n";
    $mock->rules({ path => '^/a/', do => { type => 'text/event-stream',
        headers => { 'Transfer-Encoding' => 'chunked' }, framing => 'eof',
        body => sprintf "%x\r\n%s\r\nzz\r\n", length $event, $event } });
    my ($broken) = ask(chat('account-alone', $text, stream => true));
    is $broken->status, 502, 'an error event before a broken connection: 502';
    unlike $broken->body, qr/LEAK/, '... and no secret';
    ($broken) = ask(chat('account', $text, stream => true));
    is content($broken), $text, '... and another account answers';
    my @begun = ({ id => 'c', object => 'chat.completion.chunk', created => 1,
        model => 'm', choices => [{ index => 0, delta => { role => 'assistant',
        content => 'one' }, finish_reason => undef }] });
    $mock->rules({ do => { sse => [@begun, $words{a}] } });
    my ($res) = ask(chat('a', $text, stream => true));
    is content($res), 'one', 'an answer that has begun';
    ok +($res->events)[-1]{json}{error}, 'ends with an error';
    unlike $res->body, qr/LEAK/, 'without the secret';
    $mock->rules;
    unlike $httpd->log_text, qr/LEAK|sk-key-of|sk-master/,
        'no secret in the error log';
    unlike $httpd->access_text, qr/LEAK|sk-key-of|sk-master/,
        'nor in the access log';
    like $httpd->log_text, qr/llmux:error\].*refused our credentials/,
        'but the operator is called';
};

subtest 'what another account or deployment may do better' => sub {
    my $no_model = { error => { message => 'The model `x` does not exist',
        type => 'invalid_request_error', code => 'model_not_found' } };
    $mock->rules({ model => '^(?:one|two)$', do => { status => 404,
                   json => $no_model } });
    my ($res, @asked) = ask(chat('account', $text), at => '/nine');
    is content($res), $text, '404: another deployment answers';
    my %times;
    $times{ $_->{model} }++ for @asked;
    is_deeply [grep { $_ > 1 } values %times], [], '404: none is asked twice';
    is $asked[-1]{model}, 'three', '404: of the same account';
    $mock->rules({ do => { status => 404, json => $no_model } });
    ($res, @asked) = ask(chat('account-alone', $text), at => '/nine');
    is $res->status, 404, '404 everywhere';
    is error($res)->{code}, 'model_not_found', 'is told';
    is scalar(@asked), 3, 'after all have been asked';

    my @spent = (
        ['402', { status => 402, json => { error => { message =>
            'Payment required' } } }],
        ['429 insufficient_quota', { status => 429, json => { error => {
            message => 'You exceeded your current quota',
            type => 'insufficient_quota', code => 'insufficient_quota' } } }],
        ['400 billing_error', { status => 400, json => { type => 'error',
            error => { type => 'billing_error', message =>
            'Your credit balance is too low' } } }],
    );
    for my $case (@spent) {
        my ($what, $do) = @$case;
        $mock->rules({ path => '^/a/', do => $do });
        ($res, @asked) = ask(chat('account', $text));
        is content($res), $text, "$what: another account answers";
        is scalar(@asked), 2, "$what: this one was asked once";
        $mock->rules({ do => $do });
        ($res, @asked) = ask(chat('two-accounts', $text));
        is scalar(@asked), 2, "$what: each account once";
        is $res->status, 429, "$what: then 429";
        is error($res)->{code}, 'insufficient_quota', "$what: with the code";
        is error($res)->{type}, 'insufficient_quota', "$what: and type";
        is $res->header('x-should-retry'), 'false', "$what: no retry";
    }
    $mock->rules;
};

subtest 'each attempt has headers and body of its own' => sub {
    my %theirs = (
        openai => sub {
            my ($rq, $account) = @_;
            my $h = $rq->{headers};
            is $rq->{path}, "/$account/v1/chat/completions", 'the path';
            is $h->{authorization}, "Bearer sk-key-of-$account", 'the key';
            is_deeply [grep { $h->{$_} } qw(x-api-key x-goog-api-key
                anthropic-version anthropic-beta)], [], 'no other one';
            is $rq->{json}{messages}[0]{content}, 'be brief', 'the system';
            is $rq->{json}{max_tokens}, 77, 'the maximum, by its older name';
            ok !exists $rq->{json}{system}, 'nothing of another dialect';
        },
        anthropic => sub {
            my ($rq, $account) = @_;
            my $h = $rq->{headers};
            is $rq->{path}, "/$account/v1/messages", 'the path';
            is $h->{'x-api-key'}, "sk-key-of-$account", 'the key';
            is_deeply [grep { $h->{$_} } qw(authorization x-goog-api-key
                openai-beta idempotency-key)], [], 'no other one';
            ok $h->{'anthropic-version'}, 'its version';
            is $h->{'anthropic-beta'}, 'some-beta', 'the configured header';
            is $rq->{json}{max_tokens}, 77, 'the maximum';
            ok $rq->{json}{system}, 'the system';
            is scalar(@{ $rq->{json}{messages} }), 1, 'is no message';
        },
        gemini => sub {
            my ($rq, $account) = @_;
            my $h = $rq->{headers};
            like $rq->{path}, qr{^/$account/v1beta/models/\w+:generateContent$},
                'the path';
            is $h->{'x-goog-api-key'}, "sk-key-of-$account", 'the key';
            is_deeply [grep { $h->{$_} } qw(authorization x-api-key
                anthropic-version)], [], 'no other one';
            is $rq->{json}{generationConfig}{maxOutputTokens}, 77,
                'the maximum';
            ok $rq->{json}{systemInstruction}, 'the system';
            ok !exists $rq->{json}{messages}, 'nothing of another dialect';
        },
    );
    my @ways = (['ant', 'anthropic', 'ant', 'openai', 'b'],
                ['gem', 'gemini', 'gem', 'openai', 'b'],
                ['b-ant', 'openai', 'b', 'anthropic', 'ant'],
                ['b-gem', 'openai', 'b', 'gemini', 'gem']);
    for my $way (@ways) {
        my ($group, @parts) = @$way;
        $mock->rules({ model => '^first$', do => '500' });
        my ($res, @asked) = ask({ model => $group, messages => [
            { role => 'system', content => 'be brief' },
            { role => 'user', content => $text }],
            max_completion_tokens => 77 },
            headers => { 'OpenAI-Beta' => 'x', 'Idempotency-Key' => 'k' });
        is content($res), $text, "$group: the second answers";
        is_deeply models(@asked), [qw(first second)], "$group: both";
        for my $rq (@asked) {
            my ($dialect, $account) = splice @parts, 0, 2;
            subtest "$group: $dialect" => sub {
                $theirs{$dialect}->($rq, $account);
                is $rq->{headers}{'content-type'}, 'application/json', 'JSON';
                is $rq->{headers}{'accept-encoding'}, 'identity', 'plain';
                is $rq->{headers}{'x-team'}, undef, "another's header";
            };
        }
    }
    $mock->rules;
};

subtest 'request ids' => sub {
    my @cases = (['client-7.b_C', 1], ['x' x 128, 1], ['x' x 129, 0],
                 ['with space', 0], ['quote"', 0], ["h\xc3\xa9", 0], ['', 0],
                 [undef, 0]);
    for my $case (@cases) {
        my ($id, $taken) = @$case;
        my $what = defined $id ? substr "'$id'", 0, 20 : 'none';
        my ($res, $rq) = ask(chat('b', $text), headers =>
            { 'X-Request-ID' => $id });
        my $echo = $res->header('x-request-id');
        $taken ? is $echo, $id, "$what: echoed"
            : like $echo, qr/^[0-9a-f]{8}-[0-9a-f-]{27}$/, "$what: made";
        is $rq->{headers}{'x-request-id'}, $echo, "$what: sent upstream";
        is $rq->{headers}{'x-llmux-exchange-id'},
            $taken ? log_line($res)->{exchange_id} : undef,
            "$what: beside ours";
        is log_line($res)->{request_id}, $echo, "$what: in the access log";
        is $res->header('x-upstream-request-id'), "req_mock$rq->{n}",
            "$what: the provider's has another name";
        is log_line($res)->{upstream_request_id}, "req_mock$rq->{n}",
            "$what: and is in the log";
    }
    $mock->rules({ times => 1, do => '500' });
    my ($res) = ask(chat('a', $text), headers =>
        { 'X-Request-ID' => 'find-me' });
    like $httpd->log_text, qr/\[find-me\] attempt 1/, 'in the error log';
    ($res) = ask(chat('nobody', $text), headers =>
        { 'X-Request-ID' => 'find-me-2' });
    is $res->header('x-request-id'), 'find-me-2', 'errors have it, too';
    $mock->rules;
};

subtest 'headers: what passes and what does not' => sub {
    my %client = (
        Cookie => 'session=LEAK', 'X-Forwarded-For' => '192.0.2.1',
        'X-Forwarded-Host' => 'LEAK', 'X-Forwarded-Proto' => 'https',
        'X-Real-IP' => '192.0.2.1', Forwarded => 'for=192.0.2.1',
        Via => '1.1 LEAK', 'OpenAI-Organization' => 'org-LEAK',
        'OpenAI-Project' => 'LEAK', Referer => 'http://LEAK/',
        Origin => 'http://LEAK', 'User-Agent' => 'LEAK/1.0',
        'X-Stainless-Lang' => 'LEAK', 'X-Mock' => '500',
        'Proxy-Authorization' => 'LEAK', 'Accept-Language' => 'LEAK',
        'x-api-key' => 'sk-master-of-the-test', 'api-key' => 'LEAK',
    );
    my %wanted = (traceparent => '00-0af7651916cd43dd8448eb211c80319c'
        . '-b7ad6b7169203331-01', tracestate => 'a=1');
    my %vendor = ('OpenAI-Beta' => 'assistants=v2', 'Idempotency-Key' => 'k1');
    for my $p (qw(a ant gem)) {
        my ($res, $rq) = ask(chat("$p/m", $text), at => '/direct',
                             headers => { %client, %wanted, %vendor });
        is $res->status, 200, "$p: fine";
        my $all = join "\n", map { join ': ', @$_ } @{ $rq->{header_list} };
        unlike $all, qr/LEAK|192\.0\.2|sk-master|x-mock|x-stainless|cookie/i,
            "$p: nothing of the client's goes up";
        is_deeply [@{ $rq->{headers} }{sort keys %wanted}],
            [@wanted{sort keys %wanted}], "$p: the trace does";
        is $rq->{headers}{'openai-beta'}, $p eq 'a' ? 'assistants=v2' : undef,
            "$p: the vendor's to the vendor only";
        is $rq->{headers}{'x-team'}, $p eq 'a' ? 'blue' : undef,
            "$p: the operator's where it is configured";
        is $rq->{headers}{'user-agent'},
            $p eq 'a' ? 'our-own/1.0' : 'mod_llmux', "$p: who we are";
        is scalar(grep { lc $_->[0] eq 'user-agent' }
            @{ $rq->{header_list} }), 1, "$p: said once";
    }
    my %theirs = ('Set-Cookie' => 'LEAK=1', Server => 'LEAK', Via => 'LEAK',
        'Alt-Svc' => 'h3=LEAK', 'Strict-Transport-Security' => 'LEAK',
        'X-Secret' => 'LEAK', 'OpenAI-Organization' => 'LEAK',
        'Access-Control-Allow-Origin' => 'LEAK', 'X-LLMux-Warnings' => 'LEAK',
        'x-ratelimit-remaining-requests' => '41',
        'x-ratelimit-reset-tokens' => '6m0s');
    for my $more ({}, { stream => true }) {
        my $what = %$more ? 'streamed' : 'whole';
        $mock->rules({ do => { headers => \%theirs } });
        my ($res, $rq) = ask(chat('a', $text, %$more));
        my $all = join "\n", map { join ': ', @$_ } @{ $res->{headers} };
        is content($res), $text, "$what: the answer comes";
        unlike $all, qr/LEAK/, "$what: nothing of the provider's comes down";
        is $res->header('x-ratelimit-remaining-requests'), 41,
            "$what: but what is left of the limit";
        is $res->header('x-ratelimit-reset-tokens'), '6m0s', "$what: all of it";
        is $res->header('x-upstream-request-id'), "req_mock$rq->{n}",
            "$what: and its request id";
        is scalar(grep { lc $_->[0] eq 'content-type' } @{ $res->{headers} }),
            1, "$what: one type";
    }
    $mock->rules;
};

subtest 'what an attempt that failed leaves behind: nothing' => sub {
    $mock->rules({ model => '^first$', do => { status => 500, headers =>
        { 'x-ratelimit-remaining-requests' => 1, 'Retry-After' => 9 } } });
    my ($res, @asked) = ask(chat('a', $text));
    is $res->status, 200, 'the second one answers';
    is $res->header('x-ratelimit-remaining-requests'), undef, 'no limits';
    is $res->header('retry-after'), undef, 'no Retry-After';
    is $res->header('x-upstream-request-id'), "req_mock$asked[1]{n}",
        'the id is the second one\'s';
    ($res) = ask(chat('ant', $text, seed => 5));
    is $res->header('x-llmux-warnings'), undef,
        'no warning about a provider that did not answer';
    $mock->rules;
};

subtest 'compressed though nobody asked' => sub {
    for my $p (qw(a ant gem)) {
        for my $more ({}, { stream => true }) {
            my ($res) = ask(chat("$p/m+gzip", $text, %$more), at => '/direct');
            my $what = "$p, " . (%$more ? 'streamed' : 'whole');
            is $res->status, 200, $what;
            is content($res), $text, "$what: readable";
            is $res->header('content-encoding'), undef, "$what: as it says";
        }
    }
    my ($res) = ask(chat('a/m+gzip+500', $text), at => '/direct');
    like error($res)->{message}, qr/mock says 500/, 'errors, too';
};

subtest 'what a provider lacks' => sub {
    my %more = (seed => 7, logit_bias => { 50256 => -100 });
    my ($res, $rq) = ask(chat('ant/m', $text, %more), at => '/direct');
    is $res->status, 200, 'it is left out';
    like $res->header('x-llmux-warnings'), qr/\bseed\b/, 'and told';
    like $res->header('x-llmux-warnings'), qr/\blogit_bias\b/, 'all of it';
    ok !exists $rq->{json}{seed}, 'the provider never hears of it';
    ($res, $rq) = ask(chat('ant/m', $text, %more, stream => true),
                      at => '/direct');
    like $res->header('x-llmux-warnings'), qr/\bseed\b/, 'in streams, too';
    ($res, $rq) = ask(chat('a/m', $text, %more), at => '/direct');
    is $res->header('x-llmux-warnings'), undef, 'who has it gets it';
    is $rq->{json}{seed}, 7, 'as it is';

    ($res, $rq) = ask(chat('ant/m', $text, %more), at => '/strict');
    is $res->status, 400, 'where it is to be refused, it is';
    is $rq, undef, 'before anybody is asked';
    is error($res)->{code}, 'unsupported_parameter', 'with a code';
    like error($res)->{param}, qr/^(?:seed|logit_bias)$/, 'and the name';
    like error($res)->{message}, qr/seed|logit_bias/, 'in words, too';
    ($res) = ask(chat('ant/m', $text), at => '/strict');
    is $res->status, 200, 'all else is served';
    my @asked;
    ($res, @asked) = ask(chat('ant', $text, seed => 7), at => '/strict');
    is $res->status, 200, 'another deployment may have it';
    is_deeply models(@asked), ['second'], 'and only that one is asked';
};

subtest 'addressing a provider' => sub {
    my $at = '/direct';
    my ($res, $rq) = ask(chat('c/any-model', $text), at => $at);
    is content($res), $text, 'provider/model';
    is $rq->{path}, "/c$path", 'goes there';
    is $rq->{model}, 'any-model', 'with the bare name';
    ($res, $rq) = ask(chat('c/org/model', $text), at => $at);
    is $rq->{model}, 'org/model', 'slashes of the model are its own';
    ($res, $rq) = ask(chat('elsewhere/b', $text), at => $at);
    is $rq->{model}, 'second', 'an unknown prefix is none';
    ($res, $rq) = ask(chat('c/any-model', $text));
    is $res->status, 404, 'not where it is not allowed';
    is $rq, undef, 'nobody is asked';

    ($res, $rq) = ask(chat('any-model', $text, provider => 'c'), at => $at);
    is "$rq->{path} $rq->{model}", "/c$path any-model", 'provider as a member';
    ok !exists $rq->{json}{provider}, 'which goes no further';
    for my $i (1 .. 5) {
        ($res, $rq) = ask(chat('two-accounts', $text, provider => 'b'),
                          at => $at);
        is "$rq->{path} $rq->{model}", "/b$path two",
            "it picks in a group ($i)";
    }
    ($res, $rq) = ask(chat('m', $text, provider => 'ant'), at => $at);
    is $rq->{path}, '/ant/v1/messages', 'of any dialect';
    ($res, $rq) = ask(chat('m', $text, provider => 'nobody'), at => $at);
    is $res->status, 400, 'an unknown one';
    is error($res)->{param}, 'provider', 'is named';
    ($res, $rq) = ask(chat('m', $text, provider => 7), at => $at);
    is $res->status . error($res)->{param}, '400provider', 'so is a number';
    ($res, $rq) = ask(chat('a', $text, provider => 'c'));
    is $res->status, 403, 'not where it is not allowed';
    is $rq, undef, 'nobody is asked';
};

subtest 'parameters' => sub {
    for my $p (qw(a ant)) {
        my ($res, $rq) = ask(chat("$p/m", $text, temperature => 0.5,
            parameters => { temperature => 0.9, max_tokens => 33, top_p => 1,
                            model => 'other', provider => 'c' }),
            at => '/direct');
        is content($res), $text, "$p: served";
        is $rq->{json}{max_tokens} // $rq->{json}{max_completion_tokens}, 33,
            "$p: merged";
        is $rq->{model}, 'm', "$p: the explicit model wins";
        like $rq->{path}, qr{^/$p/}, "$p: and the provider";
        ok !exists $rq->{json}{parameters}, "$p: never sent";
        is $rq->{json}{temperature}, 0.5, "$p: the explicit value wins"
            if $p eq 'a';
    }
    my ($res, $rq) = ask(chat('b', $text, parameters => { stream => true }));
    is $res->type, 'text/event-stream', 'it may ask for a stream';
    is content($res), $text, 'which comes';
    ($res, $rq) = ask(chat('b', $text, parameters => [1]));
    is $res->status . error($res)->{param}, '400parameters', 'an array is not';
    ($res, $rq) = ask(chat('b', $text, tags => ['x'], tag => 'y'));
    is_deeply [sort keys %{ $rq->{json} }], [qw(messages model)],
        'tags are ours, too';
};

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
