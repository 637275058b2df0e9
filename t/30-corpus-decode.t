# 30-corpus-decode.t - what our decoders make of recordings of real providers
# is what the recordings are known to say, wherever a stream is cut.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Decoded;
use LLMux::Exceptions;
use LLMux::Jobs;

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

# Answers that say more of the prompt was cached than there was.
my $overcounted = 0;

# ---- comparing

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
        usage_differs($got->{usage}, sane($want->{usage})),
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

# What is said to be cached cannot be more than the prompt that it is a part of
# (xAI on Azure counts the hidden prompt there, and only there).
sub sane
{
    my ($usage) = @_;

    return $usage if !$usage
        || ($usage->{cached} // 0) <= ($usage->{input_total} // 0);
    $overcounted++;
    return { %$usage, cached => $usage->{input_total} };
}

# A stream that failed: by the provider's own words, or by breaking off.
sub failure_differs
{
    my ($got, $want) = @_;

    return differ('stream_error', $got && $got->{message}, $want->{message})
        if $want;
    return differ('stream_error', $got && $got->{kind}, 'BAD_UPSTREAM');
}

# What is read at a glance is what parsing brings.
sub parsing_differs
{
    my ($case, $got) = @_;

    return if $dialects{ $case->{api} } ne 'openai';
    return differ('events when parsed', $got->{parsed_alike}, 1);
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(1500);
my @cases = $corpus->cases(api => [sort keys %dialects]);
my %streams = map { $_->{file} => 1 } grep { mode($_) eq 'stream' } @cases;
my @answers = decode(sub { $dialects{ $_[0]{api} } }, @cases);
my $exceptions = LLMux::Exceptions->new(@exceptions);
my ($cuts, $payloads, $peeked) = (0, 0, 0);

for my $i (0 .. $#answers) {
    my ($case, $got) = ($cases[$i], $answers[$i]);
    my $want = $corpus->expected($case);

    $exceptions->judge($case->{file}, $case, mode($case) eq 'error'
        ? error_differs($got, $want, kind_of($want, \%kinds, @words))
        : answers_differ($case, $got, $want));
    $cuts += $got->{cuts} // 0;
    $payloads += $got->{payloads} // 0;
    $peeked += $got->{peeked} // 0;
}

ok($peeked >= $payloads * 0.8, 'most of what OpenAI and its like send is'
    . ' read without an index');
ok(@exceptions <= @cases / 100, 'exceptions are few');
$exceptions->are_needed;
diag(sprintf '%d recordings decoded, %d of them streams, cut in %d places; '
     . '%d of %d payloads read without an index; '
     . '%d exceptions, %d with more cached than the prompt', scalar @answers,
     scalar(keys %streams), $cuts, $peeked, $payloads, scalar @exceptions,
     $overcounted);
done_testing;
