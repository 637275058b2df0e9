# 37-corpus-completions.t - recordings of legacy completions and of token
# counts: requests read and written say the same, and pass byte for byte where
# nothing must change; answers decoded and encoded are the same answers.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Jobs;

my %dialects = (
    'openai-completions' => 'completions',
    'anthropic-count-tokens' => 'anthropic-count',
    'gemini-count-tokens' => 'gemini-count',
    'openai-input-tokens' => 'responses-count',
);

my ($corpus, $program);

# ---- one form for what means the same

# JSON in a string of characters.
sub parsed
{
    my ($text) = @_;

    utf8::encode($text);
    return from_json($text);
}

# Without nulls and what is the default anyway.
my %defaults = (description => '""', is_error => 'false', strict => 'false',
                properties => '{}', stream => 'false');

sub plain
{
    my ($v) = @_;

    return [map { plain($_) } @$v] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';
    return { map { $_ => plain($v->{$_}) } grep { defined $v->{$_}
        && to_json($v->{$_}) ne ($defaults{$_} // '') } keys %$v };
}

sub completion
{
    my ($v) = @_;

    delete $v->{stream_options};        # asked for by us in each stream
    return $v;
}

# A text is a list of one; what a tool refers to is told by its name.
sub blocks
{
    my ($content) = @_;

    return [{ type => 'text', text => $content }] if !ref $content;
    for my $block (@$content) {
        $block = { type => 'text', text => "Tool: $block->{tool_name}" }
            if $block->{type} eq 'tool_reference';
        $block->{content} = blocks($block->{content}) if $block->{content};
        $block->{cache_control} = { type => 'ephemeral' }
            if ($block->{cache_control}{ttl} // '') eq '5m';
        delete $block->{cache_control}
            if !%{ $block->{cache_control} || {} };
    }
    return $content;
}

sub messages
{
    my ($v) = @_;

    $_->{content} = blocks($_->{content}) for @{ $v->{messages} };
    return $v;
}

sub schema
{
    my ($v) = @_;

    return [map { schema($_) } @$v] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';
    return { map { $_ => $_ eq 'type' ? lc $v->{type} : schema($v->{$_}) }
        keys %$v };
}

# In Google's API all of it may stand in a member; without limits. "An object"
# says nothing of what a function takes.
sub contents
{
    my ($v) = @_;
    my $r = $v->{generateContentRequest} || $v;

    delete $r->{model};
    delete $r->{generationConfig}{max_output_tokens};
    delete $r->{generationConfig} if !%{ $r->{generationConfig} };
    delete $r->{systemInstruction}{role};
    delete $r->{systemInstruction} if !%{ $r->{systemInstruction} };
    for my $function (map { @{ $_->{functionDeclarations} } }
                      @{ $r->{tools} || [] }) {
        my $schema = schema(delete $function->{parametersJsonSchema}
            // delete $function->{parameters} // {});
        $function->{schema} = $schema if $schema->{properties};
    }
    return $r;
}

sub input
{
    my ($v) = @_;

    for my $item (@{ $v->{input} }) {
        delete $item->{type};
        $item->{role} = 'system' if $item->{role} eq 'developer';
        $item->{content} = [{ text => $item->{content} }]
            if !ref $item->{content};
        delete $_->{type} for @{ $item->{content} };
    }
    # the first of the system's may stand by itself
    unshift @{ $v->{input} }, { role => 'system',
        content => [{ text => delete $v->{instructions} }] }
        if defined $v->{instructions};
    return $v;
}

my %forms = (
    'completions' => \&completion, 'anthropic-count' => \&messages,
    'gemini-count' => \&contents, 'responses-count' => \&input,
);

sub form { return to_json($forms{ $_[0] }->(plain($_[1]))) }

# ---- requests

sub model
{
    my ($case, $said) = @_;
    my $inner = $said->{generateContentRequest} || {};
    my $model = $said->{model} || $inner->{model} || $case->{model};

    return ($case->{provider} eq 'vertex' ? 'vertex:' : '')
        . $model =~ s{^models/}{}r;
}

# All bytes of it, but where we ask a stream for its usage.
sub passes
{
    my ($said) = @_;
    return !$said->{stream} || $said->{stream_options}{include_usage};
}

sub request_tests
{
    my (@cases) = @_;
    my @said = map { from_json($corpus->request($_)) } @cases;
    my @got = $program->answers(map { ['request',
        $dialects{ $cases[$_]{api} }, model($cases[$_], $said[$_]),
        "$corpus->{dir}/$cases[$_]{request_file}"] } 0 .. $#cases);

    for my $i (0 .. $#got) {
        my ($name, $got) = ($cases[$i]{request_file}, $got[$i]);
        my $dialect = $dialects{ $cases[$i]{api} };
        my $want = form($dialect, $said[$i]);

        ok(!$got->{error}, "$name is understood")
            or diag(to_json($got->{error})), next;
        is(form($dialect, parsed($got->{written})), $want,
           "$name is written again");
        is($got->{warnings}, undef, '... without a warning');
        is(form($dialect, parsed($got->{edited})),
           form($dialect, from_json($corpus->request($cases[$i]))),
           '... and passes');
        my $bytes = $got->{edited};
        utf8::encode($bytes);
        is($bytes, $corpus->request($cases[$i]), '... byte for byte')
            if $dialect eq 'completions' && passes(from_json(
                $corpus->request($cases[$i])));
    }
    return;
}

# ---- answers

# Chunks as a client's SDK puts them together: one object as a whole answer.
sub chunks
{
    my ($bytes) = @_;
    my (%all, %choices);
    my @events = $bytes =~ /^data: ?(.*?)\r?$/mg;

    return 'no [DONE]' if @events < 2 || pop @events ne '[DONE]';
    for my $chunk (map { from_json($_) } @events) {
        $all{$_} = $chunk->{$_} for grep { defined $chunk->{$_} } keys %$chunk;
        for my $c (@{ $chunk->{choices} }) {
            my $choice = $choices{ $c->{index} } //= { index => $c->{index},
                text => '', logprobs => undef };
            $choice->{text} .= $c->{text};
            $choice->{finish_reason} = $c->{finish_reason};
        }
    }
    $all{choices} = [map { $choices{$_} } sort { $a <=> $b } keys %choices];
    return \%all;
}

# What is beside the number in a count, no other dialect has. Together has an
# object and a member of its own.
sub document
{
    my ($v) = @_;

    delete @$v{qw(promptTokensDetails totalBillableCharacters)};
    $v->{object} = 'text_completion'
        if ($v->{object} // '') eq 'text.completion';
    delete $v->{prompt} if to_json($v->{prompt}) eq '[]';
    return $v;
}

sub recorded
{
    my ($case) = @_;
    my $bytes = $corpus->bytes($case);

    return $case->{streaming} eq 'sse' ? chunks($bytes)
        : document(from_json($bytes));
}

sub answer_tests
{
    my (@cases) = @_;
    my @got = $program->answers(map { [mode($_), $dialects{ $_->{api} }, 'm',
                                       $_->{path}] } @cases);

    for my $i (0 .. $#got) {
        my ($case, $got) = ($cases[$i], $got[$i]);
        my $want = to_json(recorded($case));

        ok(!$got->{error}, "$case->{file} is understood")
            or diag(to_json($got->{error})), next;
        is(to_json(parsed($got->{whole})), $want, '... the same again, whole');
        next if $case->{api} ne 'openai-completions';
        my $stream = $got->{stream};
        utf8::encode($stream);
        is(to_json(chunks($stream)), $want, '... and in chunks');
    }
    return;
}

# An error is as it was, but for what is not the client's to know.
sub error_tests
{
    my (@cases) = @_;
    my @got = $program->answers(map { [mode($_), $dialects{ $_->{api} }, 'm',
                                       $_->{path}] } @cases);

    for my $i (0 .. $#got) {
        my $want = from_json($corpus->error($cases[$i])->{body})->{error};
        my $error = parsed($got[$i]{whole})->{error};

        is($error->{$_}, $want->{$_}, "$cases[$i]{file}: $_")
            for grep { $_ ne 'details' } sort keys %$want;
    }
    return;
}

# ---- all of it

$corpus = corpus_or_skip();
alarm patience(600);
my @all = $corpus->cases(api => [sort keys %dialects]);
$program = tool('completions');
ok(@all > 30, 'there are recordings: ' . @all);
request_tests(grep { $_->{request_file} } @all);
answer_tests(grep { $_->{kind} ne 'error' } @all);
error_tests(grep { $_->{kind} eq 'error' } @all);
done_testing;
