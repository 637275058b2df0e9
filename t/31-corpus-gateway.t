# 31-corpus-gateway.t - recordings of real providers through the running httpd:
# an OpenAI client gets what they say, whole and streamed, and the very bytes
# where the provider speaks OpenAI's dialect too.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

# Where an answer and expected.jsonl differ, and why that is right: file,
# field, reason. Kept under one in a hundred; one that has gone must go.
my @exceptions = (
    { file => 'openai-compat/snowflake-chat-tool-call-01.json',
      field => 'reasoning',
      reason => 'Its text stands in reasoning_details alone, which we read'
          . ' and the expectation does not.' },
);

# Which provider of ours has the recordings of an API.
my %providers = (
    'openai-chat' => 'oai',
    'anthropic-messages' => 'ant',
    'gemini-generate' => 'gem',
);

# What an OpenAI client is told for the providers' reasons to stop. '': a
# document that does not say.
my %finishes = (
    oai => { stop => 'stop', eos => 'stop', length => 'length',
             tool_calls => 'tool_calls', function_call => 'tool_calls',
             content_filter => 'content_filter', '' => 'stop' },
    ant => { end_turn => 'stop', stop_sequence => 'stop',
             max_tokens => 'length', tool_use => 'tool_calls',
             pause_turn => 'stop', refusal => 'content_filter' },
    gem => { STOP => 'stop', 1 => 'stop', MAX_TOKENS => 'length',
             SAFETY => 'content_filter', MODEL_ARMOR => 'content_filter',
             UNEXPECTED_TOOL_CALL => 'stop', '' => 'content_filter' },
);

# How providers' error statuses reach the client. What they say about the
# gateway's own key does not.
my %statuses = (400 => 400, 401 => 502, 404 => 404, 429 => 429);
my $about_key = qr/api key not valid/i;

# ---- what came out, whole or streamed, in one form

# {choices => {index => {...}}, usage, id, model, faults => [...]}
sub whole_answer
{
    my ($res) = @_;
    my $body = $res->json || {};
    my %answer = (id => $body->{id}, model => $body->{model},
                  usage => $body->{usage}, choices => {}, faults => []);

    check(\%answer, ($body->{object} // '') eq 'chat.completion', 'object');
    check(\%answer, ($body->{created} // 0) > 0, 'created');
    check(\%answer, !exists $body->{usage} || ref $body->{usage}, 'usage');
    for my $choice (@{ $body->{choices} || [] }) {
        my $m = $choice->{message};
        check(\%answer, ($m->{role} // '') eq 'assistant', 'role');
        check(\%answer, exists $m->{content} && exists $m->{refusal}
              && exists $choice->{logprobs}, 'members of a choice');
        $answer{choices}{ $choice->{index} } = {
            text => $m->{content}, reasoning => $m->{reasoning_content},
            refusal => $m->{refusal}, calls => $m->{tool_calls} || [],
            finish => $choice->{finish_reason} };
    }
    return \%answer;
}

sub check
{
    my ($answer, $good, $what) = @_;
    push @{ $answer->{faults} }, $what if !$good;
    return;
}

# The chunks of a stream, put together; $usage: the client asked for it.
sub streamed_answer
{
    my ($res, $usage) = @_;
    my @events = grep { defined $_->{data} } $res->events;
    my %answer = (choices => {}, faults => [], error => undef);
    my $last = $events[-1] || { data => '' };

    $answer{done} = grep { $_->{data} eq '[DONE]' } @events;
    pop @events if $last->{data} eq '[DONE]';
    if (@events && $events[-1]{json} && $events[-1]{json}{error}) {
        $answer{error} = (pop @events)->{json}{error};
    }
    for my $event (@events) {
        my $chunk = $event->{json};
        if (ref $chunk ne 'HASH') {
            check(\%answer, 0, "an event: $event->{data}");
            next;
        }
        take_chunk(\%answer, $chunk, $usage);
    }
    return \%answer;
}

sub take_chunk
{
    my ($answer, $chunk, $usage) = @_;
    my @choices = @{ $chunk->{choices} || [] };

    check($answer, ($chunk->{object} // '') eq 'chat.completion.chunk',
          'object');
    check($answer, ($chunk->{created} // 0) > 0, 'created');
    for my $name (qw(id model created)) {
        $answer->{$name} //= $chunk->{$name};
        check($answer, ($chunk->{$name} // '') eq ($answer->{$name} // ''),
              "$name changes");
    }
    check($answer, !$answer->{usage}, 'a chunk after the usage');
    if (!@choices) {
        $answer->{usage} = $chunk->{usage};
        check($answer, $usage && ref $chunk->{usage}, 'a chunk of nothing');
        return;
    }
    check($answer, (exists $chunk->{usage} ? 1 : 0) == $usage
          && !$chunk->{usage}, 'usage: null');
    check($answer, @choices == 1, 'one choice in a chunk');
    take_choice($answer, $choices[0]);
    return;
}

sub take_choice
{
    my ($answer, $choice) = @_;
    my $delta = $choice->{delta};
    my $c = $answer->{choices}{ $choice->{index} // -1 };

    check($answer, exists $choice->{logprobs}
          && exists $choice->{finish_reason}, 'members of a choice');
    if (!$c) {
        $c = $answer->{choices}{ $choice->{index} // -1 } = { calls => [] };
        check($answer, ($delta->{role} // '') eq 'assistant', 'role first');
    }
    else {
        check($answer, !exists $delta->{role}, 'role once');
    }
    check($answer, !defined $c->{finish}, 'a delta after the finish');
    $c->{finish} = $choice->{finish_reason};
    my %parts = (text => 'content', reasoning => 'reasoning_content',
                 refusal => 'refusal');
    for my $part (keys %parts) {
        my $more = $delta->{ $parts{$part} };
        $c->{$part} = ($c->{$part} // '') . $more if defined $more;
    }
    take_call($answer, $c, $_) for @{ $delta->{tool_calls} || [] };
    return;
}

# The first fragment has id, type and name, the others do not.
sub take_call
{
    my ($answer, $c, $fragment) = @_;
    my $i = $fragment->{index} // -1;
    my $call = $c->{calls}[$i];

    if (!$call) {
        check($answer, $i == @{ $c->{calls} }, 'calls by their number');
        check($answer, defined $fragment->{id} && defined $fragment->{type},
              'a new call');
        $c->{calls}[$i] = $fragment;
        return;
    }
    check($answer, !exists $fragment->{id} && !exists $fragment->{type},
          'a call begins again');
    my $custom = $call->{type} eq 'custom';
    my ($kind, $part) = $custom ? qw(custom input) : qw(function arguments);
    check($answer, !exists $fragment->{$kind}{name}, 'a name again');
    $call->{$kind}{$part} .= $fragment->{$kind}{$part} // '';
    return;
}

# ---- comparing

# Values that differ, as [field, got, want].
sub differ
{
    my ($field, $got, $want) = @_;
    my ($g, $w) = map { !defined ? '' : ref ? to_json($_) : "$_" } $got, $want;

    return $g eq $w ? () : [$field, $g, $w];
}

sub answer_differs
{
    my ($case, $got, $want) = @_;
    my $provider = $providers{ $case->{api} };
    my @choices = @{ $want->{choices} || [] };
    my $said_id = ($want->{id} // '') ne '';
    my $said_model = ($want->{model} // '') ne '';

    @choices = ($want, @choices[1 .. $#choices]);
    return (
        differ('form', join('; ', @{ $got->{faults} }), ''),
        $said_id ? differ('id', $got->{id}, $want->{id})
            : differ('id', $got->{id} =~ /^chatcmpl-/ ? 1 : $got->{id}, 1),
        $said_model ? differ('model', $got->{model}, $want->{model})
            : differ('model', ($got->{model} // '') ne '' ? 1 : 0, 1),
        differ('choices', scalar(keys %{ $got->{choices} }), scalar @choices),
        (map { choice_differs($provider, $_, $got->{choices}{$_} || {},
                              $choices[$_]) } 0 .. $#choices),
        usage_differs($got->{usage}, $want->{usage}));
}

sub choice_differs
{
    my ($provider, $i, $got, $want) = @_;

    return map { [($i ? "choice $i " : '') . $_->[0], @$_[1, 2]] } (
        (map { differ($_, $got->{$_}, $want->{$_}) }
            qw(text reasoning refusal)),
        $want->{tool_calls}
            ? calls_differ($got->{calls} || [], $want->{tool_calls}) : (),
        differ('finish', $got->{finish}, finish($provider, $want)));
}

sub finish
{
    my ($provider, $want) = @_;
    my $reason = $want->{finish_reason} // '';
    my $finish = $finishes{$provider}{$reason} // "'$reason' is not listed";

    # Calls that came are there to be made, whatever became of those after.
    return 'tool_calls' if $finish eq 'stop' && @{ $want->{tool_calls} || [] };
    return $finish;
}

sub calls_differ
{
    my ($got, $want) = @_;
    my @all = differ('number of calls', scalar @$got, scalar @$want);

    return @all if @all;
    for my $i (0 .. $#$want) {
        my ($g, $w) = ($got->[$i], $want->[$i]);
        my $type = ($w->{kind} // '') eq 'custom' ? 'custom' : 'function';
        my $id = ($w->{id} // '') ne '' ? $w->{id}
            : ($g->{id} // '') =~ /^call_\w{24}$/ ? $g->{id} : 'one of ours';
        push @all,
            differ("call $i type", $g->{type}, $type),
            differ("call $i id", $g->{id}, $id),
            differ("call $i name", $g->{$type}{name}, $w->{name}),
            $type eq 'custom'
            ? differ("call $i input", $g->{custom}{input}, $w->{arguments})
            : arguments_differ($i, $g->{function}{arguments}, $w);
    }
    return @all;
}

# They are always JSON for the client, also where the provider gave none.
sub arguments_differ
{
    my ($i, $got, $want) = @_;
    my $text = $got // '';

    return differ("call $i arguments", $got, $want->{arguments_unparsed})
        if defined $want->{arguments_unparsed};
    utf8::encode($text);
    my $data = eval { from_json($text) };
    return differ("call $i arguments", defined $data ? $data : "no JSON: $got",
                  $want->{arguments} // {});
}

sub usage_differs
{
    my ($got, $want) = @_;

    return differ('usage', $got, undef) if !$want;
    my ($in, $out) = map { $_ // 0 } @$want{qw(input_total output_total)};
    my $prompt = $got->{prompt_tokens_details} || {};
    my $completion = $got->{completion_tokens_details} || {};
    my %theirs = (cached => $want->{cached}, written => $want->{cache_write},
                  reasoning => $want->{reasoning});
    my %ours = (cached => $prompt->{cached_tokens},
                written => $prompt->{cache_write_tokens},
                reasoning => $completion->{reasoning_tokens});

    # A part is never more than its whole, whatever a provider says.
    $theirs{cached} = $in if ($theirs{cached} // 0) > $in;
    return (
        differ('prompt_tokens', $got->{prompt_tokens}, $in),
        differ('completion_tokens', $got->{completion_tokens}, $out),
        differ('total_tokens', $got->{total_tokens}, $in + $out),
        map { differ("usage $_", $ours{$_}, $theirs{$_}) }
            grep { defined $theirs{$_} } sort keys %theirs);
}

# ---- bytes that pass

# A stream's events as bytes, without comments: those before the first content
# stay behind, because another provider may yet answer.
sub blocks { return grep { !/^:/ } $_[0] =~ /(.+?(?:\r?\n){2})/gs }

# What of a recorded stream a client gets who did not ask for usage: all but
# the chunk that brings nothing else.
sub without_usage
{
    return grep {
        my ($data) = /^data: ?(\{.*\})/m;
        my $chunk = $data ? from_json($data) : {};
        !($chunk->{usage} && !@{ $chunk->{choices} || [] });
    } @_;
}

sub bytes_differ
{
    my ($got, @want) = @_;
    my $done = grep { /^data: \[DONE\]/ } @want;
    my @got = blocks($got);

    push @want, "data: [DONE]\n\n" if !$done;
    for my $i (0 .. ($#got > $#want ? $#got : $#want)) {
        my @wrong = differ("event $i", $got[$i], $want[$i]);
        return @wrong if @wrong;
    }
    return;
}

# ---- one request

my $corpus = corpus_or_skip();
my @cases = $corpus->cases(api => [sort keys %providers]);
my $mock = mock(rules => [map {
    { model => "^c$_\$", do => { file => $cases[$_]{path} } }
} 0 .. $#cases]);
my $httpd = httpd(conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    MaxKeepAliveRequests 0
    KeepAliveTimeout 60
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-oai
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
    <Location "/">
        SetHandler llmux
    </Location>
END
my $client = client($httpd);
my $lost = 0;
my %counts = (whole => 0, streamed => 0, relayed => 0, refused => 0);

# $mode: whole, usage (streamed, and asks for it), plain (streamed).
sub ask
{
    my ($i, $mode) = @_;
    my %more = $mode eq 'whole' ? () : (stream => true);

    $more{stream_options} = { include_usage => true } if $mode eq 'usage';
    my $res = $client->post('/v1/chat/completions',
        chat("$providers{ $cases[$i]{api} }/c$i", 'Hi', %more));
    # httpd ends a connection after some statuses, and says so.
    my $ends = ($res->header('connection') // '') =~ /close/i;
    $lost++ if !$res->ok;
    $client = client($httpd) if $ends || !$res->ok;
    return $res;
}

# Everything that is wrong with the answer to it.
sub wrong_with
{
    my ($i, $mode) = @_;
    my $case = $cases[$i];
    my $want = $corpus->expected($case);
    my $res = ask($i, $mode);

    return ['response', $res->error, 'a complete one'] if !$res->ok;
    if ($case->{kind} eq 'error') {
        $counts{refused}++;
        return refusal_differs($res, $want);
    }
    return failure_differs($res, $want, $mode)
        if $want->{stream_error} || !($want->{complete} // 1);
    return ['status', $res->status, 200] if $res->status != 200;
    return relay_differs($res, $case, $mode) if relays($case, $mode);
    $counts{ $mode eq 'whole' ? 'whole' : 'streamed' }++;
    my $got = $mode eq 'whole' ? whole_answer($res)
        : streamed_answer($res, $mode eq 'usage' ? 1 : 0);
    my @wrong = $mode eq 'whole' ? ()
        : (differ('type', $res->type, 'text/event-stream'),
           differ('[DONE]', $got->{done}, 1),
           differ('error', $got->{error}, undef));
    return (@wrong, grep { $mode ne 'plain' || $_->[0] !~ /usage|_tokens/ }
            answer_differs($case, $got, $want));
}

# Same dialect on both sides, in the same mode.
sub relays
{
    my ($case, $mode) = @_;
    return $case->{api} eq 'openai-chat'
        && ($case->{kind} eq 'sse') == ($mode ne 'whole');
}

sub relay_differs
{
    my ($res, $case, $mode) = @_;
    my $bytes = $corpus->bytes($case);

    $counts{relayed}++;
    return differ('bytes', $res->body, $bytes) if $mode eq 'whole';
    my @want = blocks($bytes);
    return bytes_differ($res->body, $mode eq 'usage' ? @want
                        : without_usage(@want));
}

# A provider that refused the request.
sub refusal_differs
{
    my ($res, $want) = @_;
    my $error = ($res->json || {})->{error} || {};
    # The operator's project is nobody else's affair.
    my $said = $want->{error}{message} =~ s{projects/\K[\w-]+}{***}gr;
    my $shielded = $want->{http_status} == 401 || $said =~ $about_key;

    return (
        differ('status', $res->status,
               $shielded ? 502 : $statuses{ $want->{http_status} }),
        differ('type', $res->type, 'application/json'),
        $shielded
            ? differ('message', index($error->{message} // '', $said) < 0
                     ? 'kept' : "told: $said", 'kept')
            : differ('message', $error->{message}, $said));
}

# A recorded stream that failed midway: what was said before has been passed
# on when it fails, or nothing has and the whole answer is an error.
sub failure_differs
{
    my ($res, $want, $mode) = @_;
    my $whole = $mode eq 'whole';
    my $got = $whole ? { done => 0, %{ $res->json || {} } }
        : streamed_answer($res, 0);
    my $said = $want->{stream_error} && $want->{stream_error}{message};
    my $message = ($got->{error} || {})->{message};

    return (
        differ('status', $res->status >= 400 ? 'error' : 'fine',
               $whole ? 'error' : 'fine'),
        differ('[DONE]', $got->{done}, 0),
        differ('error', $message, $said // $message // 'one'));
}

# ---- all of it

my %excused = map { ("$_->{file} $_->{field}" => $_) } @exceptions;
my %unused = %excused;

for my $i (0 .. $#cases) {
    my $case = $cases[$i];
    my @modes = $case->{streaming} eq 'no' ? qw(whole usage)
        : qw(whole usage plain);

    for my $mode (@modes) {
        my @wrong = wrong_with($i, $mode);
        delete @unused{ map { "$case->{file} $_->[0]" } @wrong };
        @wrong = grep { !$excused{"$case->{file} $_->[0]"} } @wrong;
        ok(!@wrong, "$case->{file}, $mode")
            or diag(join "\n", map { "$_->[0]\n   got: $_->[1]\n"
                    . "  want: $_->[2]" } @wrong);
    }
}
ok(@exceptions <= @cases / 100, 'exceptions are few');
ok(!%unused, 'every exception is still needed')
    or diag(join "\n", sort keys %unused);
is $lost, 0, 'no connection was lost';
diag(sprintf '%d recordings, %d answers: %s; %d exceptions', scalar @cases,
     sum(values %counts), join(', ', map { "$counts{$_} $_" }
     sort keys %counts), scalar @exceptions);

sub sum
{
    my $sum = 0;
    $sum += $_ for @_;
    return $sum;
}

done_clean($httpd, allow => [qr/LX0021: .* attempt 1 with \w+ \(model c\d+\)/]);
done_testing;
