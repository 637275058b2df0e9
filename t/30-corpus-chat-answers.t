# 30-corpus-chat-answers.t - every recorded answer of chat completions, decoded
# and said again in its own dialect, whole and streamed, says the same.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use JSON::PP ();
use LLMux::Jobs;

# Members that are not said again, each with the reason: a translation passes
# on what another dialect has a word for too. (Between a client and a provider
# of this dialect the provider's own bytes pass, with all of them.)
my %unsaid = (
    # Vendors' own words on how the answer was made.
    'provider' => 'who served it behind a router',
    'x_groq' => 'the vendor\'s id, seed and the usage once more',
    'time_info' => 'how long it took',
    'latency_checkpoint' => 'how long it took',
    'metadata' => 'which weights it was',
    'request_id' => 'the vendor\'s id of the request',
    'obfuscation' => 'noise against those who count bytes',
    'choices.native_finish_reason' => 'the reason as another API spells it',
    'choices.stop_reason' => 'the number of the token that ended it',
    'choices.seed' => 'drawn by the server',
    'choices.message.channel' => 'of the model\'s own format',
    'choices.message.name' => 'always "assistant"',
    'choices.message.index' => 'always 0',
    'choices.message.extra_content' => 'a signature of Google\'s, which goes'
        . ' under a seal or not at all, and a mark of thoughts',
    'choices.message.thought_signature' => 'the same signature again',
    'choices.message.audio.id' => 'by which the server finds it again',
    'choices.message.audio.expires_at' => 'how long it does',
    'choices.message.audio.transcript' => 'the words of what is heard',
    'choices.message.reasoning_details' => 'the reasoning once more;'
        . ' signatures go under a seal or not at all',
    # What was looked for beside the answer.
    'prompt_filter_results' => 'Azure\'s filter on what was asked',
    'choices.content_filter_results' => 'Azure\'s filter on what was said',
    # Of what was counted, what nobody else counts.
    (map { ("usage.$_" => 'what it cost') }
        qw(cost cost_details cost_in_usd_ticks)),
    (map { ("usage.$_" => 'how long it took') }
        qw(completion_time latency_checkpoint prompt_time queue_time
           total_time time_per_output_token_ms time_to_first_token_ms
           tokens_per_second prompt_tokens_per_second)),
    (map { ("usage.$_" => 'of how the server decodes') }
        qw(draft_tokens draft_tokens_acceptance)),
    (map { ("usage.$_" => 'tools and sources of one vendor\'s') }
        qw(num_sources_used search_context_size server_tool_use_details)),
    (map { ("usage.$_" => 'what is left of the whole, or 0') }
        qw(prompt_tokens_details.text_tokens
           prompt_tokens_details.image_tokens
           prompt_tokens_details.video_tokens
           completion_tokens_details.text_tokens
           completion_tokens_details.image_tokens)),
    'usage.prompt_cache_miss_tokens' => 'what is left of the prompt',
    'usage.audio_prompt_tokens' => 'the details say it, too',
    'usage.prompt_audio_seconds' => 'sound is counted in tokens',
    'usage.service_tier' => 'the tier, where nobody looks for it',
);

# Members that came too late: what is said of the whole answer is said at its
# beginning.
my %late = (
    'openai-compat/openrouter-chat-web-search-04.sse' => 'service_tier',
);

# Counts that servers give under names of their own. The first that is there
# is the one.
my %counts = (
    cached_tokens => [qw(prompt_cache_hit_tokens cache_read_input_tokens
                         cached_tokens num_cached_tokens)],
    cache_write_tokens => [qw(cache_creation_input_tokens)],
    reasoning_tokens => [qw(reasoning_tokens)],
);

# ---- chunks, put together

sub events
{
    my ($bytes) = @_;
    return map { from_json($_) } grep { $_ ne '[DONE]' && /\S/ }
        map { /^data:\s*(.*)/s ? $1 : () } split /\r?\n/, $bytes;
}

sub together
{
    my %answer;

    for my $event (@_) {
        my $choices = delete $event->{choices} || [];
        add_choice($answer{choices} ||= [], $_) for @$choices;
        $event->{object} =~ s/\.chunk$// if defined $event->{object};
        # The first that says anything, for usage the last.
        for my $name (keys %$event) {
            $answer{$name} = $event->{$name}
                if defined $event->{$name}
                    && (!$answer{$name} || $name =~ /^(?:usage|x_groq)$/);
        }
    }
    return \%answer;
}

sub add_choice
{
    my ($choices, $piece) = @_;
    my $choice = $choices->[ $piece->{index} ]
        //= { index => $piece->{index}, message => {} };

    add_delta($choice->{message}, $piece->{delta} || {});
    push @{ $choice->{logprobs}{content} }, @{ $piece->{logprobs}{content} }
        if $piece->{logprobs} && $piece->{logprobs}{content};
    for my $name (grep { !/^(?:delta|message|logprobs|index)$/ } keys %$piece) {
        $choice->{$name} = $piece->{$name} if defined $piece->{$name};
    }
    return;
}

sub add_delta
{
    my ($to, $delta) = @_;

    for my $name (keys %$delta) {
        my $piece = $delta->{$name};
        if (ref $piece eq 'ARRAY') {
            $to->{$name} = [said_text($to->{$name})]
                if defined $to->{$name} && !ref $to->{$name};
            add_elements($to->{$name} ||= [], $_) for @$piece;
        }
        elsif (ref $piece eq 'HASH') {
            add_delta($to->{$name} ||= {}, $piece);
        }
        elsif (defined $piece && ref $to->{$name} eq 'ARRAY') {
            push @{ $to->{$name} }, said_text($piece);
        }
        elsif (defined $piece) {
            $to->{$name} = joins($name) ? ($to->{$name} // '') . $piece
                : is_said($to->{$name}) ? $to->{$name} : $piece;
        }
    }
    return;
}

# Texts go on; the others are said once, and maybe again.
sub joins
{
    return $_[0] =~ /^(?:content|refusal|reasoning|reasoning_content
                        |arguments|text|data|transcript)$/x;
}

sub said_text { return $_[0] eq '' ? () : { type => 'text', text => $_[0] } }

sub add_elements
{
    my ($list, $piece) = @_;

    if (ref $piece eq 'HASH' && defined $piece->{index}) {
        add_delta($list->[ $piece->{index} ] ||= {}, $piece);
    }
    else {
        push @$list, $piece;
    }
    return;
}

# ---- the same, said otherwise

my %met;
# What the program has for calls and answers that were given none.
my $own_id = 'call_' . 'A' x 24;
my ($own_answer, $own_time) = ('chatcmpl-ours', 1700000000);

sub modern
{
    my ($answer) = @_;

    $answer->{usage} ||= ($answer->{x_groq} || {})->{usage};
    modern_choice($_) for @{ $answer->{choices} };
    leave_out($answer, $_, split /\./) for sort keys %unsaid;
    modern_usage($answer->{usage}) if $answer->{usage};
    return said($answer);
}

sub modern_choice
{
    my ($choice) = @_;
    my $m = $choice->{message};
    my $old = said(delete $m->{function_call});

    delete $choice->{delta};    # empty, beside a message
    modern_content($m);
    $m->{tool_calls} = [{ function => $old }] if is_said($old);
    # Numbers may have gaps.
    $m->{tool_calls} = [grep { defined } @{ $m->{tool_calls} || [] }];
    delete $_->{index}
        for @{ $m->{tool_calls} }, @{ $m->{annotations} || [] };
    return;
}

sub modern_content
{
    my ($m) = @_;
    my $thought = delete $m->{reasoning};

    $m->{reasoning_content} ||= $thought
        // join '', map { $_->{text} // '' } @{ $m->{reasoning_details} || [] };
    return if ref $m->{content} ne 'ARRAY';
    $m->{reasoning_content} = join '', map { $_->{text} }
        map { @{ $_->{thinking} || [] } } @{ $m->{content} };
    $m->{content} = join '', map { $_->{text} // '' } @{ $m->{content} };
    return;
}

# Details are told in one place.
sub modern_usage
{
    my ($usage) = @_;
    my %details = (prompt => $usage->{prompt_tokens_details} ||= {},
                   completion => $usage->{completion_tokens_details} ||= {});

    for my $name (sort keys %counts) {
        my $to = $details{ $name =~ /^cache/ ? 'prompt' : 'completion' };
        $to->{$name} //= $_ for grep { defined }
            map { delete $usage->{$_} } @{ $counts{$name} };
    }
    return;
}

# What was recorded, with all that a client expects: we say that, whoever left
# it out.
sub recorded
{
    my $answer = modern(@_);

    $answer->{object} //= 'chat.completion';
    $answer->{id} //= $own_answer;
    $answer->{created} ||= $own_time;
    cite_sources($answer);
    fill_choice($_) for @{ $answer->{choices} };
    add_up($answer->{usage}) if $answer->{usage};
    return $answer;
}

# What it rests on, said beside it: where in the text, nobody knows.
sub cite_sources
{
    my ($answer) = @_;
    my $urls = delete $answer->{citations};
    my $sources = delete $answer->{search_results}
        || [map { { url => $_ } } @{ $urls || [] }];
    my @cites = map { said({ url => $_->{url}, title => $_->{title},
                             content => $_->{snippet}, start_index => 0,
                             end_index => 0 }) } @$sources;

    return if !@cites;
    $_->{message}{annotations} = [map { { type => 'url_citation',
                                          url_citation => $_ } } @cites]
        for @{ $answer->{choices} };
    return;
}

sub fill_choice
{
    my ($choice) = @_;
    my $m = $choice->{message};
    my $finish = $choice->{finish_reason} // 'stop';

    $finish = 'stop' if $finish eq 'eos';
    $m->{role} //= 'assistant';
    for my $call (@{ $m->{tool_calls} || [] }) {
        $call->{id} //= $own_id;
        $call->{type} //= 'function';
        $call->{function}{arguments} //= '{}';
        # Calls that came are there to be made, whatever it is called.
        $finish = 'tool_calls' if $finish =~ /^(?:stop|function_call)$/;
    }
    $choice->{finish_reason} = $finish;
    return;
}

# We say parts that add up to their whole.
sub add_up
{
    my ($usage) = @_;
    my ($in, $out) = @$usage{qw(prompt_tokens completion_tokens)};
    my ($read, $said) = map { $usage->{"${_}_tokens_details"} || {} }
        qw(prompt completion);
    my $beside = $usage->{total_tokens} - $in - $out;

    if ($beside && $beside == ($read->{audio_tokens} // 0)) {
        $in = $usage->{prompt_tokens} += $beside;       # Mistral's sound
    }
    elsif ($beside > 0 && !$said->{reasoning_tokens}) {
        # Google has thoughts in the total alone.
        $usage->{completion_tokens_details}{reasoning_tokens} = $beside;
        $usage->{completion_tokens} += $beside;
    }
    elsif ($beside == ($said->{reasoning_tokens} // 0)) {
        $usage->{completion_tokens} += $beside;         # xAI's thoughts
    }
    $usage->{total_tokens} = $in + $usage->{completion_tokens};
    # xAI's prompts are longer when it comes to what was cached of them.
    $read->{cached_tokens} = $in if ($read->{cached_tokens} // 0) > $in;
    return;
}

# Without this member, wherever it stands.
sub leave_out
{
    my ($v, $path, $name, @rest) = @_;

    if (ref $v eq 'ARRAY') {
        leave_out($_, $path, $name, @rest) for @$v;
    }
    elsif (ref $v eq 'HASH' && exists $v->{$name}) {
        return leave_out($v->{$name}, $path, @rest) if @rest;
        $met{$path}++ if is_said(said(delete $v->{$name}));
    }
    return;
}

# Without members that say nothing: null, false, an empty text or list.
sub said
{
    my ($v) = @_;

    return [map { said($_) } @$v] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';
    return { map { my $is = said($v->{$_}); is_said($is) ? ($_ => $is) : () }
             keys %$v };
}

sub is_said
{
    my ($v) = @_;
    return ref $v eq 'ARRAY' ? @$v > 0 : ref $v eq 'HASH' ? %$v > 0
        : JSON::PP::is_bool($v) ? $v : defined $v && $v ne '';
}

# ---- all of them

my $corpus = corpus_or_skip();
my @cases = grep { $_->{kind} ne 'error' }
    $corpus->cases(api => 'openai-chat');
my @said = map { $_->{openai} } tool('cross', 'openai')->answers(
    map { [mode($_), 'openai', $_->{path}] } @cases);

sub answer_of
{
    my ($bytes, $streamed) = @_;
    return $streamed ? together(events($bytes)) : from_json($bytes);
}

sub compare
{
    my ($case, $say) = @_;
    my $bytes = $corpus->bytes($case);

    for my $form (qw(whole stream)) {
        my $want = answer_of($bytes, $case->{streaming} ne 'no');
        my $got = answer_of($say->{$form}{bytes}, $form eq 'stream');
        my $late = $late{ $case->{file} };
        $met{$late}++ if $late && is_said(delete $want->{$late});
        is_deeply modern($got), recorded($want), "$case->{file}, $form";
    }
    return;
}

# An answer that broke off: what was said until then, and why no more.
sub compare_broken
{
    my ($case, $say) = @_;
    my ($want, $got) = map { together(events($_)) } $corpus->bytes($case),
        $say->{stream}{bytes};
    my $why = $want->{error} ? $want->{error}{message}
        : 'The provider\'s answer was truncated.';

    is $got->{error}{message}, $why, "$case->{file}, stream: it broke off";
    is_deeply modern($got)->{choices}[0]{message},
        recorded($want)->{choices}[0]{message}, "$case->{file}, stream";
    $got = from_json($say->{whole}{bytes});
    is_deeply [$got->{error}{message}, sort keys %$got],
        [$why, qw(error request_id)], "$case->{file}, whole: an error alone";
    return;
}

for my $i (0 .. $#cases) {
    my ($case, $say) = ($cases[$i], $said[$i]);

    utf8::encode($_->{bytes}) for values %$say;
    if ($case->{streaming} ne 'no' && !$corpus->expected($case)->{complete}) {
        compare_broken($case, $say);
    }
    else {
        compare($case, $say);
    }
}
is join("\n", grep { !$met{$_} } sort keys %unsaid, values %late), '',
    'each of those that are not said again stands somewhere';
diag(scalar(@cases) . ' recordings');
done_testing;
