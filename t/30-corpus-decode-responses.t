# 30-corpus-decode-responses.t - what our decoder makes of recordings of
# Responses, by OpenAI and by others who speak it, is what they are known to
# say, wherever a stream is cut.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Decoded;
use LLMux::Exceptions;
use LLMux::Jobs;

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

# ---- comparing

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
    my @wrong = (differ('fault', $got->{fault}, undef),
                 cuts_differ($case, $got));

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

# By the provider's own words, if it had any.
sub failure_differs
{
    my ($got, $want) = @_;
    my $error = $want->{stream_error} || $want->{response_error};

    return $error ? differ('failure', $got && $got->{message},
                           $error->{message})
        : differ('failure', $got && $got->{kind}, 'BAD_UPSTREAM');
}

sub kind
{
    my ($want) = @_;
    return $codes{ $want->{error}{code} // '' } // kind_of($want, \%kinds);
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(900);
my @cases = $corpus->cases(api => 'openai-responses',
                           kind => ['json', 'sse', 'error']);
my @answers = decode(sub { 'responses' }, @cases);
my $exceptions = LLMux::Exceptions->new(@exceptions);
my $cuts = 0;

for my $i (0 .. $#answers) {
    my ($case, $got) = ($cases[$i], $answers[$i]);
    my $want = $corpus->expected($case);

    $exceptions->judge($case->{file}, $case, mode($case) eq 'error'
        ? error_differs($got, $want, kind($want))
        : answers_differ($case, $got, $want));
    $cuts += $got->{cuts} // 0;
}
ok(@exceptions <= @cases / 100, 'exceptions are few');
$exceptions->are_needed;
diag(sprintf '%d recordings decoded, streams cut in %d places; %d exceptions',
     scalar @answers, $cuts, scalar @exceptions);
done_testing;
