# 30-corpus-decode.t - what our decoders make of recordings of real providers
# is what the recordings are known to say, wherever a stream is cut.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

# Where we and expected.jsonl differ, and why that is right: file, field,
# reason. Kept under one in a hundred; one that has gone must go from here too.
my @exceptions = (
    { file => 'gemini/gemini-safety-block-01.json',
      field => 'usage output_total',
      reason => 'Says nothing of output tokens; the expectation makes it 0.' },
    { file => 'openai-compat/snowflake-chat-tool-call-01.json',
      field => 'reasoning',
      reason => 'Its text stands in reasoning_details alone, which we read'
          . ' and the expectation does not.' },
);

# The dialect that each API is decoded with.
my %dialects = (
    'openai-chat' => 'openai',
    'anthropic-messages' => 'anthropic',
    'gemini-generate' => 'gemini',
);

# What providers call the end of an answer, and what it is to us. '': the whole
# document does not say.
my %finishes = (
    openai => { stop => 'stop', eos => 'stop', length => 'length',
                tool_calls => 'calls', function_call => 'calls',
                content_filter => 'filter', '' => 'stop' },
    anthropic => { end_turn => 'stop', stop_sequence => 'sequence',
                   max_tokens => 'length', tool_use => 'calls',
                   pause_turn => 'pause', refusal => 'refusal' },
    gemini => { STOP => 'stop', 1 => 'stop', MAX_TOKENS => 'length',
                SAFETY => 'filter', MODEL_ARMOR => 'filter',
                UNEXPECTED_TOOL_CALL => 'malformed', '' => 'filter' },
);

# The kind of an error answer: by its words if they are listed, else by status.
my @words = (
    [qr/api key not valid/i => 'AUTH'],
    [qr/context length|token count|messages is too long/ => 'CONTEXT'],
);
my %kinds = (400 => 'INVALID', 401 => 'AUTH', 404 => 'MODEL',
             429 => 'RATE_LIMIT');

# Streams are cut at every byte, at several a time that are so far apart.
my $apart = $ENV{LLMUX_ASAN} ? 512 : 2048;

# Answers that say more of the prompt was cached than there was.
my $overcounted = 0;

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
        join("\t", $dialects{ $_->{api} }, mode($_), $_->{path}) . "\n"
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

# Values that differ, as [field, got, want]. undef, '' and {} are different
# things on the wire, but say the same.
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

sub answers_differ
{
    my ($case, $got, $want) = @_;
    my ($first, @more) = @{ $got->{choices} };
    my $failed = $want->{stream_error}
        || (defined $want->{complete} && !$want->{complete});

    return (
        differ('fault', $got->{fault}, undef),
        differ('id', $got->{id}, $want->{id}),
        differ('model', $got->{model}, $want->{model}),
        choice_differs($case, $first, $want, $failed),
        more_differ($case, \@more, $want),
        usage_differs($got->{usage}, $want->{usage}),
        $failed ? failure_differs($got->{error}, $want->{stream_error})
            : differ('error', $got->{error}, undef),
        cuts_differ($case, $got), parsing_differs($case, $got));
}

# One choice; a failed stream does not say how it ended.
sub choice_differs
{
    my ($case, $got, $want, $failed) = @_;
    my $reason = $want->{block_reason} && !$want->{finish_reason}
        ? $want->{block_reason} : $want->{finish_reason};

    return (
        (map { differ($_, $got->{$_}, $want->{$_}) }
            qw(text reasoning refusal)),
        ($want->{tool_calls}
            ? calls_differ($got->{tool_calls}, $want->{tool_calls}) : ()),
        $failed ? () : (
            differ('finish_reason', $got->{reason}, $reason),
            differ('finish', $got->{finish}, finish($case, $want))),
        defined $want->{stop_sequence}
            ? differ('stop_sequence', $got->{stop}, $want->{stop_sequence})
            : (),
        marks_differ($got, $want));
}

# Sources and signatures, by their number. A hosted tool's own signatures are
# of no use to a client, who never sees its parts.
sub marks_differ
{
    my ($got, $want) = @_;
    my $cites = sum(map { $want->{$_} } qw(annotations citations));
    my $tokens = sum(map { $want->{$_} }
        qw(thinking_signatures redacted_thinking thought_signatures));

    return (
        defined $cites ? differ('sources', $got->{cites}, $cites) : (),
        defined $tokens && !$want->{other_parts}
            ? differ('signatures', $got->{tokens}, $tokens) : ());
}

# How it ended, in our words, by what the recording says.
sub finish
{
    my ($case, $want) = @_;
    my $dialect = $dialects{ $case->{api} };
    my $said = $finishes{$dialect}{ $want->{finish_reason} // '' }
        // 'not in the table';

    return 'calls' if @{ $want->{tool_calls} || [] }
        && $said =~ /^(?:stop|other)$/;
    return 'refusal' if $said eq 'stop' && ($want->{refusal} // '') ne '';
    return $said;
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
            differ("call $i id", call_id($g->{id}, $w->{id}), $w->{id}),
            differ("call $i custom", $g->{custom} ? 1 : 0, $custom ? 1 : 0),
            arguments_differ("call $i arguments", $g->{arguments}, $w);
    }
    return @all;
}

# A call that came without an id got one of ours.
sub call_id
{
    my ($got, $want) = @_;
    return $got if ($want // '') ne '';
    return ($got // '') =~ /^call_\w{24}$/ ? $want : "no id: '$got'";
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

# The other choices, where several were asked for.
sub more_differ
{
    my ($case, $got, $want) = @_;
    my @want = @{ $want->{choices} || [] };

    shift @want;
    my @all = differ('number of choices', scalar @$got, scalar @want);
    return @all if @all;
    for my $i (0 .. $#want) {
        push @all, map { ["choice " . ($i + 1) . " $_->[0]", @$_[1, 2]] }
            choice_differs($case, $got->[$i], $want[$i]);
    }
    return @all;
}

sub sum
{
    my @known = grep { defined } @_;
    my $sum = 0;

    $sum += $_ for @known;
    return @known ? $sum : undef;
}

# Our counters share nothing; the provider's are put together from them. What
# is said to be cached cannot be more than the prompt that it is a part of (xAI
# on Azure counts the hidden prompt there, and only there).
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
    my %theirs = %$want;
    if (($theirs{cached} // 0) > ($theirs{input_total} // 0)) {
        $theirs{cached} = $theirs{input_total};
        $overcounted++;
    }
    return map { differ("usage $_", $ours{$_}, $theirs{$_}) }
        grep { defined $theirs{$_} } sort keys %ours;
}

# A stream that failed: by the provider's own words, or by breaking off.
sub failure_differs
{
    my ($got, $want) = @_;

    return differ('stream_error', $got && $got->{message}, $want->{message})
        if $want;
    return differ('stream_error', $got && $got->{kind}, 'BAD_UPSTREAM');
}

sub cuts_differ
{
    my ($case, $got) = @_;
    my $due = -s $case->{path};

    return if mode($case) ne 'stream';
    return differ('number of cuts', $got->{cuts}, $due)
        if !defined $got->{differs};
    return differ('cut', "other events when cut at $got->{differs}", undef);
}

# What is read at a glance is what parsing brings.
sub parsing_differs
{
    my ($case, $got) = @_;

    return if $dialects{ $case->{api} } ne 'openai';
    return differ('events when parsed', $got->{parsed_alike}, 1);
}

sub errors_differ
{
    my ($got, $want) = @_;
    my ($g, $w) = ($got->{error}, $want->{error});
    my @by_words = map { $_->[1] } grep { $w->{message} =~ $_->[0] } @words;
    my $kind = (@by_words, $kinds{ $want->{http_status} }, 'not listed')[0];

    return (
        differ('kind', $g->{kind}, $kind),
        differ('message', $g->{message}, $w->{message}),
        differ('param', $g->{param}, $w->{param}),
        # A code that is a word, and that no kind of ours has another word for.
        $kind eq 'INVALID' && ($w->{code} // '') =~ /^[a-z_]+$/
            ? differ('code', $g->{code}, $w->{code}) : ());
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(1500);
my @cases = $corpus->cases(api => [sort keys %dialects]);
my %streams = map { $_->{file} => 1 } grep { mode($_) eq 'stream' } @cases;
my $program = decoder();
my @answers = $program ? decode($program, @cases) : ();
my %excused = map { ("$_->{file} $_->{field}" => $_) } @exceptions;
my ($cuts, $payloads, $peeked) = (0, 0, 0);

is scalar @answers, scalar @cases, 'every recording was decoded';
for my $i (0 .. $#answers) {
    my ($case, $got) = ($cases[$i], $answers[$i]);
    my $want = $corpus->expected($case);
    my @wrong = mode($case) eq 'error' ? errors_differ($got, $want)
        : answers_differ($case, $got, $want);

    @wrong = grep { !delete $excused{"$case->{file} $_->[0]"} } @wrong;
    $cuts += $got->{cuts} // 0;
    $payloads += $got->{payloads} // 0;
    $peeked += $got->{peeked} // 0;
    ok(!@wrong, $case->{file})
        or diag(join "\n", map { "$_->[0]\n   got: $_->[1]\n  want: $_->[2]" }
                @wrong);
}

ok($peeked >= $payloads * 0.8, 'most of what OpenAI and its like send is'
    . ' read without an index');
ok(@exceptions <= @cases / 100, 'exceptions are few');
ok(!%excused, 'every exception is still needed')
    or diag(join "\n", map { "$_->{file}: $_->{field}" } values %excused);
diag(sprintf '%d recordings decoded, %d of them streams, cut in %d places; '
     . '%d of %d payloads read without an index; '
     . '%d exceptions, %d with more cached than the prompt', scalar @answers,
     scalar(keys %streams), $cuts, $peeked, $payloads, scalar @exceptions,
     $overcounted);
done_testing;
