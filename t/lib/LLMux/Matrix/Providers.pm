# Providers.pm - the dialects of providers, as a table: what each of them says
# when it is told what to say, and what it understands of a request. No row
# knows which client asks.
#
# What is to be said is {blocks => [...], end, usage, broken, sequence}; a
# block is {think => text, token}, {text}, {call => {id, name, args}} or
# {refusal => text}; `broken`: the stream ends with this error instead.
#
# A row is {type, conf, model, whole, streamed, error, read, ends, means,
# counts, ...}:
#   whole($say), streamed($say)   behaviours of the mock
#   error($kind)      likewise: bad, limit, busy, key
#   read($rq)         {system, user, tools, calls, results, images, pdfs,
#                     schema, effort, tokens, thoughts, stop, max}: what stands
#                     in the request
#   ends, means       its words for why an answer ended, and what can be
#                     understood of them where they say less than ours
#   counts            which parts of the usage it reports
#   effort            how it is told "low"
#   back              what of its reasoning it gets back: token or thoughts
#   foreign           a provider of another maker
#   fetches           what it takes by its URL: image, pdf
#   refuses           it says in words that it refuses
#   path, streams     where it is asked; what is put behind that for a whole
#                     answer and for a stream, if that does not stand in the
#                     body (or, in_body, in both places)
#   sequence          it says which sequence stopped it
#   nameless          its calls have no ids
#   pairs             results go to calls by name and order: "by name" where
#                     ids may be missing, "without ids" where they must be
package LLMux::Matrix::Providers;

use strict;
use warnings;
use Compress::Raw::Zlib qw(crc32);
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(decode_base64);

our @EXPORT_OK = qw(%providers @providers error_text);

our @providers = qw(chat responses anthropic gemini bedrock vertex
                    vertex-claude azure cohere ollama);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
# JSON within JSON: characters, not bytes.
my $inner = JSON::PP->new->canonical->allow_nonref;
my ($no, $yes, $null) = (JSON::PP::false, JSON::PP::true, undef);

sub encoded { return $json->encode($_[0]) }

sub parsed
{
    my ($x) = @_;
    return ref $x ? $x : eval { $inner->decode($x) } // $x;
}

sub text_of { return join '', map { $_ // '' } @_ }
sub given
{
    my %all = @_;
    return map { defined $all{$_} ? ($_ => $all{$_}) : () } keys %all;
}

# Characters, a few at a time.
sub bits { return $_[0] =~ /.{1,5}/gs }

sub arg_bits
{
    my ($call) = @_;
    return bits($inner->encode($call->{args}));
}


sub blocks
{
    my ($say, $kind) = @_;
    return grep { exists $_->{$kind} } @{ $say->{blocks} };
}

sub said
{
    my ($say, $kind) = @_;
    return text_of(map { $_->{$kind} } blocks($say, $kind));
}

sub calls { return map { $_->{call} } blocks($_[0], 'call') }
sub count { return $_[0]{usage}{ $_[1] } // 0 }

# What a data URL holds, or where something is.
sub medium
{
    my ($url) = @_;
    return $url =~ m{^data:[^;,]+;base64,(.*)}s ? decode_base64($1)
        : "at $url";
}

# Texts that stand alone or in parts.
sub texts
{
    my ($content) = @_;
    return $content // '' if !ref $content;
    return text_of(map { ref $_ ? $_->{text} : $_ } @$content);
}

sub parts_of { return ref $_[0] eq 'ARRAY' ? @{ $_[0] } : () }

# What a provider says of an error; clients see these words, but for `key`.
our %texts = (bad => 'The matrix finds this request wrong.',
              limit => 'The matrix was asked too often.',
              busy => 'The matrix is busy.',
              key => 'The matrix does not know the key sk-secret.');

sub error_text { return $texts{ $_[0] } }

my %statuses = (bad => 400, limit => 429, busy => 503, key => 401);

sub failing
{
    my ($kind, $body, %more) = @_;
    return { status => $statuses{$kind}, json => $body,
             ($kind eq 'limit' ? (retry_after => 7) : ()), %more };
}

# ---- OpenAI's chat completions

my %openai_types = (bad => 'invalid_request_error',
    limit => 'rate_limit_error', busy => 'server_error',
    key => 'invalid_request_error');

sub openai_error
{
    my ($kind) = @_;
    return failing($kind, { error => { message => $texts{$kind},
        type => $openai_types{$kind}, param => $null,
        code => $kind eq 'limit' ? 'rate_limit_exceeded' : $null } });
}

sub openai_usage
{
    my ($say, $in, $out) = @_;
    my $read = count($say, 'cache_read');
    my $write = count($say, 'cache_write');
    my $thought = count($say, 'reasoning');
    my %u = ("${in}_tokens" => count($say, 'input') + $read + $write,
             "${out}_tokens" => count($say, 'output') + $thought);

    $u{total_tokens} = $u{"${in}_tokens"} + $u{"${out}_tokens"};
    $u{"${in}_tokens_details"} = { cached_tokens => $read,
                                   cache_write_tokens => $write };
    $u{"${out}_tokens_details"} = { reasoning_tokens => $thought };
    return \%u;
}

sub chat_call
{
    my ($call) = @_;
    return { id => $call->{id}, type => 'function', function => {
        name => $call->{name}, arguments => $inner->encode($call->{args}) } };
}

sub chat_whole
{
    my ($say) = @_;
    my @calls = map { chat_call($_) } calls($say);
    my ($text, $thoughts, $refusal) = map { said($say, $_) }
        qw(text think refusal);

    return { json => { id => 'chatcmpl-1', object => 'chat.completion',
        created => 1700000000, model => 'matrix',
        usage => openai_usage($say, qw(prompt completion)),
        choices => [{ index => 0, finish_reason => $say->{end},
            logprobs => $null, message => { role => 'assistant',
                content => $text eq '' ? $null : $text,
                refusal => $refusal eq '' ? $null : $refusal,
                ($thoughts ne '' ? (reasoning_content => $thoughts) : ()),
                (@calls ? (tool_calls => \@calls) : ()) } }] } };
}

# Pieces of several lists in turn: the first of each, the second of each ...
sub interleaved
{
    my @lists = map { [@$_] } @_;
    my @out;

    while (grep { @$_ } @lists) {
        push @out, map { @$_ ? shift @$_ : () } @lists;
    }
    return @out;
}

sub chat_calls
{
    my ($say) = @_;
    my @calls = map { chat_call($_) } calls($say);

    return interleaved(map {
        my $i = $_;
        my ($id, $f) = @{ $calls[$i] }{qw(id function)};
        [{ tool_calls => [{ index => $i, id => $id, type => 'function',
            function => { name => $f->{name}, arguments => '' } }] },
         map { { tool_calls => [{ index => $i,
                     function => { arguments => $_ } }] } }
            bits($f->{arguments})]
    } 0 .. $#calls);
}

sub chat_streamed
{
    my ($say) = @_;
    my %head = (id => 'chatcmpl-1', object => 'chat.completion.chunk',
                created => 1700000000, model => 'matrix');
    my @deltas = ({ role => 'assistant', content => '' },
        (map { { reasoning_content => $_ } } bits(said($say, 'think'))),
        (map { { content => $_ } } bits(said($say, 'text'))),
        (map { { refusal => $_ } } bits(said($say, 'refusal'))),
        chat_calls($say));
    my @chunks = map { { %head, usage => $null, choices => [{ index => 0,
        delta => $_, logprobs => $null, finish_reason => $null }] } } @deltas;

    return { sse => [@chunks, { error => { message => $say->{broken},
        type => 'server_error', param => $null, code => $null } }] }
        if $say->{broken};
    return { sse => [@chunks, { %head, usage => $null, choices => [{
            index => 0, delta => {}, finish_reason => $say->{end} }] },
        { %head, choices => [],
          usage => openai_usage($say, qw(prompt completion)) }, '[DONE]'] };
}

sub chat_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my @messages = @{ $body->{messages} };
    my ($user) = reverse grep { $_->{role} eq 'user' } @messages;
    my @parts = map { parts_of($_->{content}) } @messages;
    my $stop = $body->{stop};

    return {
        system => text_of(map { $_->{role} =~ /^(?:system|developer)$/
            ? texts($_->{content}) : () } @messages),
        user => texts($user->{content}),
        tools => [map { { name => $_->{function}{name},
            description => $_->{function}{description},
            schema => $_->{function}{parameters} } }
            @{ $body->{tools} || [] }],
        calls => [map { { id => $_->{id}, name => $_->{function}{name},
            args => parsed($_->{function}{arguments}) } }
            map { @{ $_->{tool_calls} || [] } } @messages],
        results => [map { { id => $_->{tool_call_id},
                            text => texts($_->{content}) } }
            grep { $_->{role} eq 'tool' } @messages],
        images => [map { medium($_->{image_url}{url}) }
            grep { $_->{type} eq 'image_url' } @parts],
        pdfs => [map { medium($_->{file}{file_data}) }
            grep { $_->{type} eq 'file' } @parts],
        schema => ($body->{response_format} || {})->{json_schema}{schema},
        effort => $body->{reasoning_effort},
        thoughts => text_of(map { $_->{reasoning_content} } @messages),
        stop => ref $stop || !defined $stop ? $stop : [$stop],
        max => $body->{max_completion_tokens} // $body->{max_tokens},
    };
}

# ---- OpenAI's responses

sub responses_item
{
    my ($block, $i) = @_;

    return { type => 'reasoning', id => "rs_$i",
        summary => [{ type => 'summary_text', text => $block->{think} }],
        given(encrypted_content => $block->{token}) }
        if exists $block->{think};
    return { type => 'function_call', id => "fc_$i", status => 'completed',
        call_id => $block->{call}{id}, name => $block->{call}{name},
        arguments => $inner->encode($block->{call}{args}) }
        if $block->{call};
    return { type => 'message', id => "msg_$i", role => 'assistant',
        status => 'completed', content => [exists $block->{refusal}
            ? { type => 'refusal', refusal => $block->{refusal} }
            : { type => 'output_text', text => $block->{text},
                annotations => [], logprobs => [] }] };
}

sub responses_object
{
    my ($say, @output) = @_;
    my ($status, $reason) = split /:/, $say->{end};

    return { id => 'resp_1', object => 'response', created_at => 1700000000,
        model => 'matrix', status => $status, error => $null,
        incomplete_details => $reason ? { reason => $reason } : $null,
        output => \@output, usage => openai_usage($say, qw(input output)) };
}

sub responses_items
{
    my ($say) = @_;
    my @blocks = @{ $say->{blocks} };
    return map { responses_item($blocks[$_], $_) } 0 .. $#blocks;
}

# All events of one item: its beginning, its pieces, its end.
sub responses_item_events
{
    my ($item, $i) = @_;
    my %at = (output_index => $i, item_id => $item->{id});
    my %part = (%at, content_index => 0);
    my $done = ['response.output_item.done', output_index => $i,
                item => $item];
    my $added = sub { ['response.output_item.added', output_index => $i,
                       item => { %$item, @_ }] };

    if ($item->{type} eq 'function_call') {
        return [$added->(arguments => '', status => 'in_progress'),
            (map { ['response.function_call_arguments.delta', %at,
                    delta => $_] } bits($item->{arguments})),
            ['response.function_call_arguments.done', %at,
                name => $item->{name}, arguments => $item->{arguments}],
            $done];
    }
    if ($item->{type} eq 'reasoning') {
        my %sum = (%at, summary_index => 0);
        my $text = $item->{summary}[0]{text};
        return [$added->(summary => [], ($item->{encrypted_content}
                ? (encrypted_content => 'gAAAprovisional') : ())),
            ['response.reasoning_summary_part.added', %sum,
                part => { type => 'summary_text', text => '' }],
            (map { ['response.reasoning_summary_text.delta', %sum,
                    delta => $_] } bits($text)),
            ['response.reasoning_summary_text.done', %sum, text => $text],
            ['response.reasoning_summary_part.done', %sum,
                part => { type => 'summary_text', text => $text }], $done];
    }
    my $whole = $item->{content}[0];
    my ($name, $what) = $whole->{type} eq 'refusal'
        ? ('refusal', 'refusal') : ('output_text', 'text');
    return [$added->(content => [], status => 'in_progress'),
        ['response.content_part.added', %part,
            part => { %$whole, $what => '' }],
        (map { ["response.$name.delta", %part, delta => $_] }
            bits($whole->{$what})),
        ["response.$name.done", %part, $what => $whole->{$what}],
        ['response.content_part.done', %part, part => $whole], $done];
}

# Calls that were made together come in turns.
sub responses_streamed
{
    my ($say) = @_;
    my @items = responses_items($say);
    my %calls = map { $_ => 1 } grep { $items[$_]{type} eq 'function_call' }
        0 .. $#items;
    my %started = (id => 'resp_1', object => 'response', output => [],
        created_at => 1700000000, model => 'matrix', usage => $null,
        status => 'in_progress');
    my @events = map { @{ responses_item_events($items[$_], $_) } }
        grep { !$calls{$_} } 0 .. $#items;
    push @events, interleaved(map { responses_item_events($items[$_], $_) }
                              sort { $a <=> $b } keys %calls);
    my ($status) = split /:/, $say->{end};
    my $n = 0;

    unshift @events, map { [$_, response => { %started }] }
        qw(response.created response.in_progress);
    push @events, $say->{broken}
        ? (['error', code => 'server_error', message => $say->{broken},
            param => $null],
           ['response.failed', response => { %started, status => 'failed',
            error => { code => 'server_error',
                       message => $say->{broken} } }])
        : ["response.$status", response => responses_object($say, @items)];
    return { sse => [map {
        my ($type, @rest) = @$_;
        [$type, { type => $type, sequence_number => $n++, @rest }]
    } @events] };
}

sub responses_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my @items = ref $body->{input} ? @{ $body->{input} }
        : { role => 'user', content => $body->{input} };
    my $is = sub { my ($want) = @_;
                   return grep { ($_->{type} // 'message') eq $want } @items };
    my @messages = $is->('message');
    my ($user) = reverse grep { $_->{role} eq 'user' } @messages;
    my @parts = map { parts_of($_->{content}) } @messages;

    return {
        system => text_of($body->{instructions},
            map { $_->{role} =~ /^(?:system|developer)$/
                  ? texts($_->{content}) : () } @messages),
        user => texts($user->{content}),
        tools => [map { { name => $_->{name}, schema => $_->{parameters},
            description => $_->{description} } } @{ $body->{tools} || [] }],
        calls => [map { { id => $_->{call_id}, name => $_->{name},
            args => parsed($_->{arguments}) } } $is->('function_call')],
        results => [map { { id => $_->{call_id}, text => texts($_->{output}) } }
            $is->('function_call_output')],
        images => [map { medium($_->{image_url}) }
            grep { $_->{type} eq 'input_image' } @parts],
        pdfs => [map { medium($_->{file_data} // $_->{file_url}) }
            grep { $_->{type} eq 'input_file' } @parts],
        schema => ($body->{text} || {})->{format}{schema},
        effort => ($body->{reasoning} || {})->{effort},
        tokens => [map { $_->{encrypted_content} } $is->('reasoning')],
        stop => $body->{stop}, max => $body->{max_output_tokens},
    };
}

# ---- Anthropic's messages

my %anthropic_types = (bad => 'invalid_request_error',
    limit => 'rate_limit_error', busy => 'overloaded_error',
    key => 'authentication_error');

sub anthropic_error
{
    my ($kind) = @_;
    return failing($kind, { type => 'error', request_id => 'req_1',
        error => { type => $anthropic_types{$kind},
                   message => $texts{$kind} } },
        ($kind eq 'busy' ? (status => 529) : ()));
}

sub anthropic_block
{
    my ($block) = @_;

    return { type => 'thinking', thinking => $block->{think},
             signature => $block->{token} } if exists $block->{think};
    return { type => 'text', text => $block->{text} }
        if exists $block->{text};
    return { type => 'tool_use', id => $block->{call}{id},
             name => $block->{call}{name}, input => $block->{call}{args} }
        if $block->{call};
    return;     # it has no words for a refusal
}

sub anthropic_usage
{
    my ($say) = @_;
    return { input_tokens => count($say, 'input'),
        cache_read_input_tokens => count($say, 'cache_read'),
        cache_creation_input_tokens => count($say, 'cache_write'),
        output_tokens => count($say, 'output') + count($say, 'reasoning'),
        output_tokens_details => {
            thinking_tokens => count($say, 'reasoning') } };
}

sub anthropic_whole
{
    my ($say) = @_;
    return { json => { id => 'msg_1', type => 'message',
        role => 'assistant', model => 'matrix',
        content => [map { anthropic_block($_) } @{ $say->{blocks} }],
        stop_reason => $say->{end}, stop_sequence => $say->{sequence},
        usage => anthropic_usage($say) } };
}

sub anthropic_deltas
{
    my ($block) = @_;

    return ((map { { type => 'thinking_delta', thinking => $_ } }
             bits($block->{think})),
            { type => 'signature_delta', signature => $block->{token} })
        if exists $block->{think};
    return map { { type => 'text_delta', text => $_ } } bits($block->{text})
        if exists $block->{text};
    # What has no arguments may come without a piece of them.
    return if !%{ $block->{call}{args} };
    return map { { type => 'input_json_delta', partial_json => $_ } }
        '', arg_bits($block->{call});
}

sub anthropic_block_events
{
    my ($block, $i) = @_;
    my %begins = (thinking => { thinking => '', signature => '' },
                  text => { text => '' }, tool_use => { input => {} });
    my $b = anthropic_block($block);

    return ({ type => 'content_block_start', index => $i,
              content_block => { %$b, %{ $begins{ $b->{type} } } } },
        (map { { type => 'content_block_delta', index => $i, delta => $_ } }
            anthropic_deltas($block)),
        { type => 'content_block_stop', index => $i });
}

sub anthropic_streamed
{
    my ($say) = @_;
    my @blocks = grep { !exists $_->{refusal} } @{ $say->{blocks} };
    my %usage = %{ anthropic_usage($say) };
    my @events = ({ type => 'message_start', message => { id => 'msg_1',
        type => 'message', role => 'assistant', model => 'matrix',
        content => [], stop_reason => $null, stop_sequence => $null,
        usage => { %usage, output_tokens => 1 } } }, { type => 'ping' },
        map { anthropic_block_events($blocks[$_], $_) } 0 .. $#blocks);

    # The block stays open when it breaks.
    push @events, $say->{broken}
        ? { type => 'error', error => { type => 'overloaded_error',
                                        message => $say->{broken} } }
        : ({ type => 'message_delta', usage => \%usage, delta => {
                stop_reason => $say->{end},
                stop_sequence => $say->{sequence} } },
           { type => 'message_stop' });
    return { sse => [map { [$_->{type}, $_] } @events] };
}

sub source
{
    my ($source) = @_;
    return $source->{type} eq 'url' ? "at $source->{url}"
        : decode_base64($source->{data} // '');
}

sub anthropic_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my @messages = @{ $body->{messages} };
    my ($user) = reverse grep { $_->{role} eq 'user' } @messages;
    my @parts = map { parts_of($_->{content}) } @messages;
    my $is = sub { my ($want) = @_; grep { $_->{type} eq $want } @parts };

    return {
        system => texts($body->{system}), user => texts($user->{content}),
        tools => [map { { name => $_->{name}, schema => $_->{input_schema},
            description => $_->{description} } } @{ $body->{tools} || [] }],
        calls => [map { { id => $_->{id}, name => $_->{name},
                          args => $_->{input} } } $is->('tool_use')],
        results => [map { { id => $_->{tool_use_id},
            text => texts($_->{content}) } } $is->('tool_result')],
        images => [map { source($_->{source}) } $is->('image')],
        pdfs => [map { source($_->{source}) } $is->('document')],
        schema => ($body->{output_config} || {})->{format}{schema},
        effort => ($body->{output_config} || {})->{effort},
        tokens => [map { $_->{signature} } $is->('thinking')],
        thoughts => text_of(map { $_->{thinking} } @parts),
        stop => $body->{stop_sequences}, max => $body->{max_tokens},
    };
}

# ---- Google's generateContent

my %google_statuses = (bad => 'INVALID_ARGUMENT',
    limit => 'RESOURCE_EXHAUSTED', busy => 'UNAVAILABLE',
    key => 'UNAUTHENTICATED');

# When to come back stands in the body.
sub gemini_error
{
    my ($kind) = @_;
    my @details = $kind eq 'limit' ? (details => [{
        '@type' => 'type.googleapis.com/google.rpc.RetryInfo',
        retryDelay => '6.4s' }]) : ();
    my $do = failing($kind, { error => { code => $statuses{$kind},
        message => $texts{$kind}, status => $google_statuses{$kind},
        @details } });

    delete $do->{retry_after};
    return $do;
}

# The signature hangs on the call, or at the end on a text of nothing.
sub gemini_parts
{
    my ($say, $cut) = @_;
    my ($token) = map { $_->{token} // () } @{ $say->{blocks} };
    my @parts;

    for my $block (@{ $say->{blocks} }) {
        if ($block->{call}) {
            push @parts, { functionCall => { name => $block->{call}{name},
                given(id => $block->{call}{id}), %{ $block->{call}{args} }
                    ? (args => $block->{call}{args}) : () } };
            $parts[-1]{thoughtSignature} = $token if defined $token;
            undef $token;
            next;
        }
        my $text = $block->{think} // $block->{text} // next;
        push @parts, map { { text => $_,
            (exists $block->{think} ? (thought => $yes) : ()) } }
            $cut ? bits($text) : $text;
    }
    push @parts, { text => '', thoughtSignature => $token }
        if defined $token;
    return @parts;
}

sub gemini_usage
{
    my ($say) = @_;
    my %u = (promptTokenCount => count($say, 'input')
                 + count($say, 'cache_read'),
             cachedContentTokenCount => count($say, 'cache_read'),
             candidatesTokenCount => count($say, 'output'),
             thoughtsTokenCount => count($say, 'reasoning'));

    $u{totalTokenCount} = $u{promptTokenCount} + $u{candidatesTokenCount}
        + $u{thoughtsTokenCount};
    return \%u;
}

sub gemini_chunk
{
    my ($say, $parts, %more) = @_;
    return { modelVersion => 'matrix', responseId => 'r1',
        candidates => [{ index => 0, %more, (@$parts ? (content => {
            role => 'model', parts => $parts }) : ()) }],
        usageMetadata => gemini_usage($say) };
}

sub gemini_whole
{
    my ($say) = @_;
    return { json => gemini_chunk($say, [gemini_parts($say)],
                                  finishReason => $say->{end}) };
}

sub gemini_streamed
{
    my ($say) = @_;
    my @chunks = map { gemini_chunk($say, [$_]) } gemini_parts($say, 1);

    return { sse => [@chunks, $say->{broken}
        ? { error => { code => 503, message => $say->{broken},
                       status => 'UNAVAILABLE' } }
        : gemini_chunk($say, [{ text => '' }],
                       finishReason => $say->{end})] };
}

# Names stand for ids where there are none.
sub gemini_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my @contents = @{ $body->{contents} };
    my ($user) = reverse grep { ($_->{role} // 'user') eq 'user' } @contents;
    my @parts = map { @{ $_->{parts} } } @contents;
    my $config = $body->{generationConfig} || {};
    my %media = (image => [], application => []);

    for my $part (@parts) {
        my $m = $part->{inlineData} || $part->{fileData} or next;
        my ($kind) = split m{/}, $m->{mimeType};
        push @{ $media{$kind} }, defined $m->{data}
            ? decode_base64($m->{data}) : "at $m->{fileUri}";
    }
    return {
        system => text_of(map { $_->{text} }
                          @{ ($body->{systemInstruction} || {})->{parts} }),
        user => text_of(map { $_->{text} } @{ $user->{parts} }),
        tools => [map { { name => $_->{name},
            schema => $_->{parametersJsonSchema},
            description => $_->{description} } }
            map { @{ $_->{functionDeclarations} || [] } }
            @{ $body->{tools} || [] }],
        calls => [map { { id => $_->{id}, name => $_->{name},
                          args => $_->{args} || {} } }
                  map { $_->{functionCall} || () } @parts],
        results => [map { { id => $_->{id}, name => $_->{name},
                            text => $_->{response}{output} } }
                    map { $_->{functionResponse} || () } @parts],
        images => $media{image}, pdfs => $media{application},
        schema => $config->{responseJsonSchema},
        effort => lc(($config->{thinkingConfig} || {})->{thinkingLevel}
                     // ''),
        tokens => [map { $_->{thoughtSignature} // () } @parts],
        thoughts => text_of(map { $_->{thought} ? $_->{text} : () } @parts),
        stop => $config->{stopSequences}, max => $config->{maxOutputTokens},
    };
}

# ---- Amazon's Converse

my %amazon_types = (bad => 'ValidationException',
    limit => 'ThrottlingException', busy => 'ServiceUnavailableException',
    key => 'UnrecognizedClientException');

sub bedrock_error
{
    my ($kind) = @_;
    return failing($kind, { message => $texts{$kind} }, headers => {
        'x-amzn-errortype' => "$amazon_types{$kind}:http://internal/" });
}

sub bedrock_block
{
    my ($block) = @_;

    return { reasoningContent => { reasoningText => {
        text => $block->{think}, given(signature => $block->{token}) } } }
        if exists $block->{think};
    return { text => $block->{text} } if exists $block->{text};
    return { toolUse => { toolUseId => $block->{call}{id},
        name => $block->{call}{name}, input => $block->{call}{args} } }
        if $block->{call};
    return;
}

sub bedrock_usage
{
    my ($say) = @_;
    my %u = (inputTokens => count($say, 'input'),
             cacheReadInputTokens => count($say, 'cache_read'),
             cacheWriteInputTokens => count($say, 'cache_write'),
             outputTokens => count($say, 'output')
                 + count($say, 'reasoning'));

    $u{totalTokens} = 0;
    $u{totalTokens} += $_ for values %u;
    return \%u;
}

sub bedrock_fields
{
    my ($say) = @_;
    return defined $say->{sequence} ? (additionalModelResponseFields => {
        stop_sequence => $say->{sequence} }) : ();
}

sub bedrock_whole
{
    my ($say) = @_;
    return { json => { output => { message => { role => 'assistant',
            content => [map { bedrock_block($_) } @{ $say->{blocks} }] } },
        stopReason => $say->{end}, usage => bedrock_usage($say),
        metrics => { latencyMs => 12 }, bedrock_fields($say) } };
}

# application/vnd.amazon.eventstream: length, headers' length, their CRC,
# headers, payload, the CRC of it all.
sub frame
{
    my ($headers, $payload) = @_;
    my $head = join '', map { pack 'C/a* C n/a*', $_, 7, $headers->{$_} }
        sort keys %$headers;
    my $body = encoded($payload);
    my $prelude = pack 'N N', 16 + length($head) + length $body,
        length $head;
    my $all = $prelude . pack('N', crc32($prelude)) . $head . $body;

    return $all . pack 'N', crc32($all);
}

# The padding makes lengths tell nothing.
sub bedrock_event
{
    my ($type, $payload) = @_;
    return frame({ ':message-type' => 'event', ':event-type' => $type,
                   ':content-type' => 'application/json' },
                 { %$payload, p => substr 'abcdefghijklmnop', 0,
                       1 + length($type) % 9 });
}

sub bedrock_block_events
{
    my ($block, $i) = @_;
    my $delta = sub { ['contentBlockDelta', { contentBlockIndex => $i,
                                              delta => $_[0] }] };
    my $stop = ['contentBlockStop', { contentBlockIndex => $i }];

    return ((map { $delta->({ reasoningContent => { text => $_ } }) }
             bits($block->{think})), $delta->({ reasoningContent => {
                 signature => $block->{token} } }), $stop)
        if exists $block->{think};
    return ((map { $delta->({ text => $_ }) } bits($block->{text})), $stop)
        if exists $block->{text};
    return (['contentBlockStart', { contentBlockIndex => $i, start => {
            toolUse => { toolUseId => $block->{call}{id},
                         name => $block->{call}{name} } } }],
        (map { $delta->({ toolUse => { input => $_ } }) }
         arg_bits($block->{call})), $stop);
}

sub bedrock_streamed
{
    my ($say) = @_;
    my @blocks = grep { !exists $_->{refusal} } @{ $say->{blocks} };
    my @events = (['messageStart', { role => 'assistant' }],
        map { bedrock_block_events($blocks[$_], $_) } 0 .. $#blocks);
    my $bytes;

    push @events, ['messageStop', { stopReason => $say->{end},
                                    bedrock_fields($say) }],
        ['metadata', { usage => bedrock_usage($say),
                       metrics => { latencyMs => 12 } }] if !$say->{broken};
    $bytes = join '', map { bedrock_event(@$_) } @events;
    $bytes .= frame({ ':message-type' => 'exception',
        ':exception-type' => 'serviceUnavailableException',
        ':content-type' => 'application/json' },
        { message => $say->{broken} }) if $say->{broken};
    return { body => $bytes, framing => 'chunked',
             type => 'application/vnd.amazon.eventstream' };
}

sub bedrock_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my @messages = @{ $body->{messages} };
    my ($user) = reverse grep { $_->{role} eq 'user' } @messages;
    my @parts = map { @{ $_->{content} } } @messages;
    my $inference = $body->{inferenceConfig} || {};
    my $format = ($body->{outputConfig} || {})->{textFormat} || {};
    my $schema = ($format->{structure} || {})->{jsonSchema}{schema};

    return {
        system => text_of(map { $_->{text} } @{ $body->{system} || [] }),
        user => text_of(map { $_->{text} } @{ $user->{content} }),
        tools => [map { { name => $_->{name},
            schema => $_->{inputSchema}{json},
            description => $_->{description} } }
            map { $_->{toolSpec} || () }
            @{ ($body->{toolConfig} || {})->{tools} || [] }],
        calls => [map { { id => $_->{toolUseId}, name => $_->{name},
                          args => $_->{input} } }
                  map { $_->{toolUse} || () } @parts],
        results => [map { { id => $_->{toolUseId},
                            text => texts($_->{content}) } }
                    map { $_->{toolResult} || () } @parts],
        images => [map { decode_base64($_->{image}{source}{bytes}) }
                   grep { $_->{image} } @parts],
        pdfs => [map { decode_base64($_->{document}{source}{bytes}) }
                 grep { $_->{document} } @parts],
        schema => defined $schema ? parsed($schema) : undef,
        effort => ($body->{outputConfig} || {})->{effort},
        tokens => [map { $_->{reasoningContent}{reasoningText}{signature} }
                   grep { $_->{reasoningContent} } @parts],
        thoughts => text_of(map {
            $_->{reasoningContent}{reasoningText}{text} }
            grep { $_->{reasoningContent} } @parts),
        stop => $inference->{stopSequences}, max => $inference->{maxTokens},
    };
}

# ---- Cohere's chat, version 2

sub cohere_error
{
    my ($kind) = @_;
    return failing($kind, { id => 'e1', message => $texts{$kind} });
}

sub cohere_usage
{
    my ($say) = @_;
    my $in = count($say, 'input') + count($say, 'cache_read');
    my $out = count($say, 'output');

    return { cached_tokens => count($say, 'cache_read'),
        tokens => { input_tokens => $in, output_tokens => $out },
        billed_units => { input_tokens => 1, output_tokens => 1 } };
}

# Words beside calls are the plan for them.
sub cohere_words
{
    my ($say) = @_;
    my $text = said($say, 'text');
    return calls($say) ? (tool_plan => $text) : (content => $text);
}

sub cohere_whole
{
    my ($say) = @_;
    my %words = cohere_words($say);
    my $thoughts = said($say, 'think');
    my @calls = map { chat_call($_) } calls($say);
    my @content = (($thoughts ne '' ? { type => 'thinking',
                                        thinking => $thoughts } : ()),
        (($words{content} // '') ne '' ? { type => 'text',
                                           text => $words{content} } : ()));

    return { json => { id => 'co1', finish_reason => $say->{end},
        message => { role => 'assistant', given(tool_plan => $words{tool_plan}),
            (@content ? (content => \@content) : ()),
            (@calls ? (tool_calls => \@calls) : ()) },
        usage => cohere_usage($say) } };
}

sub cohere_content_events
{
    my ($i, $type, $name, $text) = @_;
    my $message = sub { (index => $i, delta => { message => {
        content => $_[0] } }) };

    return () if $text eq '';
    return (['content-start', $message->({ type => $type, $name => '' })],
        (map { ['content-delta', $message->({ $name => $_ })] } bits($text)),
        ['content-end', index => $i]);
}

sub cohere_call_events
{
    my ($call, $i) = @_;
    my $c = chat_call($call);
    my $message = sub { (index => $i, delta => { message => {
        tool_calls => $_[0] } }) };

    return (['tool-call-start', $message->({ %$c, function => {
            name => $call->{name}, arguments => '' } })],
        (map { ['tool-call-delta', $message->({ function => {
            arguments => $_ } })] } bits($c->{function}{arguments})),
        ['tool-call-end', index => $i]);
}

sub cohere_streamed
{
    my ($say) = @_;
    my %words = cohere_words($say);
    my @calls = calls($say);
    my @events = (['message-start', id => 'co1', delta => { message => {
            role => 'assistant', content => [], tool_plan => '',
            tool_calls => [], citations => [] } }],
        cohere_content_events(0, thinking => thinking => said($say, 'think')),
        cohere_content_events(1, text => text => $words{content} // ''),
        (map { ['tool-plan-delta', delta => { message => {
            tool_plan => $_ } }] } bits($words{tool_plan} // '')),
        (map { cohere_call_events($calls[$_], $_) } 0 .. $#calls),
        ['message-end', delta => { $say->{broken}
            ? (finish_reason => 'ERROR', error => $say->{broken})
            : (finish_reason => $say->{end}), usage => cohere_usage($say) }]);

    return { sse => [map {
        my ($type, @rest) = @$_;
        [$type, { type => $type, @rest }]
    } @events] };
}

sub cohere_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my $format = $body->{response_format} || {};
    my $thinking = $body->{thinking} || {};
    my @messages = @{ $body->{messages} };

    return { %{ chat_read($rq) }, schema => $format->{json_schema},
        effort => $thinking->{token_budget}, stop => $body->{stop_sequences},
        thoughts => text_of(map { $_->{thinking} }
                            map { parts_of($_->{content}) } @messages) };
}

# ---- Ollama's chat

sub ollama_error
{
    my ($kind) = @_;
    return failing($kind, { error => $texts{$kind} });
}

sub ollama_call
{
    my ($call, $i) = @_;
    return { given(id => $call->{id}), function => { index => $i,
        name => $call->{name}, arguments => $call->{args} } };
}

sub ollama_end
{
    my ($say) = @_;
    return (done => $yes, done_reason => $say->{end},
        total_duration => 5_000_000, eval_count => count($say, 'output'),
        prompt_eval_cached_count => count($say, 'cache_read'),
        prompt_eval_count => count($say, 'input')
            + count($say, 'cache_read'));
}

my %ollama_head = (model => 'matrix',
                   created_at => '2026-01-02T03:04:05.678901Z');

sub ollama_whole
{
    my ($say) = @_;
    my @calls = calls($say);
    my $thoughts = said($say, 'think');

    return { json => { %ollama_head, ollama_end($say), message => {
        role => 'assistant', content => said($say, 'text'),
        ($thoughts ne '' ? (thinking => $thoughts) : ()),
        (@calls ? (tool_calls => [map { ollama_call($calls[$_], $_) }
                                  0 .. $#calls]) : ()) } } };
}

sub ollama_streamed
{
    my ($say) = @_;
    my @calls = calls($say);
    my @messages = ((map { { content => '', thinking => $_ } }
                     bits(said($say, 'think'))),
        (map { { content => $_ } } bits(said($say, 'text'))),
        (map { { content => '', tool_calls => [
            ollama_call($calls[$_], $_)] } } 0 .. $#calls));
    my @lines = map { { %ollama_head, done => $no, message => {
        role => 'assistant', %$_ } } } @messages;

    push @lines, $say->{broken} ? { error => $say->{broken} }
        : { %ollama_head, ollama_end($say), message => {
            role => 'assistant', content => '' } };
    return { body => join('', map { encoded($_) . "\n" } @lines),
             type => 'application/x-ndjson', framing => 'chunked' };
}

sub ollama_read
{
    my ($rq) = @_;
    my $body = $rq->{json};
    my $options = $body->{options} || {};
    my @messages = @{ $body->{messages} };

    return { %{ chat_read($rq) }, effort => $body->{think},
        schema => $body->{format}, stop => $options->{stop},
        max => $options->{num_predict},
        images => [map { decode_base64($_) }
                   map { @{ $_->{images} || [] } } @messages],
        thoughts => text_of(map { $_->{thinking} } @messages) };
}

# ----------------------------------------------------------------------

my @all = qw(cache_read cache_write reasoning);

my %chat = (
    whole => \&chat_whole, streamed => \&chat_streamed,
    error => \&openai_error, read => \&chat_read, counts => \@all,
    ends => { stop => 'stop', stop_sequence => 'stop', length => 'length',
              calls => 'tool_calls', refusal => 'stop' },
    means => { stop_sequence => 'stop' },
    effort => 'low', foreign => 'gemini', fetches => ['image'], refuses => 1,
);

my %anthropic = (
    whole => \&anthropic_whole, streamed => \&anthropic_streamed,
    error => \&anthropic_error, read => \&anthropic_read, counts => \@all,
    ends => { stop => 'end_turn', stop_sequence => 'stop_sequence',
        length => 'max_tokens', calls => 'tool_use', refusal => 'refusal' },
    means => { refusal => 'refused' }, sequence => 1,
    effort => 'low', back => 'token', foreign => 'gemini',
    fetches => ['image', 'pdf'],
);

my %gemini = (
    whole => \&gemini_whole, streamed => \&gemini_streamed,
    error => \&gemini_error, read => \&gemini_read,
    counts => [qw(cache_read reasoning)],
    ends => { stop => 'STOP', stop_sequence => 'STOP', calls => 'STOP',
        length => 'MAX_TOKENS', refusal => 'SAFETY' },
    means => { stop_sequence => 'stop', refusal => 'filter' },
    effort => 'low', back => 'token', foreign => 'anthropic',
    pairs => 'by name',
    streams => [':generateContent', ':streamGenerateContent?alt=sse'],
);

my $vertex = '/v1/projects/project-1/locations/europe-west4/publishers';

our %providers = (
    chat => { %chat, type => 'openai', model => 'gpt-5-mini', base => '/v1',
        conf => 'LLMuxAbility -responses +reasoning-input',
        path => '/v1/chat/completions', back => 'thoughts' },
    responses => {
        type => 'openai-responses', model => 'gpt-5', base => '/v1',
        path => '/v1/responses', conf => '', whole => sub {
            my ($say) = @_;
            return { json => responses_object($say, responses_items($say)) };
        },
        streamed => \&responses_streamed, error => \&openai_error,
        read => \&responses_read, counts => \@all,
        ends => { stop => 'completed', stop_sequence => 'completed',
            calls => 'completed', refusal => 'completed',
            length => 'incomplete:max_output_tokens' },
        means => { stop_sequence => 'stop' },
        effort => 'low', back => 'token', foreign => 'anthropic',
        fetches => ['image', 'pdf'], refuses => 1,
    },
    anthropic => { %anthropic, type => 'anthropic', base => '', conf => '',
        path => '/v1/messages', model => 'claude-opus-4-8' },
    gemini => { %gemini, type => 'gemini', base => '', conf => '',
        path => '/v1beta/models/MODEL',
        model => 'gemini-3-flash-preview' },
    bedrock => {
        type => 'bedrock', model => 'anthropic.claude-opus-4-8-v1:0',
        base => '', key => 'LLMuxAWSKey AKIDEXAMPLE secret/EXAMPLE',
        conf => 'LLMuxRegion eu-central-1', path => '/model/MODEL',
        streams => ['/converse', '/converse-stream'],
        whole => \&bedrock_whole, streamed => \&bedrock_streamed,
        error => \&bedrock_error, read => \&bedrock_read,
        counts => [qw(cache_read cache_write)], sequence => 1,
        ends => { stop => 'end_turn', stop_sequence => 'stop_sequence',
            length => 'max_tokens', calls => 'tool_use',
            refusal => 'content_filtered' },
        means => { refusal => 'filter' },
        effort => 'low', back => 'token', foreign => 'gemini',
    },
    vertex => { %gemini, type => 'vertex', base => '', cloud => 1,
        model => 'gemini-3-flash', conf => 'LLMuxRegion europe-west4',
        path => "$vertex/google/models/MODEL", nameless => 1,
        pairs => 'without ids' },
    'vertex-claude' => { %anthropic, type => 'vertex', base => '',
        cloud => 1, model => 'claude-opus-4-8@20260401', fetches => [],
        path => "$vertex/anthropic/models/MODEL",
        streams => [':rawPredict', ':streamRawPredict'], in_body => 1,
        conf => 'LLMuxRegion europe-west4' },
    azure => { %chat, type => 'azure', base => '', model => 'gpt-5-nano',
        path => '/openai/deployments/MODEL/chat/completions'
            . '?api-version=2024-10-21',
        conf => 'LLMuxAbility -responses' },
    cohere => { type => 'cohere-v2', base => '', path => '/v2/chat',
        model => 'command-a-reasoning',
        conf => 'LLMuxAbility +reasoning-input',
        whole => \&cohere_whole, streamed => \&cohere_streamed,
        error => \&cohere_error, read => \&cohere_read,
        counts => [qw(cache_read)],
        ends => { stop => 'COMPLETE', stop_sequence => 'STOP_SEQUENCE',
            length => 'MAX_TOKENS', calls => 'TOOL_CALL',
            refusal => 'ERROR_TOXIC' },
        means => { refusal => 'filter' },
        effort => 2048, back => 'thoughts', foreign => 'gemini',
        fetches => ['image'],
    },
    ollama => { type => 'ollama-native', base => '', path => '/api/chat',
        model => 'qwen3',
        conf => '',
        whole => \&ollama_whole, streamed => \&ollama_streamed,
        error => \&ollama_error, read => \&ollama_read,
        counts => [qw(cache_read)],
        ends => { stop => 'stop', stop_sequence => 'stop',
            length => 'length', calls => 'stop', refusal => 'stop' },
        means => { stop_sequence => 'stop', refusal => 'stop' },
        effort => 'low', back => 'thoughts', foreign => 'gemini',
    },
);

1;
