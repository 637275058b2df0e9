# 32-more-providers.t - providers with a wire format of their own, asked by
# OpenAI's clients through the running httpd: Ollama's /api/chat, whose streams
# are lines of JSON, and Cohere's /v2/chat.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $mock = mock();
my $httpd = httpd(conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    <LLMuxProvider oll>
        LLMuxType ollama-native
        LLMuxBaseURL @{[ $mock->base ]}
    </LLMuxProvider>
    <LLMuxProvider cloud>
        LLMuxType ollama-native
        LLMuxBaseURL @{[ $mock->base('/api') ]}
        LLMuxAPIKey sk-oll
    </LLMuxProvider>
    <LLMuxProvider coh>
        LLMuxType cohere-v2
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-coh
    </LLMuxProvider>
    <LLMuxProvider versioned>
        LLMuxType cohere-v2
        LLMuxBaseURL @{[ $mock->base('/their/v2') ]}
        LLMuxAPIKey sk-coh
    </LLMuxProvider>
    <Location "/">
        SetHandler llmux
    </Location>
END
my $path = '/v1/chat/completions';
my @weather = (
    { role => 'user', content => 'How is it in Köln?' },
    { role => 'assistant', content => 'I look.', tool_calls => [
        { id => 'w1', type => 'function', function => {
            name => 'weather', arguments => '{"city":"Köln"}' } }] },
    { role => 'tool', tool_call_id => 'w1', content => '12 °C' },
);
my @tools = ({ type => 'function', function => { name => 'weather',
    parameters => { type => 'object', properties => {
        city => { type => 'string' } }, required => ['city'] } } });

# ---- what the providers say

my @ollama = (
    { message => { role => 'assistant', content => '', thinking => 'Hm' } },
    { message => { role => 'assistant', content => 'Grüß ' } },
    { message => { role => 'assistant', content => 'Gott' } },
    { message => { role => 'assistant', content => '', tool_calls => [
        { function => { index => 0, name => 'weather',
                        arguments => { city => 'Köln' } } },
        { function => { index => 1, name => 'weather',
                        arguments => { city => 'Bonn' } } }] } },
    { message => { role => 'assistant', content => '' }, done => true,
      done_reason => 'stop', prompt_eval_count => 20,
      prompt_eval_cached_count => 8, eval_count => 9 },
);

# Lines, as they go over the wire.
sub lines { return join '', map { to_json({ model => 'llama', %$_ }) . "\n" } @_ }

# The same as one message.
sub whole_ollama
{
    return { model => 'llama', %{ $ollama[4] }, message => {
        role => 'assistant', content => 'Grüß Gott', thinking => 'Hm',
        tool_calls => $ollama[3]{message}{tool_calls} } };
}

# An event of Cohere's: type, number, what is in delta.message.
sub event
{
    my ($type, $index, %message) = @_;
    return { type => $type, defined $index ? (index => $index) : (),
             %message ? (delta => { message => \%message }) : () };
}

my %end = (finish_reason => 'TOOL_CALL', usage => {
    billed_units => { input_tokens => 3, output_tokens => 9 },
    tokens => { input_tokens => 20, output_tokens => 9 },
    cached_tokens => 8 });
my @cohere = (
    { %{ event('message-start', undef, role => 'assistant') }, id => 'c-1' },
    event('content-start', 0, content => { type => 'thinking', thinking => '' }),
    event('content-delta', 0, content => { thinking => 'Hm' }),
    event('content-end', 0),
    event('tool-plan-delta', undef, tool_plan => 'Grüß '),
    event('tool-plan-delta', undef, tool_plan => 'Gott'),
    (map {
        my ($n, $city) = @$_;
        event('tool-call-start', $n, tool_calls => { id => "w$n",
            type => 'function',
            function => { name => 'weather', arguments => '' } }),
        event('tool-call-delta', $n, tool_calls => { function => {
            arguments => '{"city":' } }),
        event('tool-call-delta', $n, tool_calls => { function => {
            arguments => qq("$city"}) } }),
        event('tool-call-end', $n)
    } [0, 'Köln'], [1, 'Bonn']),
    { type => 'message-end', delta => \%end },
);

sub whole_cohere
{
    return { id => 'c-1', %end, message => { role => 'assistant',
        content => [{ type => 'thinking', thinking => 'Hm' }],
        tool_plan => 'Grüß Gott', tool_calls => [map {
            { id => "w$_->[0]", type => 'function', function => {
                name => 'weather', arguments => qq({"city":"$_->[1]"}) } }
        } [0, 'Köln'], [1, 'Bonn']] } };
}

my %ndjson = (type => 'application/x-ndjson', framing => 'chunked');
my $bytes = lines(@ollama);
$mock->rules(
    { model => '^stream$', path => '/api/chat',
      do => { %ndjson, body => $bytes } },
    { model => '^bytes$', path => '/api/chat',
      do => { %ndjson, body => $bytes, dribble => [1, 0] } },
    { model => '^slow$', path => '/api/chat',
      do => { %ndjson, body => $bytes, dribble => [60, 0.1] } },
    { model => '^whole$', path => '/api/chat',
      do => { json => whole_ollama() } },
    { model => '^broken$', path => '/api/chat', do => { %ndjson,
        body => lines($ollama[1]) . qq({"error":"out of luck"}\n) } },
    { model => '^cut$', path => '/api/chat', do => { %ndjson,
        body => lines(@ollama[1, 2]) . '{"model":"m","mess' } },
    { model => '^missing$', path => '/api/chat', do => { status => 404,
        json => { error => q(model 'missing' not found) } } },
    { model => '^stream$', path => '/v2/chat', do => { sse => \@cohere } },
    { model => '^bytes$', path => '/v2/chat',
      do => { sse => \@cohere, dribble => [1, 0] } },
    { model => '^whole$', path => '/v2/chat',
      do => { json => whole_cohere() } },
    { model => '^broken$', path => '/v2/chat', do => { sse => [
        @cohere[0, 4], { type => 'message-end', delta => {
            finish_reason => 'ERROR', error => 'out of luck' } }] } },
    { model => '^cut$', path => '/v2/chat',
      do => { sse => [@cohere[0, 4, 5]] } },
    { model => '^missing$', path => '/v2/chat', do => { status => 404,
        json => { message => q(model 'missing' not found, make sure the )
                      . 'correct model ID was used' } } },
);

# ---- asking

sub ask
{
    my ($model, %more) = @_;
    my $before = $mock->requests;
    my $res = post($httpd, $path, { model => $model,
        messages => [{ role => 'user', content => 'Hi' }], %more });
    my @requests = $mock->requests;

    return ($res, $requests[$before]);
}

# One message of a whole answer or a stream, in one form.
sub answer
{
    my ($res) = @_;
    my ($m, $finish, $usage);

    if ($res->type eq 'application/json') {
        my $choice = $res->json->{choices}[0];
        $m = $choice->{message};
        ($finish, $usage) = ($choice->{finish_reason}, $res->json->{usage});
    }
    for my $chunk (grep { $_ } map { $_->{json} } $res->events) {
        my $choice = $chunk->{choices}[0] || { delta => {} };
        my $delta = $choice->{delta};
        $usage = $chunk->{usage} || $usage;
        $finish = $choice->{finish_reason} || $finish;
        for my $part (grep { defined $delta->{$_} }
                      qw(content reasoning_content)) {
            $m->{$part} .= $delta->{$part};
        }
        for my $call (@{ $delta->{tool_calls} || [] }) {
            my $c = $m->{tool_calls}[$call->{index}] ||= {};
            $c->{id} //= $call->{id};
            $c->{function}{name} //= $call->{function}{name};
            $c->{function}{arguments} .= $call->{function}{arguments} // '';
        }
    }
    return { text => $m->{content}, reasoning => $m->{reasoning_content},
             finish => $finish, ids => [map { $_->{id} } @{ $m->{tool_calls} }],
             calls => [map { [$_->{function}{name}, arguments($_)] }
                       @{ $m->{tool_calls} }],
             usage => [$usage->{prompt_tokens},
                       $usage->{prompt_tokens_details}{cached_tokens},
                       $usage->{completion_tokens}] };
}

sub arguments
{
    my $text = $_[0]{function}{arguments};
    utf8::encode($text);
    return from_json($text);
}

my %stream = (stream => true, stream_options => { include_usage => true });
my %want = (text => 'Grüß Gott', reasoning => 'Hm', finish => 'tool_calls',
            calls => [[weather => { city => 'Köln' }],
                      [weather => { city => 'Bonn' }]],
            usage => [20, 8, 9]);

sub is_message
{
    my ($res, $name, $ids) = @_;
    my $got = answer($res);
    my @ids = @{ delete $got->{ids} };

    is_deeply $got, \%want, $name or diag($res->body);
    is scalar(grep { $_ =~ $ids } @ids), 2, '... with ids of their calls';
    isnt $ids[0], $ids[1], '... that differ';
    return;
}

for my $case (['oll', qr/^call_\w{24}$/], ['coh', qr/^w[01]$/]) {
    my ($provider, $ids) = @$case;
    subtest "$provider answers" => sub {
        for my $model (qw(stream bytes)) {
            my ($res) = ask("$provider/$model", %stream, tools => \@tools);
            is $res->type, 'text/event-stream', "$model: an event stream";
            is_message($res, "$model: the message", $ids);
            is +($res->events)[-1]{data}, '[DONE]', "$model: and its end";
        }
        my ($res) = ask("$provider/whole", tools => \@tools);
        is $res->type, 'application/json', 'whole: a document';
        is_message($res, 'whole: the message', $ids);
        ($res) = ask("$provider/whole", %stream);
        is_message($res, 'a document in place of a stream', $ids);
        ($res) = ask("$provider/stream");
        is_message($res, 'a stream in place of a document', $ids);
    };

    subtest "$provider fails" => sub {
        my ($res) = ask("$provider/missing", %stream);
        is $res->status, 404, 'before it has begun';
        is $res->json->{error}{code}, 'model_not_found', 'and says why';
        for my $case ([broken => qr/out of luck/], [cut => qr/truncated/]) {
            my ($model, $words) = @$case;
            ($res) = ask("$provider/$model", %stream);
            my @events = $res->events;
            is $res->status, 200, "$model: it had begun";
            like $events[-1]{json}{error}{message}, $words, "$model: why";
            ($res) = ask("$provider/$model");
            is $res->status, 502, "$model: nothing of it when not streamed";
        }
    };
}

# ---- what the providers are asked

my %turn = (messages => [{ role => 'system', content => 'Be brief.' },
                         @weather], tools => \@tools, max_tokens => 50,
            temperature => 0.5, top_p => 0.9, seed => 7, stop => ['END']);

subtest 'Ollama is asked' => sub {
    my ($res, $rq) = ask('oll/whole', %turn);
    is $rq->{path}, '/api/chat', 'where';
    ok !exists $rq->{headers}{authorization}, 'without a key';
    is_deeply $rq->{json}{messages}, [
        { role => 'system', content => 'Be brief.' },
        { role => 'user', content => 'How is it in Köln?' },
        { role => 'assistant', content => 'I look.', tool_calls => [
            { id => 'w1', type => 'function', function => { index => 0,
                name => 'weather', arguments => { city => 'Köln' } } }] },
        { role => 'tool', content => '12 °C', tool_name => 'weather',
          tool_call_id => 'w1' }], 'messages';
    is_deeply $rq->{json}{tools}, \@tools, 'tools';
    is_deeply $rq->{json}{options}, { num_predict => 50, temperature => 0.5,
        top_p => 0.9, seed => 7, stop => ['END'] }, 'options';
    ok !$rq->{json}{stream}, 'not streamed';
    is $res->header('x-llmux-warnings'), undef, 'nothing was lost';

    ($res, $rq) = ask('oll/stream', %stream, tools => \@tools,
                      tool_choice => 'required');
    ok $rq->{json}{stream}, 'streamed';
    is $rq->{headers}{accept}, 'application/x-ndjson', 'and lines are taken';
    is $res->header('x-llmux-warnings'), 'approx=tool_choice',
        'what it cannot do is told';
    ($res, $rq) = ask('cloud/whole');
    is $rq->{path}, '/api/chat', 'an address with /api';
    is $rq->{headers}{authorization}, 'Bearer sk-oll', 'with a key';
};

subtest 'Cohere is asked' => sub {
    my ($res, $rq) = ask('coh/whole', %turn);
    is $rq->{path}, '/v2/chat', 'where';
    is $rq->{headers}{authorization}, 'Bearer sk-coh', 'with the key';
    is_deeply $rq->{json}{messages}, [
        { role => 'system', content => 'Be brief.' },
        { role => 'user', content => 'How is it in Köln?' },
        { role => 'assistant', tool_plan => 'I look.',
          tool_calls => $weather[1]{tool_calls} },
        { role => 'tool', tool_call_id => 'w1', content => '12 °C' }],
        'messages';
    is_deeply $rq->{json}{tools}, \@tools, 'tools';
    is_deeply { map { ($_ => $rq->{json}{$_}) } qw(max_tokens temperature p
        seed stop_sequences stream) }, { max_tokens => 50,
        temperature => 0.5, p => 0.9, seed => 7, stop_sequences => ['END'],
        stream => false }, 'numbers';
    is $res->header('x-llmux-warnings'), undef, 'nothing was lost';
    ($res, $rq) = ask('coh/stream', %stream, tools => \@tools,
                      tool_choice => 'required');
    is $rq->{json}{tool_choice}, 'REQUIRED', 'a forced call';
    ($res, $rq) = ask('versioned/nobody');
    is $rq->{path}, '/their/v2/chat', 'an address with a version';
};

subtest 'a line passes when it is there' => sub {
    my $c = client($httpd);
    my $res = $c->start(POST => $path, until_events => 2,
        body => { model => 'oll/slow', %stream,
                  messages => [{ role => 'user', content => 'Hi' }] });
    my ($last) = ($mock->requests)[-1];

    ok !$last->{how}, 'two events have come, and the provider goes on';
    $c->read;
    is_message($res, 'the rest comes as well', qr/^call_/);
};

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
