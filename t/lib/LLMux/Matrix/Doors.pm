# Doors.pm - the dialects of clients, as a table: how each of them asks for
# what the matrix tries, and what it understands of what came. No row knows
# which provider answers.
#
# A question is {model, stream, system, user => [parts], turns => [...],
# tools => [{name, description, schema}], schema, effort, stop => [...], max}.
# A part is {text}, {image => bytes}, {image_url}, {pdf => bytes} or {pdf_url};
# a turn is [user => parts], [calls => calls, text], [results => results] or
# [said => what turn() gave].
#
# A row is {path, headers, ask, whole, streamed, turn, error, broken, ends,
# counts, lacks}:
#   ask($question)      the body
#   whole($body)        an answer, as below
#   streamed(@events)   the same of a stream
#   turn($heard)        the assistant's turn as a client's own library keeps it
#   error($body)        [its word for the kind, the message]
#   broken(@events)     the message of an error that ended the stream
#   ends                its words for why an answer ended, by ours
#   counts              which parts of the usage it has a place for
#   lacks               features that it has no way to ask for
#
# An answer is {text, thoughts, refusal, calls => [{id, name, args}], end,
# usage, native}; native is what turn() makes the next question of.
package LLMux::Matrix::Doors;

use strict;
use warnings;
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

our @EXPORT_OK = qw(%doors @doors);

our @doors = qw(chat responses completions messages generateContent);

# JSON within JSON: characters, not bytes.
my $inner = JSON::PP->new->canonical->allow_nonref;
my ($no, $yes) = (JSON::PP::false, JSON::PP::true);

sub b64 { return encode_base64($_[0], '') }
sub text_of { return join '', map { $_ // '' } @_ }
sub parsed { return $_[0] eq '' ? {} : eval { $inner->decode($_[0]) } // $_[0] }
sub encoded { return $inner->encode($_[0]) }
sub flag { return $_[0] ? $yes : $no }

# Members that are there only if they say something.
sub given
{
    my %all = @_;
    return map { defined $all{$_} ? ($_ => $all{$_}) : () } keys %all;
}

# Which of the forms in a table a part has, and what it is then.
sub part
{
    my ($table, $part) = @_;
    my ($kind) = grep { exists $part->{$_} } keys %$table;
    return $table->{$kind}->($part->{$kind});
}

# All turns by a table of what each kind becomes, the question's words last.
sub turns
{
    my ($q, $table) = @_;
    return map { my ($kind, @rest) = @$_; $table->{$kind}->(@rest) }
        @{ $q->{turns} || [] }, ($q->{user} ? [user => $q->{user}] : ());
}

# OpenAI's counters, which hold each other, as ours, which do not.
sub openai_usage
{
    my ($u, $in, $out) = @_;
    my $of = $u->{"${in}_tokens_details"} || {};
    my ($read, $write) = map { $of->{$_} // 0 }
        qw(cached_tokens cache_write_tokens);
    my $thought = ($u->{"${out}_tokens_details"} || {})->{reasoning_tokens}
        // 0;

    return undef if !$u->{"${in}_tokens"};
    return { input => $u->{"${in}_tokens"} - $read - $write,
             cache_read => $read, cache_write => $write, reasoning => $thought,
             output => $u->{"${out}_tokens"} - $thought,
             ($u->{total_tokens} == $u->{"${in}_tokens"}
              + $u->{"${out}_tokens"} ? () : (total => 'is wrong')) };
}

my %openai_ends = (stop => 'stop', stop_sequence => 'stop',
    length => 'length', calls => 'tool_calls', refusal => 'stop',
    refused => 'content_filter', filter => 'content_filter');

my %openai_kinds = (bad => 'invalid_request_error',
    limit => 'rate_limit_error', busy => 'server_error');

sub openai_error { return [@{ $_[0]{error} || {} }{qw(type message)}] }

# ---- chat completions

my %chat_parts = (
    text => sub { { type => 'text', text => $_[0] } },
    image => sub { { type => 'image_url', image_url => {
        url => 'data:image/png;base64,' . b64($_[0]) } } },
    image_url => sub { { type => 'image_url', image_url => {
        url => $_[0] } } },
    pdf => sub { { type => 'file', file => { filename => 'doc.pdf',
        file_data => 'data:application/pdf;base64,' . b64($_[0]) } } },
);

my %chat_turns = (
    user => sub { { role => 'user',
                    content => [map { part(\%chat_parts, $_) } @{ $_[0] }] } },
    calls => sub { { role => 'assistant', content => $_[1],
        tool_calls => [map { { id => $_->{id}, type => 'function',
            function => { name => $_->{name},
                          arguments => encoded($_->{args}) } }
        } @{ $_[0] }] } },
    results => sub { map { { role => 'tool', tool_call_id => $_->{id},
                             content => $_->{text} } } @{ $_[0] } },
    said => sub { @_ },
);

sub chat_ask
{
    my ($q) = @_;
    my @system = defined $q->{system}
        ? { role => 'system', content => $q->{system} } : ();
    my @tools = map { { type => 'function', function => {
        name => $_->{name}, description => $_->{description},
        parameters => $_->{schema} } } } @{ $q->{tools} || [] };

    return { model => $q->{model}, stream => flag($q->{stream}),
        ($q->{stream} ? (stream_options => { include_usage => $yes }) : ()),
        messages => [@system, turns($q, \%chat_turns)],
        (@tools ? (tools => \@tools) : ()),
        ($q->{schema} ? (response_format => { type => 'json_schema',
            json_schema => { name => 'answer', schema => $q->{schema},
                             strict => $yes } }) : ()),
        given(reasoning_effort => $q->{effort}, stop => $q->{stop},
              max_completion_tokens => $q->{max}) };
}

sub chat_message
{
    my ($m, $end, $usage) = @_;
    return { text => $m->{content} // '', refusal => $m->{refusal} // '',
        thoughts => $m->{reasoning_content} // '', end => $end,
        calls => [map { { id => $_->{id}, name => $_->{function}{name},
            args => parsed($_->{function}{arguments}) } }
            @{ $m->{tool_calls} || [] }],
        usage => openai_usage($usage || {}, qw(prompt completion)),
        native => $m };
}

# Puts a delta into what came before it, as OpenAI's libraries do: texts grow,
# lists are joined by their elements' numbers.
sub merge
{
    my ($to, $delta) = @_;

    for my $name (keys %$delta) {
        my $new = $delta->{$name};
        if (ref $new eq 'ARRAY') {
            merge($to->{$name}[$_->{index} // 0] //= {}, $_) for @$new;
        }
        elsif (ref $new eq 'HASH') {
            merge($to->{$name} //= {}, $new);
        }
        elsif (defined $new && defined $to->{$name}
               && $name !~ /^(?:index|type|role|id|format)$/) {
            $to->{$name} .= $new;
        }
        else {
            $to->{$name} = $new // $to->{$name};
        }
    }
    return $to;
}

sub chat_streamed
{
    my @chunks = map { $_->{json} || () } @_;
    my ($message, $end, $usage) = ({}, undef, undef);

    for my $chunk (@chunks) {
        my $choice = $chunk->{choices}[0] || {};
        merge($message, $choice->{delta} || {});
        $end = $choice->{finish_reason} // $end;
        $usage = $chunk->{usage} // $usage;
    }
    delete $_->{index} for @{ $message->{tool_calls} || [] };
    $end = 'no [DONE]' if ($_[-1]{data} // '') ne '[DONE]';
    return chat_message($message, $end, $usage);
}

sub openai_broken
{
    my ($last) = $_[-1];
    return $last->{json} && $last->{json}{error}{message};
}

# ---- responses

my %responses_parts = (
    text => sub { { type => 'input_text', text => $_[0] } },
    image => sub { { type => 'input_image', detail => 'auto',
                     image_url => 'data:image/png;base64,' . b64($_[0]) } },
    image_url => sub { { type => 'input_image', detail => 'auto',
                         image_url => $_[0] } },
    pdf => sub { { type => 'input_file', filename => 'doc.pdf',
        file_data => 'data:application/pdf;base64,' . b64($_[0]) } },
    pdf_url => sub { { type => 'input_file', file_url => $_[0] } },
);

my %responses_turns = (
    user => sub { { type => 'message', role => 'user',
        content => [map { part(\%responses_parts, $_) } @{ $_[0] }] } },
    calls => sub { ((defined $_[1] ? { type => 'message', id => 'msg_0',
            role => 'assistant', status => 'completed', content => [{
                type => 'output_text', text => $_[1], annotations => [] }]
        } : ()), map { { type => 'function_call', call_id => $_->{id},
            name => $_->{name}, arguments => encoded($_->{args}) }
        } @{ $_[0] }) },
    results => sub { map { { type => 'function_call_output',
        call_id => $_->{id}, output => $_->{text} } } @{ $_[0] } },
    said => sub { @_ },
);

sub responses_ask
{
    my ($q) = @_;
    my @tools = map { { type => 'function', strict => $no,
        name => $_->{name}, description => $_->{description},
        parameters => $_->{schema} } } @{ $q->{tools} || [] };

    return { model => $q->{model}, stream => flag($q->{stream}),
        store => $no, input => [turns($q, \%responses_turns)],
        (@tools ? (tools => \@tools) : ()),
        ($q->{schema} ? (text => { format => { type => 'json_schema',
            name => 'answer', schema => $q->{schema}, strict => $yes } })
            : ()),
        ($q->{effort} ? (reasoning => { effort => $q->{effort},
                                        summary => 'auto' },
            include => ['reasoning.encrypted_content']) : ()),
        given(instructions => $q->{system}, max_output_tokens => $q->{max},
              stop => $q->{stop}) };
}

sub responses_whole
{
    my ($r) = @_;
    my @items = @{ $r->{output} || [] };
    my @parts = map { @{ $_->{content} || [] } }
        grep { $_->{type} eq 'message' } @items;

    return { native => \@items,
        text => text_of(map { $_->{text} } @parts),
        refusal => text_of(map { $_->{refusal} } @parts),
        thoughts => text_of(map { map { $_->{text} } @{ $_->{summary} || [] },
                                  @{ $_->{content} || [] } }
                            grep { $_->{type} eq 'reasoning' } @items),
        calls => [map { { id => $_->{call_id}, name => $_->{name},
                          args => parsed($_->{arguments}) } }
                  grep { $_->{type} eq 'function_call' } @items],
        end => join(':', $r->{status},
                    ($r->{incomplete_details} || {})->{reason} // ()),
        usage => openai_usage($r->{usage} || {}, qw(input output)) };
}

# What the pieces said must be what the last event says.
sub responses_streamed
{
    my @data = map { $_->{json} || () } @_;
    my ($last) = $data[-1];
    my $answer = responses_whole($last->{response} || {});
    my $said = text_of(map { $_->{delta} }
                       grep { $_->{type} eq 'response.output_text.delta' }
                       @data);
    my @numbers = map { $_->{sequence_number} } @data;

    $answer->{end} = "$last->{type} comes last"
        if $last->{type} !~ /^response\.(?:completed|incomplete)$/;
    $answer->{text} = "in pieces: $said" if $said ne $answer->{text};
    $answer->{end} = "numbers: @numbers"
        if "@numbers" ne join ' ', 0 .. $#data;
    $answer->{end} = 'an event without its name'
        if grep { $_->{event} ne $_->{json}{type} } @_;
    return $answer;
}

sub responses_broken
{
    my @data = map { $_->{json} || () } @_;
    my ($failed) = grep { $_->{type} eq 'response.failed' } @data;
    my ($error) = grep { $_->{type} eq 'error' } @data;

    return if grep { $_->{type} =~ /^response\.(?:completed|incomplete)$/ }
        @data;
    return $failed ? $failed->{response}{error}{message}
        : $error && ($error->{message} // $error->{error}{message});
}

# ---- legacy completions

sub completions_ask
{
    my ($q) = @_;
    my @user = @{ $q->{user} || $q->{turns}[0][1] };
    my $prompt = grep({ !exists $_->{text} } @user)
        ? [map { part(\%chat_parts, $_) } @user]
        : text_of(map { $_->{text} } @user);
    my $chat = chat_ask({ %$q, user => undef });

    delete $chat->{max_completion_tokens};
    delete $chat->{messages} if !$q->{turns};
    return { %$chat, prompt => $prompt, given(max_tokens => $q->{max}) };
}

sub completions_streamed
{
    my @chunks = map { $_->{json} || () } @_;
    my ($end) = map { $_->{choices}[0]{finish_reason} // () } @chunks;
    my ($usage) = map { $_->{usage} // () } @chunks;

    $end = 'no [DONE]' if ($_[-1]{data} // '') ne '[DONE]';
    return { text => text_of(map { $_->{choices}[0]{text} } @chunks),
             end => $end, calls => [],
             usage => openai_usage($usage || {}, qw(prompt completion)) };
}

sub completions_whole
{
    my ($body) = @_;
    return { text => $body->{choices}[0]{text}, calls => [],
             end => $body->{choices}[0]{finish_reason},
             usage => openai_usage($body->{usage} || {},
                                   qw(prompt completion)) };
}

# ---- messages

my %messages_parts = (
    text => sub { { type => 'text', text => $_[0] } },
    image => sub { { type => 'image', source => { type => 'base64',
        media_type => 'image/png', data => b64($_[0]) } } },
    image_url => sub { { type => 'image', source => { type => 'url',
                                                      url => $_[0] } } },
    pdf => sub { { type => 'document', source => { type => 'base64',
        media_type => 'application/pdf', data => b64($_[0]) } } },
    pdf_url => sub { { type => 'document', source => { type => 'url',
                                                       url => $_[0] } } },
);

my %messages_turns = (
    user => sub { { role => 'user', content => [
        map { part(\%messages_parts, $_) } @{ $_[0] }] } },
    calls => sub { { role => 'assistant', content => [
        (defined $_[1] ? { type => 'text', text => $_[1] } : ()),
        map { { type => 'tool_use', id => $_->{id}, name => $_->{name},
                input => $_->{args} } } @{ $_[0] }] } },
    results => sub { { role => 'user', content => [
        map { { type => 'tool_result', tool_use_id => $_->{id},
                content => $_->{text} } } @{ $_[0] }] } },
    said => sub { @_ },
);

sub messages_ask
{
    my ($q) = @_;
    my @tools = map { { name => $_->{name}, description => $_->{description},
                        input_schema => $_->{schema} } }
        @{ $q->{tools} || [] };
    my %config = (given(effort => $q->{effort}), ($q->{schema} ? (format => {
        type => 'json_schema', schema => $q->{schema} }) : ()));

    return { model => $q->{model}, stream => flag($q->{stream}),
        max_tokens => $q->{max} // 4000,
        messages => [turns($q, \%messages_turns)],
        (@tools ? (tools => \@tools) : ()),
        (%config ? (output_config => \%config) : ()),
        ($q->{effort} ? (thinking => { type => 'adaptive',
                                       display => 'summarized' }) : ()),
        given(system => $q->{system}, stop_sequences => $q->{stop}) };
}

sub messages_usage
{
    my ($u) = @_;
    my $thought = ($u->{output_tokens_details} || {})->{thinking_tokens} // 0;

    return undef if !defined $u->{input_tokens};
    return { input => $u->{input_tokens}, reasoning => $thought,
             cache_read => $u->{cache_read_input_tokens} // 0,
             cache_write => $u->{cache_creation_input_tokens} // 0,
             output => $u->{output_tokens} - $thought };
}

sub messages_whole
{
    my ($m) = @_;
    my @blocks = @{ $m->{content} || [] };

    return { native => { role => 'assistant', content => \@blocks },
        text => text_of(map { $_->{type} eq 'text' ? $_->{text} : () }
                        @blocks),
        thoughts => text_of(map { $_->{thinking} } @blocks),
        calls => [map { { id => $_->{id}, name => $_->{name},
                          args => $_->{input} } }
                  grep { $_->{type} eq 'tool_use' } @blocks],
        end => $m->{stop_reason}, sequence => $m->{stop_sequence},
        usage => messages_usage($m->{usage} || {}) };
}

my %messages_deltas = (
    text_delta => sub { $_[0]{text} .= $_[1]{text} },
    thinking_delta => sub { $_[0]{thinking} .= $_[1]{thinking} },
    signature_delta => sub { $_[0]{signature} = $_[1]{signature} },
    input_json_delta => sub { $_[0]{json} .= $_[1]{partial_json} },
);

my %messages_events = (
    message_start => sub { %{ $_[0] } = %{ $_[1]{message} } },
    content_block_start => sub {
        my ($m, $ev) = @_;
        die "blocks overlap\n" if $m->{open}++;
        $m->{content}[$ev->{index}] = { %{ $ev->{content_block} } };
    },
    content_block_delta => sub {
        my ($m, $ev) = @_;
        $messages_deltas{ $ev->{delta}{type} }
            ->($m->{content}[$ev->{index}], $ev->{delta});
    },
    content_block_stop => sub {
        my ($m, $ev) = @_;
        my $block = $m->{content}[$ev->{index}];
        my $text = delete $block->{json};
        $block->{input} = parsed($text) if defined $text;
        $m->{open} = 0;
    },
    message_delta => sub {
        my ($m, $ev) = @_;
        @$m{keys %{ $ev->{delta} }} = values %{ $ev->{delta} };
        $m->{usage}{$_} = $ev->{usage}{$_} // $m->{usage}{$_}
            for keys %{ $ev->{usage} || {} };
    },
    message_stop => sub { $_[0]{stopped} = 1 },
    ping => sub { },
);

sub messages_streamed
{
    my %m;

    $messages_events{ $_->{event} }->(\%m, $_->{json}) for @_;
    $m{stop_reason} = 'no message_stop' if !$m{stopped};
    return messages_whole(\%m);
}

# ---- generateContent

my %gemini_parts = (
    text => sub { { text => $_[0] } },
    image => sub { { inlineData => { mimeType => 'image/png',
                                     data => b64($_[0]) } } },
    image_url => sub { { fileData => { mimeType => 'image/png',
                                       fileUri => $_[0] } } },
    pdf => sub { { inlineData => { mimeType => 'application/pdf',
                                   data => b64($_[0]) } } },
    pdf_url => sub { { fileData => { mimeType => 'application/pdf',
                                     fileUri => $_[0] } } },
);

my %gemini_turns = (
    user => sub { { role => 'user', parts => [
        map { part(\%gemini_parts, $_) } @{ $_[0] }] } },
    calls => sub { { role => 'model', parts => [
        (defined $_[1] ? { text => $_[1] } : ()),
        map { { functionCall => { id => $_->{id}, name => $_->{name},
                                  args => $_->{args} } } } @{ $_[0] }] } },
    results => sub { { role => 'user', parts => [
        map { { functionResponse => { given(id => $_->{id}),
            name => $_->{name}, response => { output => $_->{text} } } }
        } @{ $_[0] }] } },
    said => sub { @_ },
);

sub gemini_ask
{
    my ($q) = @_;
    my @tools = map { { name => $_->{name}, description => $_->{description},
                        parametersJsonSchema => $_->{schema} } }
        @{ $q->{tools} || [] };
    my %config = (given(stopSequences => $q->{stop},
                        maxOutputTokens => $q->{max}),
        ($q->{schema} ? (responseMimeType => 'application/json',
                         responseJsonSchema => $q->{schema}) : ()),
        ($q->{effort} ? (thinkingConfig => { includeThoughts => $yes,
            thinkingLevel => uc $q->{effort} }) : ()));

    return { contents => [turns($q, \%gemini_turns)],
        (@tools ? (tools => [{ functionDeclarations => \@tools }]) : ()),
        (%config ? (generationConfig => \%config) : ()),
        (defined $q->{system} ? (systemInstruction => { parts => [
            { text => $q->{system} }] }) : ()) };
}

sub gemini_usage
{
    my ($u) = @_;
    my ($read, $thought) = map { $u->{$_} // 0 }
        qw(cachedContentTokenCount thoughtsTokenCount);
    my $sum = ($u->{promptTokenCount} // 0) + $thought
        + ($u->{candidatesTokenCount} // 0);

    return undef if !$u->{promptTokenCount};
    return { input => $u->{promptTokenCount} - $read, cache_read => $read,
             output => $u->{candidatesTokenCount} // 0,
             reasoning => $thought,
             ($u->{totalTokenCount} == $sum ? () : (total => 'is wrong')) };
}

# A library keeps a content of each chunk.
sub gemini_streamed
{
    my @chunks = map { $_->{json} || () } @_;
    my @contents = map { $_->{candidates}[0]{content} || () } @chunks;
    my @parts = map { @{ $_->{parts} || [] } } @contents;
    my ($end) = map { $_->{candidates}[0]{finishReason} // () } @chunks;
    my ($usage) = reverse map { $_->{usageMetadata} // () } @chunks;
    my ($blocked) = map { ($_->{promptFeedback} || {})->{blockReason} // () }
        @chunks;

    return { native => [grep { @{ $_->{parts} || [] } } @contents],
        text => text_of(map { $_->{thought} ? () : $_->{text} } @parts),
        thoughts => text_of(map { $_->{thought} ? $_->{text} : () } @parts),
        calls => [map { { id => $_->{id}, name => $_->{name},
                          args => $_->{args} || {} } }
                  map { $_->{functionCall} || () } @parts],
        end => $end // $blocked, usage => gemini_usage($usage || {}) };
}

sub gemini_broken
{
    my ($last) = $_[-1];
    return $last->{json} && $last->{json}{error}{message};
}

# ----------------------------------------------------------------------

my @all = qw(cache_read cache_write reasoning);

our %doors = (
    chat => {
        path => sub { '/v1/chat/completions' }, ask => \&chat_ask,
        whole => sub {
            my ($body) = @_;
            my $choice = $body->{choices}[0];
            return chat_message(@$choice{qw(message finish_reason)},
                                $body->{usage});
        },
        streamed => \&chat_streamed, error => \&openai_error,
        broken => \&openai_broken, turn => sub { [said => $_[0]{native}] },
        ends => \%openai_ends, kinds => \%openai_kinds, counts => \@all,
        own => { chat => 1, azure => 1 },
        lacks => { pdf_url => 1 },
    },
    responses => {
        path => sub { '/v1/responses' }, ask => \&responses_ask,
        whole => \&responses_whole, streamed => \&responses_streamed,
        error => \&openai_error, broken => \&responses_broken,
        turn => sub { [said => @{ $_[0]{native} }] },
        ends => { stop => 'completed', stop_sequence => 'completed',
            calls => 'completed', refusal => 'completed',
            length => 'incomplete:max_output_tokens',
            refused => 'incomplete:content_filter',
            filter => 'incomplete:content_filter' },
        kinds => \%openai_kinds, counts => \@all,
        own => { responses => 1 },
    },
    completions => {
        path => sub { '/v1/completions' }, ask => \&completions_ask,
        whole => \&completions_whole, streamed => \&completions_streamed,
        error => \&openai_error, broken => \&openai_broken,
        ends => \%openai_ends, kinds => \%openai_kinds, counts => \@all,
        lacks => { system => 1, pdf_url => 1 },
    },
    messages => {
        path => sub { '/v1/messages' }, ask => \&messages_ask,
        headers => { 'anthropic-version' => '2023-06-01' },
        whole => \&messages_whole, streamed => \&messages_streamed,
        error => sub { [@{ $_[0]{error} || {} }{qw(type message)}] },
        broken => sub { ($_[-1]{event} // '') eq 'error'
                        && $_[-1]{json}{error}{message} },
        turn => sub { [said => $_[0]{native}] },
        ends => { stop => 'end_turn', stop_sequence => 'stop_sequence',
            length => 'max_tokens', calls => 'tool_use',
            refusal => 'refusal', refused => 'refusal',
            filter => 'refusal' },
        kinds => { bad => 'invalid_request_error',
            limit => 'rate_limit_error', busy => 'overloaded_error' },
        status => { busy => 529 }, counts => \@all,
        own => { anthropic => 1, 'vertex-claude' => 1 },
    },
    generateContent => {
        path => sub {
            my ($model, $stream) = @_;
            return '/v1beta/models/' . ($model =~ s{/}{%2F}gr)
                . ($stream ? ':streamGenerateContent?alt=sse'
                           : ':generateContent');
        },
        ask => \&gemini_ask, whole => \&gemini_streamed_of_one,
        streamed => \&gemini_streamed,
        error => sub { [@{ $_[0]{error} || {} }{qw(status message)}] },
        broken => \&gemini_broken,
        turn => sub { [said => @{ $_[0]{native} }] },
        ends => { stop => 'STOP', stop_sequence => 'STOP', calls => 'STOP',
            length => 'MAX_TOKENS', refusal => 'SAFETY',
            refused => 'SAFETY', filter => 'SAFETY' },
        kinds => { bad => 'INVALID_ARGUMENT', limit => 'RESOURCE_EXHAUSTED',
            busy => 'UNAVAILABLE' },
        counts => [qw(cache_read reasoning)],
        own => { gemini => 1, vertex => 1 },
    },
);

sub gemini_streamed_of_one { return gemini_streamed({ json => $_[0] }) }

1;
