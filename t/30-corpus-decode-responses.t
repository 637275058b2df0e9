# 30-corpus-decode-responses.t - what our decoder makes of recordings of
# Responses, by OpenAI and by others who speak it, is what they are known to
# say, wherever a stream is cut.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

# Where we and expected.jsonl differ, and why that is right: file, field,
# reason. Kept under one in a hundred; one that has gone must go from here too.
my @exceptions = (
    { file => 'openai-responses/openai-client-builtin-tool-03.sse',
      field => 'text',
      reason => 'The recording was shortened: its pieces say less than the'
          . ' whole text, and something else.' },
);

# What an answer was put off or failed with is no end of an answer.
my %undone = map { $_ => 1 } qw(queued failed);

# The kind of an error answer: by its code if that is listed, else by status.
my %codes = (model_not_found => 'MODEL', context_length_exceeded => 'CONTEXT',
             insufficient_quota => 'QUOTA');
my %kinds = (400 => 'INVALID', 401 => 'AUTH', 404 => 'MODEL',
             429 => 'RATE_LIMIT');

# Streams are cut at every byte, at several a time that are so far apart.
my $apart = $ENV{LLMUX_ASAN} ? 512 : 2048;

# ---- what came out

# Builds the program that decodes. Returns it, or nothing.
sub decoder
{
    my $program = build() . '/tools/decode';
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    return $program if ok($status eq '0', 'the decoding program builds');
    diag($out);
    return;
}

sub mode
{
    my ($case) = @_;
    return $case->{kind} eq 'error' ? 'error'
        : $case->{streaming} eq 'no' ? 'whole' : 'stream';
}

# One answer for each case, in order; fewer if the program fell.
sub decode
{
    my ($program, @cases) = @_;
    my $dir = temp_dir('decode');

    spew("$dir/jobs", join '', map {
        join("\t", 'responses', mode($_), $_->{path}) . "\n"
    } @cases);
    my ($status, $out) = run(['/bin/sh', '-c', 'exec "$1" "$2" <"$3"', 'sh',
        $program, $apart, "$dir/jobs"], timeout => 900,
        env => LLMux::Units::sanitizers());
    my @lines = split /\n/, $out;
    my @answers = map { eval { from_json($_) } } @lines;

    is $status, 0, 'it did all of its work'
        or diag(join "\n", grep { !/^\{/ } @lines);
    drop_dir($dir);
    return @answers;
}

# ---- comparing

# Values that differ, as [field, got, want].
sub differ
{
    my ($field, $got, $want) = @_;
    my ($g, $w) = map { text_of($_) } $got, $want;

    return $g eq $w ? () : [$field, $g, $w];
}

sub text_of
{
    my ($value) = @_;
    return !defined $value ? '' : ref $value ? to_json($value) : "$value";
}

# Between messages, and between the parts of a thought, we have an empty line;
# the expectation has nothing or one line's end.
sub squeezed
{
    my ($text) = @_;
    return ($text // '') =~ s/\n+//gr;
}

sub answers_differ
{
    my ($case, $got, $want) = @_;
    my ($first, @more) = @{ $got->{choices} };
    my @wrong = differ('fault', $got->{fault}, undef);

    if (mode($case) eq 'stream') {
        push @wrong, differ('cut', $got->{differs}, undef),
            differ('number of cuts', $got->{cuts}, -s $case->{path});
    }
    return (@wrong, failure_differs($got->{error}, $want))
        if $undone{ $want->{finish_reason} // '' };
    return (@wrong,
        differ('error', $got->{error}, undef),
        differ('number of choices', scalar @more, 0),
        id_differs($got->{id}, $want),
        differ('model', $got->{model}, $want->{model}),
        choice_differs($first, $want),
        usage_differs($got->{usage}, $want->{usage}));
}

# Ids that change from event to event: the first one is ours, the last theirs.
sub id_differs
{
    my ($got, $want) = @_;

    return if ($want->{id} // '') =~ /^capture-id-/;
    return differ('id', $got, $want->{id});
}

sub choice_differs
{
    my ($got, $want) = @_;

    return (
        (map { differ($_, squeezed($got->{$_}), squeezed($want->{$_})) }
            qw(text reasoning)),
        differ('refusal', $got->{refusal}, $want->{refusal}),
        calls_differ($got->{tool_calls}, $want->{tool_calls} || []),
        differ('finish_reason', $got->{reason}, $want->{finish_reason}),
        differ('finish', $got->{finish}, finish($want)),
        differ('sources', $got->{cites} || undef, $want->{annotations}),
        differ('tokens', $got->{tokens} || undef,
               $want->{encrypted_reasoning_items}));
}

# How it ended, in our words.
sub finish
{
    my ($want) = @_;
    my $said = $want->{finish_reason} // '';

    return 'length' if $said eq 'max_output_tokens';
    return 'filter' if $said eq 'content_filter';
    return 'calls' if @{ $want->{tool_calls} || [] };
    return ($want->{refusal} // '') ne '' ? 'refusal' : 'stop';
}

sub calls_differ
{
    my ($got, $want) = @_;
    my @all = differ('number of calls', scalar @$got, scalar @$want);

    return @all if @all;
    for my $i (0 .. $#$want) {
        my ($g, $w) = ($got->[$i], $want->[$i]);
        my $custom = ($w->{kind} // '') eq 'custom';
        push @all,
            differ("call $i name", $g->{name}, $w->{name}),
            differ("call $i id", $g->{id}, $w->{id}),
            differ("call $i custom", $g->{custom} ? 1 : 0, $custom ? 1 : 0),
            arguments_differ("call $i arguments", $g->{arguments}, $w);
    }
    return @all;
}

sub arguments_differ
{
    my ($field, $got, $want) = @_;
    my $text = ($got // '') =~ /\S/ ? $got : '{}';

    return differ($field, $got, $want->{arguments_unparsed})
        if defined $want->{arguments_unparsed};
    return differ($field, $got, $want->{arguments})
        if ($want->{kind} // '') eq 'custom';
    utf8::encode($text);
    my $data = eval { from_json($text) };
    return differ($field, defined $data ? $data : "no JSON: $got",
                  $want->{arguments} // {});
}

sub sum
{
    my @known = grep { defined } @_;
    my $sum = 0;

    $sum += $_ for @known;
    return @known ? $sum : undef;
}

# Our counters share nothing; the provider's are put together from them.
sub usage_differs
{
    my ($got, $want) = @_;
    my %ours = (
        input_total => sum(map { $got->{$_} }
                           qw(input cache_read cache_write tool_input)),
        output_total => sum(map { $got->{$_} } qw(output reasoning)),
        cached => $got->{cache_read},
        cache_write => $got->{cache_write},
        reasoning => $got->{reasoning},
    );

    return differ('usage', %$got ? $got : undef, undef) if !$want;
    return map { differ("usage $_", $ours{$_}, $want->{$_}) }
        grep { defined $want->{$_} } sort keys %ours;
}

# By the provider's own words, if it had any.
sub failure_differs
{
    my ($got, $want) = @_;
    my $error = $want->{stream_error} || $want->{response_error};

    return $error ? differ('failure', $got && $got->{message},
                           $error->{message})
        : differ('failure', $got && $got->{kind}, 'BAD_UPSTREAM');
}

sub errors_differ
{
    my ($got, $want) = @_;
    my ($g, $w) = ($got->{error}, $want->{error});
    my $kind = $codes{ $w->{code} // '' } // $kinds{ $want->{http_status} }
        // 'not listed';

    return (
        differ('kind', $g->{kind}, $kind),
        differ('message', $g->{message}, $w->{message}),
        differ('param', $g->{param}, $w->{param}),
        $kind eq 'INVALID' && ($w->{code} // '') =~ /^[a-z_]+$/
            ? differ('code', $g->{code}, $w->{code}) : ());
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(900);
my @cases = $corpus->cases(api => 'openai-responses',
                           kind => ['json', 'sse', 'error']);
my $program = decoder();
my @answers = $program ? decode($program, @cases) : ();
my %excused = map { ("$_->{file} $_->{field}" => $_) } @exceptions;
my $cuts = 0;

is scalar @answers, scalar @cases, 'every recording was decoded';
for my $i (0 .. $#answers) {
    my ($case, $got) = ($cases[$i], $answers[$i]);
    my $want = $corpus->expected($case);
    my @wrong = mode($case) eq 'error' ? errors_differ($got, $want)
        : answers_differ($case, $got, $want);

    @wrong = grep { !delete $excused{"$case->{file} $_->[0]"} } @wrong;
    $cuts += $got->{cuts} // 0;
    ok(!@wrong, $case->{file})
        or diag(join "\n", map { "$_->[0]\n   got: $_->[1]\n  want: $_->[2]" }
                @wrong);
}
ok(@exceptions <= @cases / 100, 'exceptions are few');
ok(!%excused, 'every exception is still needed')
    or diag(join "\n", map { "$_->{file}: $_->{field}" } values %excused);
diag(sprintf '%d recordings decoded, streams cut in %d places; %d exceptions',
     scalar @answers, $cuts, scalar @exceptions);
done_testing;
