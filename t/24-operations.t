# 24-operations.t - beside chats: texts that go on, vectors, counts, and
# several answers of a provider who gives one. Whoever asks, whoever serves.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use MIME::Base64 qw(decode_base64);

my @vector = (0.25, -1, 0.5);
my $float = { values => \@vector };

# What the mock does not speak by itself.
my @rules = (
    { path => ':batchEmbedContents$', do => { json => {
        embeddings => [$float, $float] } } },
    { path => ':embedContent$', do => { json => { embedding => $float } } },
    { path => '/v2/embed$', do => { json => { id => 'e1', embeddings => {
        float => [\@vector, \@vector] }, texts => ['a', 'b'], meta => {
            billed_units => { input_tokens => 4 } } } } },
    { path => '/api/embed$', do => { json => { model => 'o', embeddings =>
        [\@vector, \@vector], prompt_eval_count => 4 } } },
    { path => '/titan/embed', do => { json => {} } },
    { path => '/model/.*titan.*/invoke$', do => { json => { embedding =>
        \@vector, inputTextTokenCount => 2 } } },
    { path => '/responses/input_tokens$', do => { json => {
        object => 'response.input_tokens', input_tokens => 77 } } },
    { path => '/completions$', model => 'completing', do => { json => {
        id => 'cmpl-1', object => 'text_completion', created => 1,
        model => 'completing', choices => [{ text => ' and on', index => 0,
            logprobs => undef, finish_reason => 'length' }],
        usage => { prompt_tokens => 3, completion_tokens => 2,
                   total_tokens => 5 } } } },
);
my $mock = mock(rules => \@rules);

my $httpd = httpd(conf => <<"END");
    CustomLog ids.log "%{X-Upstream-Request-ID}o"
    LLMuxDirect on
    LLMuxAttempts 1
    LLMuxDataDir __TREE__/data
    AllowEncodedSlashes NoDecode
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-oai
        LLMuxModels gpt-4o
    </LLMuxProvider>
    <LLMuxProvider local>
        LLMuxType vllm
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
    </LLMuxProvider>
    <LLMuxProvider plain>
        LLMuxType openai-compatible
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAbility -embeddings
    </LLMuxProvider>
    <LLMuxProvider ant>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-ant
    </LLMuxProvider>
    <LLMuxProvider gem>
        LLMuxType gemini
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-gem
    </LLMuxProvider>
    <LLMuxProvider coh>
        LLMuxType cohere-v2
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-coh
    </LLMuxProvider>
    <LLMuxProvider oll>
        LLMuxType ollama-native
        LLMuxBaseURL @{[ $mock->base ]}
    </LLMuxProvider>
    <LLMuxProvider bed>
        LLMuxType bedrock
        LLMuxRegion eu-central-1
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAWSKey AKIDEXAMPLE wJalrXUtnFEMI-example
    </LLMuxProvider>
    <Location "/">
        SetHandler llmux
    </Location>
END

# The requests that the mock got because of this.
sub during
{
    my ($code) = @_;
    my $before = () = $mock->requests;
    my $res = $code->();
    my @seen = $mock->requests;

    return ($res, @seen[$before .. $#seen]);
}

sub ask
{
    my ($path, $body, %more) = @_;
    return during(sub { post($httpd, $path, $body, %more) });
}

# ---- texts that go on

subtest 'completions: a provider who has them' => sub {
    my ($res, $rq) = ask('/v1/completions', { model => 'local/completing',
                                              prompt => ['Once', 'Twice'] });
    is $res->status, 200, 'answered' or diag $res->body;
    is $rq->{path}, '/v1/completions', 'asked by its own path';
    is_deeply $rq->{json}{prompt}, ['Once', 'Twice'], '... as it was said';
    is $res->json->{choices}[0]{text}, ' and on', 'its answer';
    ($res, $rq) = ask('/v1/completions', { model => 'oai/davinci-002',
                                           prompt => 'Once' });
    is $rq->{path}, '/v1/completions', "OpenAI's last ones too";
};

for my $to (qw(oai ant gem)) {
    subtest "completions by a chat with $to" => sub {
        my ($res, @rq) = ask('/v1/completions', { model => "$to/m",
            prompt => ['Once', 'Twice upon'], echo => true });
        is $res->status, 200, 'answered' or diag $res->body;
        is scalar @rq, 2, 'each prompt by itself';
        my $body = $res->json;
        is $body->{object}, 'text_completion', 'a text';
        is_deeply [map { [@$_{qw(index text)}] } @{ $body->{choices} }],
            [[0, 'OnceOnce'], [1, 'Twice uponTwice upon']],
            'said back behind the prompts';
        is $body->{usage}{prompt_tokens}, 8 + 9, 'all that was counted';

        ($res) = ask('/v1/completions', { model => "$to/m", stream => true,
            prompt => 'Once upon a time',
            stream_options => { include_usage => true } });
        my @chunks = map { $_->{json} || () } $res->events;
        is join('', map { map { $_->{text} } @{ $_->{choices} } } @chunks),
            'Once upon a time', 'streamed';
        is $chunks[-1]{usage}{prompt_tokens}, 11, '... with what it cost';
        like $res->body, qr/data: \[DONE\]\n\n\z/, '... to its end';
    };
}

subtest 'completions: what a chat cannot do' => sub {
    my ($res, @rq) = ask('/v1/completions', { model => 'ant/m',
                                              prompt => [1, 2, 3] });
    is $res->status, 400, 'tokens for a prompt';
    is $res->json->{error}{param}, 'prompt', '... by its name';
    is scalar @rq, 0, '... and nobody was asked';
    ($res) = ask('/v1/completions', { model => 'ant/m' });
    ok $res->status == 400 || $res->status == 200, 'no prompt at all';
    ($res) = ask('/v1/completions', { model => 'ant/m',
                                      prompt => [('x') x 17] });
    is $res->status, 400, 'more prompts than are asked one by one';
    like $res->json->{error}{message}, qr/at most 16/, '... and how many';
};

# ---- several answers

# Its streams are lines; the numbers are the mock's for the other dialects.
sub ollama
{
    my ($text) = @_;
    my %usage = (done => true, done_reason => 'stop', prompt_eval_count => 9,
                 eval_count => 2);
    my %said = (model => 'm', message => { role => 'assistant',
                                           content => $text });

    return ({ path => '/api/chat$', body => '"stream": ?true', do => {
                  type => 'application/x-ndjson', body => join '',
                  map { to_json($_) . "\n" } { %said, done => false },
                  { model => 'm', message => { role => 'assistant',
                                               content => '' }, %usage } } },
            { path => '/api/chat$', do => { json => { %said, %usage } } });
}

for my $to (qw(ant oll)) {
    subtest "n = 3 of $to" => sub {
        $mock->rules(ollama('Say it'), @rules);
        my ($res, @rq) = ask('/v1/chat/completions', {
            %{ chat("$to/m", 'Say it') }, n => 3 });
        is $res->status, 200, 'answered' or diag $res->body;
        is scalar @rq, 3, 'asked three times';
        is_deeply [map { [$_->{index}, $_->{message}{content}] }
                   @{ $res->json->{choices} }],
            [[0, 'Say it'], [1, 'Say it'], [2, 'Say it']], 'three choices';
        is_deeply [@{ $res->json->{usage} }{qw(prompt_tokens
            completion_tokens)}], [27, 6], 'and what three cost';
        like $res->header('X-LLMux-Warnings') // '', qr/\bn\b/, 'told';

        ($res) = ask('/v1/chat/completions', {
            %{ chat("$to/m", 'Say it') }, n => 2, stream => true,
            stream_options => { include_usage => true } });
        my @chunks = map { $_->{json} || () } $res->events;
        my %said;
        $said{ $_->{index} } .= $_->{delta}{content} // ''
            for map { @{ $_->{choices} } } @chunks;
        is_deeply \%said, { 0 => 'Say it', 1 => 'Say it' }, 'streamed';
        is scalar(() = $res->body =~ /\[DONE\]/g), 1, '... with one end';
        is $chunks[-1]{usage}{completion_tokens}, 4, '... and one bill';
        is scalar(grep { $_->{usage} } @chunks), 1, '... said once';
    };
}

subtest 'n: more than are asked one by one' => sub {
    my ($res, @rq) = ask('/v1/chat/completions', {
        %{ chat('ant/m', 'x') }, n => 17 });
    is $res->status, 400, 'refused';
    is $res->json->{error}{param}, 'n', '... by its name';
    is scalar @rq, 0, '... before anybody was asked';
};

# What is logged is looked at when all requests for the answer are over.
subtest 'n: the headers of the first one last' => sub {
    my $id = 'req_' . 'first' x 8;
    my $logged;
    $mock->rules({ path => '/messages$', times => 1, do => {
        headers => { 'request-id' => $id } } }, @rules);
    my ($res, @rq) = ask('/v1/chat/completions', { %{ chat('ant/m',
        'Say it ' x 400) }, n => 4, stream => true });
    is scalar @rq, 4, 'four were asked';
    is $res->header('X-Upstream-Request-ID'), $id, 'whom the client is told';
    ok LLMux::Place::wait_until(5, sub {
        ($logged) = LLMux::Place::slurp("$httpd->{dir}/ids.log")
            =~ /^(.+)\n\z/m;
        return $logged && $logged ne '-' }), 'it is logged';
    is $logged, $id, '... as it was';
    $mock->rules(@rules);
};

# Behind its last word: the connection is no good any more, the answer is.
subtest 'n: the first one breaks off behind its end' => sub {
    my ($oll) = ollama('Say it');

    for my $case (['ant', { path => '/messages$' }], ['oll', $oll]) {
        my ($to, $rule) = @$case;
        $mock->rules({ %$rule, times => 1, do => { %{ $rule->{do} || {} },
                           framing => 'chunked', cut => 99 } },
                     ollama('Say it'), @rules);
        my ($res, @rq) = ask('/v1/chat/completions', {
            %{ chat("$to/m", 'Say it') }, n => 2, stream => true });
        my %said;
        $said{ $_->{index} } .= $_->{delta}{content} // ''
            for map { @{ $_->{choices} } } map { $_->{json} || () } $res->events;
        is scalar @rq, 2, "$to: the second is asked";
        is_deeply \%said, { 0 => 'Say it', 1 => 'Say it' }, '... and answers';
        is scalar(() = $res->body =~ /\[DONE\]/g), 1, '... to the end';
    }
    $mock->rules(@rules);
};

subtest 'n: the second one fails' => sub {
    $mock->rules({ path => '/messages$', times => 1 },
                 { path => '/messages$', do => '500' }, @rules);
    my ($res, @rq) = ask('/v1/chat/completions', {
        %{ chat('ant/m', 'Say it') }, n => 2 });
    is scalar @rq, 2, 'two were asked';
    is $res->status, 500, 'no half an answer' or diag $res->body;
    $mock->rules(@rules);
    ($res) = ask('/v1/chat/completions', { %{ chat('ant/m', 'x') }, n => 2 });
    is $res->status, 200, 'and the next one works';
};

# ---- vectors

sub floats { return [unpack 'f<*', decode_base64($_[0])] }

my %embeds = (
    'oai/m' => 1, 'gem/m' => 1, 'coh/m' => 1, 'oll/m' => 1,
    'bed/amazon.titan-embed-text-v2:0' => 2,
);

for my $model (sort keys %embeds) {
    subtest "vectors of $model" => sub {
        $mock->rules({ path => '/v1/embeddings$', do => { json => {
            object => 'list', model => 'm', data => [map { {
                object => 'embedding', index => $_, embedding => \@vector }
            } 0, 1], usage => { prompt_tokens => 4, total_tokens => 4 } } } },
            @rules);
        my ($res, @rq) = ask('/v1/embeddings', { model => $model,
                                                 input => ['a', 'b'] });
        is $res->status, 200, 'answered' or diag $res->body;
        is scalar @rq, $embeds{$model}, 'asked as often as it takes';
        is_deeply [map { [@$_{qw(index embedding)}] }
                   @{ $res->json->{data} }],
            [[0, \@vector], [1, \@vector]], 'two of them';

        like $model, qr{/\Q@{[ $res->json->{model} ]}\E$},
            'by whom, also where that is not said' if $model !~ /^oll/;

        ($res) = ask('/v1/embeddings', { model => $model, input => ['a', 'b'],
                                         encoding_format => 'base64' });
        is_deeply [map { [$_->{index}, floats($_->{embedding})] }
                   @{ $res->json->{data} }],
            [[0, \@vector], [1, \@vector]], 'as bytes';

        my $path = '/v1beta/models/' . ($model =~ s{/}{%2F}r)
            . ':batchEmbedContents';
        my @wants = map { { model => "models/$model",
            content => { parts => [{ text => $_ }] } } } qw(a b);
        ($res) = ask($path, { requests => \@wants });
        is_deeply $res->json->{embeddings}, [$float, $float],
            "in Gemini's shape" or diag $res->body;
    };
}

subtest 'vectors: in the spelling that was asked for, the bytes pass' => sub {
    my @said = (object => 'list', model => 'm', odd => 'x',
                usage => { prompt_tokens => 4, total_tokens => 4 });

    for my $way (['base64', 'AACAPgAAgL8AAAA/'], ['float', \@vector]) {
        my ($format, $as) = @$way;
        my $body = to_json({ @said, data => [{ object => 'embedding',
            index => 0, embedding => $as }] });
        $mock->rules({ path => '/embeddings$', do => { body => $body } },
                     @rules);
        my ($res) = ask('/v1/embeddings', { model => 'oai/m', input => 'a',
                                            encoding_format => $format });
        is $res->body, $body, $format;
    }
    $mock->rules(@rules);
};

subtest 'vectors: a batch is for one model' => sub {
    for my $to (qw(gem coh)) {
        my ($res, @rq) = ask("/v1beta/models/$to%2Fm:batchEmbedContents", {
            requests => [map { { model => $_,
                                 content => { parts => [{ text => 'a' }] } } }
                         "models/$to/m", 'models/other'] });
        is $res->status, 400, "$to: another than the path's is refused";
        like $res->json->{error}{message},
            qr{requests\[1\]\.model.*'$to/m'.*'models/other'},
            '... by its name' or diag $res->body;
        is scalar @rq, 0, '... before anybody was asked';
    }
};

subtest 'vectors: fewer than asked for' => sub {
    $mock->rules({ path => '/api/embed$', do => { json => { model => 'o',
        embeddings => [\@vector] } } }, @rules);
    my ($res) = ask('/v1/embeddings', { model => 'oll/m',
                                        input => ['a', 'b'] });
    is $res->status, 502, 'are no answer';
    like $res->json->{error}{message}, qr/vectors are missing/, '... and why';
    $mock->rules(@rules);
};

subtest 'vectors: who has none' => sub {
    for my $to (qw(ant plain)) {
        my ($res, @rq) = ask('/v1/embeddings', { model => "$to/m",
                                                 input => 'a' });
        is $res->status, 400, "$to is not asked";
        like $res->json->{error}{message}, qr/does not offer/, '... and why';
    }
};

# ---- counts

subtest 'counts by who serves the model' => sub {
    my %claude = (headers => { 'anthropic-version' => '2023-06-01' });
    my @words = (messages => [{ role => 'user', content => 'Hi there' }]);
    my ($res, $rq) = ask('/v1/messages/count_tokens',
                         { model => 'ant/m', @words }, %claude);
    is $rq->{path}, '/v1/messages/count_tokens', 'Anthropic counts';
    is $res->status, 200, '... and says it' or diag $res->body;
    ok $res->json->{input_tokens} > 0, '... in its own shape';

    ($res, $rq) = ask('/v1/messages/count_tokens',
                      { model => 'gem/m', @words }, %claude);
    like $rq->{path}, qr/m:countTokens$/, 'Gemini counts';
    ok $res->json->{input_tokens} > 0, "... in Anthropic's shape";

    ($res, $rq) = ask('/v1/messages/count_tokens',
                      { model => 'gpt-4o', @words }, %claude);
    is $rq->{path}, '/v1/responses/input_tokens', 'OpenAI counts';
    is $res->json->{input_tokens}, 77, "... in Anthropic's shape";

    ($res, $rq) = ask('/v1beta/models/ant%2Fm:countTokens', {
        contents => [{ role => 'user', parts => [{ text => 'Hi' }] }] });
    is $rq->{path}, '/v1/messages/count_tokens', 'Anthropic counts';
    ok $res->json->{totalTokens} > 0, "... in Gemini's shape"
        or diag $res->body;
};

subtest 'counts by Bedrock, where it does' => sub {
    my %claude = (headers => { 'anthropic-version' => '2023-06-01' });
    my %body = (messages => [{ role => 'user', content => 'Hi there' }],
        system => 'Be brief.', max_tokens => 99, temperature => 0.5,
        tools => [{ name => 'f', input_schema => { type => 'object' } }]);

    $mock->rules({ path => '/model/claude/count-tokens$', do => { json => {
        inputTokens => 42 } } }, { path => '/count-tokens$', do => {
            status => 400, json => { message => 'The provided model does '
                . 'not support counting tokens' } } }, @rules);
    my ($res, $rq) = ask('/v1/messages/count_tokens',
                         { model => 'bed/claude', %body }, %claude);
    is $res->json->{input_tokens}, 42, 'its number' or diag $res->body;
    is join(' ', sort keys %{ $rq->{json}{input}{converse} }),
        'messages system toolConfig', 'asked for what counts';
    ($res) = ask('/v1/messages/count_tokens', { model => 'bed/nova', %body },
                 %claude);
    is $res->status, 200, 'a model that it does not count for'
        or diag $res->body;
    is $res->header('X-LLMux-Token-Count'), 'estimate', '... is estimated';
    $mock->rules(@rules);
};

subtest 'counts by ourselves' => sub {
    my %claude = (headers => { 'anthropic-version' => '2023-06-01' });
    my @words = (messages => [{ role => 'user', content => 'Hi there' }]);
    my ($res, @rq) = ask('/v1/messages/count_tokens',
                         { model => 'plain/gpt-4o', @words }, %claude);
    is scalar @rq, 0, 'nobody is asked';
    is $res->status, 200, 'counted' or diag $res->body;
    is $res->header('X-LLMux-Token-Count'), 'exact', '... exactly';
    is $res->json->{input_tokens}, 9, "... as OpenAI's arithmetic says";
    ($res) = ask('/v1/messages/count_tokens',
                 { model => 'plain/llama', @words }, %claude);
    is $res->header('X-LLMux-Token-Count'), 'estimate',
        'what nobody knows is called an estimate';
    ok $res->json->{input_tokens} > 0, '... and is one';
    ($res) = ask('/v1/messages/count_tokens',
                 { model => 'plain/llama', messages => 7 }, %claude);
    is $res->status, 400, 'what cannot be read is refused';
};

# The mock says 500 as it is told.
done_clean($httpd, allow => [qr{LX0021: }]);
done_testing;
