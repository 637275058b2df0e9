# 23-doors.t - clients of every dialect, providers of every dialect: the
# matrix. A door is a row, a provider is a row; a pair has no code of its own.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $text = "grüß dich, Welt \"\\\" \x{1F680}";
my $tool = { name => 'weather', description => 'of a city',
             schema => { type => 'object', required => ['city'],
                         properties => { city => { type => 'string' } } } };

my $mock = mock();

my $httpd = httpd(conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    AllowEncodedSlashes NoDecode
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-oai
        LLMuxModels one two
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
    <LLMuxProvider demo>
        LLMuxModels caller
    </LLMuxProvider>
    <Location "/">
        SetHandler llmux
    </Location>
END
my @providers = qw(oai ant gem);

# ---- doors: how a client asks, and how it reads what comes

sub text_of { return join '', map { $_ // '' } @_ }


sub escaped { return $_[0] =~ s{/}{%2F}gr }

my %door = (
    chat => {
        path => sub { '/v1/chat/completions' },
        body => sub {
            my ($model, $words, $stream) = @_;
            return { model => $model, stream => $stream,
                     messages => [{ role => 'user', content => $words }] };
        },
        whole => sub { $_[0]{choices}[0]{message}{content} },
        streamed => sub {
            text_of(map { $_->{choices}[0]{delta}{content} } @_)
        },
        error => sub { $_[0]{error}{message} },
        tools => { tools => [{ type => 'function', function => {
            name => $tool->{name}, description => $tool->{description},
            parameters => $tool->{schema} } }] },
        called => sub {
            my $call = $_[0]{choices}[0]{message}{tool_calls}[0]{function};
            return [$call->{name}, from_json($call->{arguments})];
        },
        called_streamed => sub {
            my @calls = map { $_->{choices}[0]{delta}{tool_calls}[0] || () } @_;
            return [(map { $_->{function}{name} // () } @calls),
                    from_json(text_of(map { $_->{function}{arguments} }
                                      @calls))];
        },
    },
    messages => {
        path => sub { '/v1/messages' },
        headers => { 'anthropic-version' => '2023-06-01' },
        body => sub {
            my ($model, $words, $stream) = @_;
            return { model => $model, stream => $stream, max_tokens => 100,
                     messages => [{ role => 'user', content => $words }] };
        },
        whole => sub { $_[0]{content}[0]{text} },
        streamed => sub {
            text_of(map { $_->{delta}{text} } grep {
                $_->{type} eq 'content_block_delta' } @_)
        },
        error => sub { $_[0]{type} eq 'error' && $_[0]{error}{message} },
        tools => { tools => [{ name => $tool->{name}, description =>
            $tool->{description}, input_schema => $tool->{schema} }] },
        called => sub {
            my ($call) = grep { $_->{type} eq 'tool_use' }
                @{ $_[0]{content} };
            return [$call->{name}, $call->{input}];
        },
        called_streamed => sub {
            my ($call) = grep { ($_->{content_block}{type} // '')
                eq 'tool_use' } @_;
            return [$call->{content_block}{name},
                    from_json(text_of(map { $_->{delta}{partial_json} } @_))];
        },
    },
    gemini => {
        path => sub {
            my ($model, $stream) = @_;
            return '/v1beta/models/' . escaped($model)
                . ($stream ? ':streamGenerateContent?alt=sse'
                           : ':generateContent');
        },
        body => sub {
            return { contents => [{ role => 'user',
                                    parts => [{ text => $_[1] }] }] };
        },
        whole => sub {
            text_of(map { $_->{text} }
                    @{ $_[0]{candidates}[0]{content}{parts} })
        },
        streamed => sub {
            text_of(map { map { $_->{text} }
                          @{ $_->{candidates}[0]{content}{parts} || [] } } @_)
        },
        error => sub { $_[0]{error}{status} && $_[0]{error}{message} },
        tools => { tools => [{ functionDeclarations => [{ name =>
            $tool->{name}, description => $tool->{description},
            parametersJsonSchema => $tool->{schema} }] }] },
        called => sub {
            my ($call) = map { $_->{functionCall} || () }
                @{ $_[0]{candidates}[0]{content}{parts} };
            return [@$call{qw(name args)}];
        },
        called_streamed => sub {
            my ($call) = map { map { $_->{functionCall} || () }
                @{ $_->{candidates}[0]{content}{parts} || [] } } @_;
            return [@$call{qw(name args)}];
        },
    },
    responses => {
        path => sub { '/v1/responses' },
        body => sub {
            my ($model, $words, $stream) = @_;
            return { model => $model, stream => $stream, input => $words };
        },
        whole => sub {
            text_of(map { map { $_->{text} } @{ $_->{content} || [] } }
                    @{ $_[0]{output} })
        },
        streamed => sub {
            text_of(map { $_->{delta} }
                    grep { $_->{type} eq 'response.output_text.delta' } @_)
        },
        error => sub { $_[0]{error}{message} },
        tools => { tools => [{ type => 'function', name => $tool->{name},
            description => $tool->{description},
            parameters => $tool->{schema} }] },
        called => sub {
            my ($call) = grep { $_->{type} eq 'function_call' }
                @{ $_[0]{output} };
            return [$call->{name}, from_json($call->{arguments})];
        },
        called_streamed => sub {
            my ($done) = grep { $_->{type} eq 'response.completed' } @_;
            my ($call) = grep { $_->{type} eq 'function_call' }
                @{ $done->{response}{output} };
            return [$call->{name}, from_json($call->{arguments})];
        },
    },
    azure => {
        path => sub {
            '/openai/deployments/' . escaped($_[0])
                . '/chat/completions?api-version=2024-10-21'
        },
        body => sub {
            my (undef, $words, $stream) = @_;
            return { stream => $stream,
                     messages => [{ role => 'user', content => $words }] };
        },
    },
);
$door{azure}{$_} = $door{chat}{$_}
    for qw(whole streamed error tools called called_streamed);

sub ask
{
    my ($name, $model, $words, $stream, %more) = @_;
    my $d = $door{$name};
    my $body = $d->{body}->($model, $words, $stream ? true : false);

    return post($httpd, $d->{path}->($model, $stream), { %$body, %more },
        headers => $d->{headers} || {});
}

sub payloads { return map { $_->{json} || () } $_[0]->events }

# ----------------------------------------------------------------------

for my $name (sort keys %door) {
    my $d = $door{$name};

    for my $provider (@providers) {
        subtest "$name to $provider" => sub {
            my $res = ask($name, "$provider/m", $text, 0);
            ok $res->ok && $res->status == 200, 'a whole answer'
                or diag $res->status, ' ', $res->body;
            is $d->{whole}->($res->json), $text, '... says it';

            $res = ask($name, "$provider/m", $text, 1);
            ok $res->ok && $res->status == 200, 'a stream'
                or diag $res->status, ' ', $res->body;
            is $d->{streamed}->(payloads($res)), $text, '... says it';

            for my $stream (0, 1) {
                $res = ask($name, "$provider/m+429=7", $text, $stream);
                is $res->status, 429, 'a refusal';
                like $d->{error}->($res->json) // '', qr/\w/, '... in words';
            }
        };
    }
}

# The demo calls the tool that it is offered.
for my $name (sort keys %door) {
    my $d = $door{$name};

    subtest "$name: a tool is called" => sub {
        my $res = ask($name, 'caller', 'the weather?', 0, %{ $d->{tools} });
        my $called = eval { $d->{called}->($res->json) } || [];
        is $called->[0], $tool->{name}, 'whole' or diag $res->body;
        ok exists $called->[1]{city}, '... with what it must have';

        $res = ask($name, 'caller', 'the weather?', 1, %{ $d->{tools} });
        $called = eval { $d->{called_streamed}->(payloads($res)) } || [];
        is $called->[0], $tool->{name}, 'streamed' or diag $res->body;
        ok exists $called->[1]{city}, '... with what it must have';
    };
}

subtest 'models in the shape of who asks' => sub {
    my $openai = get($httpd, '/v1/models')->json;
    is_deeply [map { $_->{id} } @{ $openai->{data} }], [qw(caller one two)], "OpenAI's";
    is $openai->{object}, 'list', '... a list';

    my %claude = (headers => { 'anthropic-version' => '2023-06-01' });
    my $anthropic = get($httpd, '/v1/models', %claude)->json;
    is_deeply [map { "$_->{type} $_->{id}" } @{ $anthropic->{data} }],
        ['model caller', 'model one', 'model two'], "Anthropic's";
    is_deeply [@$anthropic{qw(first_id last_id)}], [qw(caller two)],
        '... from where to where';
    like $anthropic->{data}[0]{created_at}, qr/^\d{4}-\d\d-\d\dT[\d:]+Z$/,
        '... with a date';
    is get($httpd, '/v1/models/two', %claude)->json->{display_name}, 'two',
        'one of them';
};

# Azure's SDK names no version in the path, but in the query; only chats,
# completions and embeddings have a deployment there.
subtest "Azure's paths without a deployment" => sub {
    my $version = '?api-version=2025-04-01-preview';
    my $res = post($httpd, "/openai/responses$version",
                   { model => 'ant/m', input => $text });
    is $res->status, 200, 'Responses' or diag $res->body;
    is $door{responses}{whole}->($res->json), $text, '... says it';
    $res = post($httpd, "/openai/responses/input_tokens$version",
                { model => 'ant/m', input => $text });
    ok $res->json->{input_tokens}, 'what they would cost' or diag $res->body;
    is get($httpd, "/openai/models$version")->json->{object}, 'list', 'models';
    is get($httpd, "/openai/models/two$version")->json->{id}, 'two', 'a model';
};

subtest "a body that is another dialect's than its path says" => sub {
    my @words = (messages => [{ role => 'user', content => 'Hi there' }]);
    my @chat_tools = (tools => [{ type => 'function', function => {
        name => 'f', parameters => { type => 'object' } } }]);
    my @claude_tools = (tools => [{ name => 'f',
        input_schema => { type => 'object', properties => {
            function => { type => 'string' } } } }]);
    my @claude = ({ system => 'Be brief.' }, { stop_sequences => ['x'] },
                  { tools => [{ name => 'f',
                                input_schema => { type => 'object' } }] });
    my @openai = ({ stop => ['x'] }, { n => 1 }, { @chat_tools });

    for my $provider (@providers) {
        for my $more (@claude) {
            my $res = post($httpd, '/v1/chat/completions', {
                model => "$provider/m", max_tokens => 9, @words, %$more });
            is $res->json->{content}[0]{text}, 'Hi there',
                "Anthropic's to $provider: " . join ' ', keys %$more
                or diag $res->body;
        }
        for my $more (@openai) {
            my $res = post($httpd, '/v1/messages', {
                model => "$provider/m", max_tokens => 9, @words, %$more });
            is $res->json->{choices}[0]{message}{content}, 'Hi there',
                "OpenAI's to $provider: " . join ' ', keys %$more
                or diag $res->body;
        }
    }
    my $res = post($httpd, '/v1/chat/completions', { model => 'nobody/m',
        system => 'x', max_tokens => 9, @words });
    is $res->json->{type}, 'error', 'an error, in its own dialect';
    $res = post($httpd, '/v1/messages', { model => 'ant/m', max_tokens => 9,
        @words, @claude_tools });
    is $res->json->{type}, 'message',
        'a member called function makes no tool of OpenAI';
};

subtest 'a path that is not there, in the shape of those beside it' => sub {
    for my $case (['/v1beta/nope', gemini => 'NOT_FOUND'],
                  ['/v1beta/models/one:dance/on', gemini => 'NOT_FOUND'],
                  ['/v1/messages/batches', messages => 'not_found_error'],
                  ['/v1/nope', chat => 'invalid_request_error'],
                  ['/v1betamax', chat => 'invalid_request_error']) {
        my ($path, $shape, $kind) = @$case;
        my $res = get($httpd, $path);
        my $error = $res->json->{error};

        is $res->status, 404, $path;
        like $door{$shape}{error}->($res->json) // '', qr/Unknown path|does not/,
            '... told' or diag $res->body;
        is $error->{status} // $error->{type}, $kind, '... and how';
    }
};

subtest 'answers that nobody keeps' => sub {
    for my $path ('/v1/responses/resp_1', '/openai/v1/responses/resp_1',
                  '/openai/responses/resp_1') {
        my $res = get($httpd, $path);
        is $res->status, 404, 'cannot be had';
        like $res->json->{error}{message}, qr/'resp_1' is not kept here/,
            '... and why';
        is client($httpd)->request(DELETE => $path)->status, 404,
            'nor deleted';
        is post($httpd, $path, {})->status, 405, 'nor made';
    }
};

# The mock says 429 as it is told.
done_clean($httpd, allow => [qr{LX0021: }]);
done_testing;
