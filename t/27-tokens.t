# 27-tokens.t - signatures and encrypted reasoning of earlier turns: they come
# back to the account that made them, unchanged; to nobody else; and where
# one is refused, the request goes on without it.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $signature = 'Eq+/' . 'QUJD' x 30 . '==';
my $thinking = { json => { id => 'msg_1', type => 'message', model => 'c',
    role => 'assistant', stop_reason => 'tool_use', content => [
        { type => 'thinking', thinking => 'Hm.', signature => $signature },
        { type => 'tool_use', id => 'toolu_1', name => 'f', input => {} }],
    usage => { input_tokens => 1, output_tokens => 1 } } };

my %refusals = (
    messages => { status => 400, json => { type => 'error', error => {
        type => 'invalid_request_error', message => 'messages.1.content.0: '
            . 'Invalid `signature` in `thinking` block' } } },
    responses => { status => 400, json => { error => {
        type => 'invalid_request_error', param => undef,
        code => 'invalid_encrypted_content',
        message => 'The encrypted content could not be verified.' } } },
    generate => { status => 400, json => { error => { code => 400,
        status => 'INVALID_ARGUMENT',
        message => 'Thought signature is not valid.' } } },
);

my $mock = mock();
my $httpd = httpd(conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    AllowEncodedSlashes NoDecode
    <LLMuxProvider one>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-1
    </LLMuxProvider>
    <LLMuxProvider two>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-2
    </LLMuxProvider>
    <LLMuxProvider shared>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-3
        LLMuxAccount one
    </LLMuxProvider>
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-o
    </LLMuxProvider>
    <LLMuxProvider gem>
        LLMuxType gemini
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-g
    </LLMuxProvider>
    <Location "/">
        SetHandler llmux
    </Location>
    <Location "/strict">
        SetHandler llmux
        LLMuxUnsupported refuse
    </Location>
END

my @tools = (tools => [{ type => 'function', function => { name => 'f',
    parameters => { type => 'object', properties => {} } } }]);

sub last_request { return ($mock->requests)[-1] }

# The first turn with this provider; then the second one of a client who sends
# back what he got.
sub first_turn
{
    $mock->rules({ path => '/messages$', do => $thinking });
    my $res = post($httpd, '/v1/chat/completions', { %{ chat("$_[0]/m", 'Hi') },
        @tools, reasoning_effort => 'low' });
    $mock->rules();
    return $res->json->{choices}[0]{message};
}

sub second_turn
{
    my ($to, $message) = @_;
    return post($httpd, '/v1/chat/completions', { model => "$to/m", @tools,
        reasoning_effort => 'low', messages => [
            { role => 'user', content => 'Hi' }, $message,
            { role => 'tool', tool_call_id => 'toolu_1', content => 'ok' }] });
}

my $message = first_turn('one');
my ($sealed) = grep { defined } map { $_->{signature} }
    @{ $message->{reasoning_details} };
like $sealed, qr/^gw2\.\w+\.[\w-]+$/, 'the client carries a sealed signature';
unlike to_json($message), qr/\Q$signature\E/, '... and not the bare one';

sub thought
{
    my ($turn) = grep { $_->{role} eq 'assistant' }
        @{ last_request()->{json}{messages} };
    my ($thought) = grep { $_->{type} eq 'thinking' } @{ $turn->{content} };
    return $thought;
}

is second_turn('one', $message)->status, 200, 'back to who made it';
is_deeply thought(), { type => 'thinking', thinking => 'Hm.',
                       signature => $signature }, '... unchanged';
is second_turn('shared', $message)->status, 200, 'to the same account';
is thought()->{signature}, $signature, '... unchanged';

my $res = second_turn('two', $message);
is $res->status, 200, 'to another account';
is thought(), undef, '... it does not go';
like $res->header('X-LLMux-Warnings') // '', qr/reasoning_content/, '... told';

(my $forged = to_json($message)) =~ s/(gw2\.\w+\..{40})(.)/
    $1 . ($2 eq 'A' ? 'B' : 'A')/e;
$res = second_turn('one', from_json($forged));
is $res->status, 200, 'one that was altered';
is thought(), undef, '... goes nowhere';
like $res->header('X-LLMux-Warnings') // '', qr/reasoning_content/, '... told';

$httpd->graceful;
is second_turn('one', $message)->status, 200, 'after a graceful restart';
is thought()->{signature}, $signature, '... it is as good as before';

# ---- where the client's bytes pass

sub warnings { return $_[0]->header('X-LLMux-Warnings') // '' }

# A client of Messages in the middle of calling a tool, who carries this.
sub relayed
{
    my ($to, $signature, $at) = @_;
    return post($httpd, ($at // '') . '/v1/messages', {
        model => "$to/m", max_tokens => 2000,
        thinking => { type => 'enabled', budget_tokens => 1024 },
        messages => [
            { role => 'user', content => 'Hi' },
            { role => 'assistant', content => [
                { type => 'thinking', thinking => 'Hm.',
                  signature => $signature },
                { type => 'tool_use', id => 'toolu_1', name => 'f',
                  input => {} }] },
            { role => 'user', content => [{ type => 'tool_result',
                tool_use_id => 'toolu_1', content => 'ok' }] }] });
}

subtest 'Messages pass, and a thought does not' => sub {
    is relayed('one', $sealed)->status, 200, 'back to who made it';
    is thought()->{signature}, $signature, '... it is unsealed';
    ok last_request()->{json}{thinking}, '... and thinking goes on';
    my $res = relayed('two', $sealed);
    is $res->status, 200, 'to another account';
    is thought(), undef, '... it does not go';
    is last_request()->{json}{thinking}, undef, '... nor is it thought on';
    is warnings($res), 'drop=reasoning_content,thinking', '... told';
    $res = relayed('one', $signature);
    is warnings($res), '', 'nothing is lost, nothing told';
};

subtest 'nor where the operator wants no losses' => sub {
    my $before = () = $mock->requests;
    my $res = relayed('two', $sealed, '/strict');
    is $res->status, 400, 'to another account: refused';
    like $res->json->{error}{message}, qr/reasoning_content/, '... for this';
    is scalar(() = $mock->requests), $before, '... and nobody was asked';
    is relayed('one', $sealed, '/strict')->status, 200,
        'to the same account, all is well';
};

subtest 'chats pass, and a thought does not' => sub {
    my $res = second_turn('oai', $message);
    is $res->status, 200, 'to another maker';
    unlike last_request()->{body}, qr/gw2\.|\Q$signature\E/, '... no token';
    is warnings($res), 'drop=reasoning_content', '... told';
};

# ---- where a client's own one is refused

sub twice
{
    my ($path, $kind, $door, $body) = @_;
    my $before = () = $mock->requests;

    $mock->rules({ path => $path, times => 1, do => $refusals{$kind} });
    my $res = post($httpd, $door, $body,
        headers => { 'anthropic-version' => '2023-06-01' });
    my @seen = $mock->requests;
    return ($res, @seen[$before .. $#seen]);
}

subtest 'Anthropic refuses a signature' => sub {
    my ($res, @rq) = twice('/messages$', 'messages', '/v1/messages', {
        model => 'one/m', max_tokens => 2000, messages => [
            { role => 'user', content => 'Hi' },
            { role => 'assistant', content => [
                { type => 'thinking', thinking => 'Hm', signature => 'b2xk' },
                { type => 'text', text => 'Yes?' }] },
            { role => 'user', content => 'Go on' }] });
    is $res->status, 200, 'the client does not notice' or diag $res->body;
    is scalar @rq, 2, 'asked again, once';
    like $rq[0]{body}, qr/b2xk/, 'first as the client said it';
    unlike $rq[1]{body}, qr/b2xk/, 'then without';
    like $res->header('X-LLMux-Warnings') // '', qr/reasoning_content/, 'told';
};

subtest 'OpenAI refuses encrypted reasoning' => sub {
    my ($res, @rq) = twice('/responses$', 'responses', '/v1/responses', {
        model => 'oai/m', store => false, input => [
            { type => 'reasoning', id => 'rs_1', summary => [],
              encrypted_content => 'b2xk' },
            { role => 'assistant', content => 'Yes?' },
            { role => 'user', content => 'Go on' }] });
    is $res->status, 200, 'the client does not notice' or diag $res->body;
    is scalar @rq, 2, 'asked again, once';
    unlike $rq[1]{body}, qr/b2xk/, '... without';
    is $res->json->{output}[0]{content}[0]{text}, 'Go on', 'the answer';
};

subtest 'Gemini refuses a signature' => sub {
    my ($res, @rq) = twice(':generateContent$', 'generate',
        '/v1beta/models/gem%2Fm:generateContent', { contents => [
            { role => 'user', parts => [{ text => 'Hi' }] },
            { role => 'model', parts => [{ text => 'Yes?',
                thoughtSignature => 'b2xk' }] },
            { role => 'user', parts => [{ text => 'Go on' }] }] });
    is $res->status, 200, 'the client does not notice' or diag $res->body;
    is scalar @rq, 2, 'asked again, once';
    unlike $rq[1]{body}, qr/b2xk/, '... without';
};

subtest 'refused for something else' => sub {
    $mock->rules({ path => '/messages$', do => $refusals{messages} });
    my $before = () = $mock->requests;
    my $res = post($httpd, '/v1/chat/completions', chat('one/m', 'Hi'));
    is $res->status, 400, 'twice is enough';
    is scalar(() = $mock->requests), $before + 2, '... and not once more';
};

done_clean($httpd);
done_testing;
