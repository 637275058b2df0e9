# Answers.pm - what a provider says in each dialect: head, pieces of a body
# (events of a stream, or one whole), and the words of its errors.
#
# An answer is {status, type, headers => [[name, value]], pieces => [...],
# sse => 0|1, finish => n}; pieces[finish] is the first one that says it is
# over. A piece is bytes, or [times, bytes] for many of the same.
package LLMux::Mock::Answers;

use strict;
use warnings;
use JSON::PP ();
use LLMux::Place qw(slurp);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my ($no, $yes, $null) = (JSON::PP::false, JSON::PP::true, undef);

# By the end of the path; the first that fits.
my @endpoints = (
    [qr{/chat/completions$}         => 'openai',    \&openai_chat],
    [qr{/responses$}                => 'openai',    \&openai_responses],
    [qr{/embeddings$}               => 'openai',    \&openai_embeddings],
    [qr{/messages$}                 => 'anthropic', \&anthropic_chat],
    [qr{/messages/count_tokens$}    => 'anthropic', \&anthropic_count],
    [qr{:generateContent$}          => 'gemini',    \&gemini_chat],
    [qr{:streamGenerateContent$}    => 'gemini',    \&gemini_chat],
    [qr{:countTokens$}              => 'gemini',    \&gemini_count],
    [qr{/models$}                   => 'openai',    \&openai_models],
);

# status => OpenAI's type and code, Anthropic's type, Gemini's status
my %errors = (
    400 => ['invalid_request_error', $null, 'invalid_request_error',
            'INVALID_ARGUMENT'],
    401 => ['invalid_request_error', 'invalid_api_key',
            'authentication_error', 'UNAUTHENTICATED'],
    403 => ['invalid_request_error', $null, 'permission_error',
            'PERMISSION_DENIED'],
    404 => ['invalid_request_error', 'model_not_found', 'not_found_error',
            'NOT_FOUND'],
    429 => ['requests', 'rate_limit_exceeded', 'rate_limit_error',
            'RESOURCE_EXHAUSTED'],
    500 => ['server_error', $null, 'api_error', 'INTERNAL'],
    503 => ['server_error', $null, 'overloaded_error', 'UNAVAILABLE'],
    504 => ['server_error', $null, 'timeout_error', 'DEADLINE_EXCEEDED'],
    529 => ['server_error', $null, 'overloaded_error', 'UNAVAILABLE'],
);

my $html = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>"
    . "\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>";

# $rq: the request as the server read it; $do: the behaviour. Gives an answer.
sub answer
{
    my ($rq, $do) = @_;
    my $wish = wish($rq, $do);
    my $answer = defined $do->{file} ? recorded($do->{file})
        : defined $do->{sse} ? event_stream($do->{sse})
        : defined $do->{json} ? whole($json->encode($do->{json}))
        : defined $do->{body} ? whole(bytes_of($do->{body}))
        : $do->{html} ? whole($html, 502, 'text/html')
        : ($do->{status} // 200) >= 400 ? failure($wish, $do->{status})
        : $wish->{answer} ? $wish->{answer}->($wish)
        : failure($wish, 404);

    $answer->{dialect} = $wish->{dialect};
    $answer->{status} = $do->{status} if $do->{status};
    $answer->{type} = $do->{type} if $do->{type};
    push @{ $answer->{headers} }, ['Retry-After', $do->{retry_after}]
        if defined $do->{retry_after};
    my %more = %{ $do->{headers} || {} };
    push @{ $answer->{headers} }, map { [$_, $more{$_}] } sort keys %more;
    return $answer;
}

# What the request asks for, whatever its dialect.
sub wish
{
    my ($rq, $do) = @_;
    my $body = $rq->{json};
    my %wish = (dialect => 'openai', body => $body, n => $rq->{n},
                model => $rq->{model}, query => $rq->{query}, do => $do);

    for my $row (@endpoints) {
        if ($rq->{path} =~ $row->[0]) {
            @wish{qw(dialect answer)} = @$row[1, 2];
            last;
        }
    }
    $wish{stream} = $rq->{path} =~ /:stream/ ? 1 : $body->{stream} ? 1 : 0;
    my $asked = last_words($body);
    my $flood = $do->{flood};
    $wish{text} = $do->{text}
        // ($flood ? 'x' x ($wish{stream} ? $flood->[1]
                            : $flood->[0] * $flood->[1]) : $asked);
    $wish{words} = $flood && $wish{stream} ? [$wish{text}]
        : [$wish{text} =~ /\s*\S+\s*?(?=\s|\z)|\s+/g];
    $wish{in} = $do->{usage} ? $do->{usage}[0] : count_words($asked) + 7;
    $wish{out} = $do->{usage} ? $do->{usage}[1]
        : $flood ? $flood->[0] : count_words($wish{text});
    return \%wish;
}

sub count_words { return scalar(() = $_[0] =~ /\S+/g) }

# The text of the last message of the user, in any of the dialects.
sub last_words
{
    my ($body) = @_;
    my $list = $body->{messages} || $body->{contents} || $body->{input};

    return $list if defined $list && !ref $list;

    for my $message (reverse ref $list eq 'ARRAY' ? @$list : ()) {
        next if ref $message ne 'HASH' || ($message->{role} // 'user') ne 'user';
        my $content = $message->{content} // $message->{parts} // '';
        return $content if !ref $content;
        return join '', map { ref eq 'HASH' ? $_->{text} // '' : '' } @$content
            if ref $content eq 'ARRAY';
    }
    return '';
}

# ---- forms

sub whole
{
    my ($bytes, $status, $type) = @_;
    return { status => $status || 200, type => $type || 'application/json',
             headers => [], pieces => [$bytes], sse => 0, finish => 0 };
}

# Each event is data (text or structure) or [name, data].
sub event_stream
{
    my ($events, $finish) = @_;
    my @pieces = map {
        my ($name, $data) = ref eq 'ARRAY' ? @$_ : (undef, $_);
        $data = ref $data ? $json->encode($data) : bytes_of($data);
        (defined $name ? "event: $name\n" : '') . "data: $data\n\n";
    } @$events;

    return { status => 200, type => 'text/event-stream', headers => [],
             pieces => \@pieces, sse => 1, finish => $finish // $#pieces };
}

# A piece of a stream, said $times times.
sub often
{
    my ($answer, $at, $times) = @_;
    $answer->{pieces}[$at] = [$times, $answer->{pieces}[$at]];
    return $answer;
}

# A recording: .json, .sse, .eventstream, .error.json.
sub recorded
{
    my ($file) = @_;
    my $bytes = slurp($file);

    die "no recording $file\n" if !-f $file;
    if ($file =~ /\.error\.json$/) {
        my $error = $json->decode($bytes);
        my $body = $error->{body} // '';
        return whole(ref $body ? $json->encode($body) : bytes_of($body),
            $error->{status}, $error->{content_type});
    }
    return whole($bytes) if $file =~ /\.json$/;
    return whole($bytes, 200, 'application/vnd.amazon.eventstream')
        if $file !~ /\.sse$/;
    my @pieces = $bytes =~ /(.+?(?:\r\n\r\n|\n\n|\r\r|\z))/gs;
    return { status => 200, type => 'text/event-stream', headers => [],
             pieces => \@pieces, sse => 1, finish => $#pieces };
}

# Texts of rules are bytes, unless they hold what can be none.
sub bytes_of
{
    my ($text) = @_;
    utf8::encode($text) if $text =~ /[^\x00-\xff]/;
    return $text;
}

# ---- errors

sub error_words
{
    my ($dialect, $status, $n) = @_;
    my $row = $errors{$status} || $errors{ $status < 500 ? 400 : 500 };
    my ($type, $code, $atype, $gstatus) = @$row;
    my $message = "mock says $status";

    return { type => 'error', request_id => "req_mock$n",
             error => { type => $atype, message => $message } }
        if $dialect eq 'anthropic';
    return { error => { code => $status + 0, message => $message,
                        status => $gstatus } } if $dialect eq 'gemini';
    return { error => { message => $message, type => $type, param => $null,
                        code => $code } };
}

sub failure
{
    my ($wish, $status) = @_;
    return whole($json->encode(
        error_words($wish->{dialect}, $status, $wish->{n})), $status);
}

# An error as an event of a stream that began well.
sub error_event
{
    my ($dialect, $n) = @_;
    my $words = error_words($dialect, 529, $n);
    my $form = $dialect eq 'anthropic' ? ['error', $words] : $words;
    return event_stream([$form])->{pieces}[0];
}

# ---- OpenAI

sub openai_chat
{
    my ($wish) = @_;
    my %head = (id => "chatcmpl-mock$wish->{n}", created => 1700000000,
                model => $wish->{model});
    my $usage = { prompt_tokens => $wish->{in},
                  completion_tokens => $wish->{out},
                  total_tokens => $wish->{in} + $wish->{out} };

    return whole($json->encode({ %head, object => 'chat.completion',
        usage => $usage, choices => [{ index => 0, finish_reason => 'stop',
            logprobs => $null, message => { role => 'assistant',
                content => $wish->{text}, refusal => $null } }] }))
        if !$wish->{stream};

    my $with_usage = ($wish->{body}{stream_options} || {})->{include_usage};
    my $chunk = sub {
        my ($delta, $reason) = @_;
        return { %head, object => 'chat.completion.chunk',
            ($with_usage ? (usage => $null) : ()),
            choices => [{ index => 0, delta => $delta, logprobs => $null,
                          finish_reason => $reason }] };
    };
    my @events = ($chunk->({ role => 'assistant', content => '' }),
                  map { $chunk->({ content => $_ }) } @{ $wish->{words} });
    my $finish = @events;
    push @events, $chunk->({}, 'stop');
    push @events, { %head, object => 'chat.completion.chunk', choices => [],
                    usage => $usage } if $with_usage;
    my $answer = event_stream([@events, '[DONE]'], $finish);
    return $wish->{do}{flood}
        ? often($answer, 1, $wish->{do}{flood}[0]) : $answer;
}

# One message, said in parts; the events number themselves.
sub openai_responses
{
    my ($wish) = @_;
    my %at = (output_index => 0, content_index => 0, item_id => 'msg_1');
    my %part = (type => 'output_text', annotations => []);
    my %item = (type => 'message', id => 'msg_1', role => 'assistant');
    my $usage = { input_tokens => $wish->{in}, output_tokens => $wish->{out},
                  total_tokens => $wish->{in} + $wish->{out},
                  input_tokens_details => { cached_tokens => 0 },
                  output_tokens_details => { reasoning_tokens => 0 } };
    my $response = sub {
        my ($status, @output) = @_;
        return { id => "resp_mock$wish->{n}", object => 'response',
            created_at => 1700000000, model => $wish->{model},
            status => $status, error => $null, output => \@output,
            usage => $status eq 'completed' ? $usage : $null };
    };
    my $said = { %item, status => 'completed',
                 content => [{ %part, text => $wish->{text} }] };

    return whole($json->encode($response->('completed', $said)))
        if !$wish->{stream};

    my @events = (
        ['response.created', response => $response->('in_progress')],
        ['response.output_item.added', output_index => 0,
            item => { %item, status => 'in_progress', content => [] }],
        ['response.content_part.added', %at, part => { %part, text => '' }],
        (map { ['response.output_text.delta', %at, delta => $_] }
            @{ $wish->{words} }),
        ['response.output_text.done', %at, text => $wish->{text}],
        ['response.content_part.done', %at,
            part => { %part, text => $wish->{text} }],
        ['response.output_item.done', output_index => 0, item => $said],
        ['response.completed', response => $response->('completed', $said)]);
    my $n = 0;
    return event_stream([map {
        my ($type, @rest) = @$_;
        [$type, { type => $type, sequence_number => $n++, @rest }]
    } @events], $#events);
}

sub openai_embeddings
{
    my ($wish) = @_;
    my $input = $wish->{body}{input};
    my @inputs = ref $input eq 'ARRAY' ? @$input : $input;

    return whole($json->encode({ object => 'list', model => $wish->{model},
        data => [map { { object => 'embedding', index => $_,
                         embedding => [0.25, -0.5, 1] } } 0 .. $#inputs],
        usage => { prompt_tokens => $wish->{in},
                   total_tokens => $wish->{in} } }));
}

sub openai_models
{
    return whole($json->encode({ object => 'list', data => [{ id => 'mock',
        object => 'model', created => 1700000000, owned_by => 'mock' }] }));
}

# ---- Anthropic

sub anthropic_chat
{
    my ($wish) = @_;
    my %head = (id => "msg_mock$wish->{n}", type => 'message',
                role => 'assistant', model => $wish->{model},
                stop_sequence => $null);

    return whole($json->encode({ %head, stop_reason => 'end_turn',
        content => [{ type => 'text', text => $wish->{text} }],
        usage => { input_tokens => $wish->{in},
                   output_tokens => $wish->{out} } })) if !$wish->{stream};

    my @events = (
        { type => 'message_start', message => { %head, content => [],
            stop_reason => $null, usage => { input_tokens => $wish->{in},
                                             output_tokens => 1 } } },
        { type => 'content_block_start', index => 0,
          content_block => { type => 'text', text => '' } },
        { type => 'ping' },
        map { { type => 'content_block_delta', index => 0,
                delta => { type => 'text_delta', text => $_ } } }
            @{ $wish->{words} });
    my $finish = @events;
    push @events, { type => 'content_block_stop', index => 0 },
        { type => 'message_delta', delta => { stop_reason => 'end_turn',
            stop_sequence => $null },
          usage => { output_tokens => $wish->{out} } },
        { type => 'message_stop' };
    my $answer = event_stream([map { [$_->{type}, $_] } @events], $finish);
    return $wish->{do}{flood}
        ? often($answer, 3, $wish->{do}{flood}[0]) : $answer;
}

sub anthropic_count
{
    my ($wish) = @_;
    return whole($json->encode({ input_tokens => $wish->{in} }));
}

# ---- Gemini

sub gemini_chat
{
    my ($wish) = @_;
    my %head = (modelVersion => $wish->{model},
                responseId => "mock$wish->{n}");
    my $usage = { promptTokenCount => $wish->{in},
                  candidatesTokenCount => $wish->{out},
                  totalTokenCount => $wish->{in} + $wish->{out} };
    my $chunk = sub {
        my ($text, @more) = @_;
        return { %head, candidates => [{ index => 0, @more, content => {
            role => 'model', parts => [{ text => $text }] } }] };
    };
    my @over = (finishReason => 'STOP');

    return whole($json->encode({ %{ $chunk->($wish->{text}, @over) },
                                 usageMetadata => $usage }))
        if !$wish->{stream};
    my @events = map { $chunk->($_) } @{ $wish->{words} };
    my $finish = @events;
    push @events, { %{ $chunk->('', @over) }, usageMetadata => $usage };
    return whole($json->encode(\@events))
        if $wish->{query} !~ /(?:^|&)alt=sse(?:&|$)/;
    my $answer = event_stream(\@events, $finish);
    return $wish->{do}{flood}
        ? often($answer, 0, $wish->{do}{flood}[0]) : $answer;
}

sub gemini_count
{
    my ($wish) = @_;
    return whole($json->encode({ totalTokens => $wish->{in} }));
}

1;
