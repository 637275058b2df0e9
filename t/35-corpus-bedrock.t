# 35-corpus-bedrock.t - recordings of Bedrock's Converse and ConverseStream are
# decoded to what they are known to say, wherever a stream is cut; and a stream
# that was damaged or broken off is never taken for a good one.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Decoded;
use LLMux::Exceptions;
use LLMux::Jobs;

# Where we and expected.jsonl differ, and why that is right: file, field,
# reason. One that has gone must go from here too.
my @exceptions = (
    { file => 'bedrock/bedrock-converse-tool-result-01.json', field => 'text',
      reason => 'Its text stands in citationsContent, which the expectation'
          . ' does not read.' },
);

my %finishes = (end_turn => 'stop', tool_use => 'calls',
                max_tokens => 'length', stop_sequence => 'sequence',
                guardrail_intervened => 'filter',
                content_filtered => 'filter');

# The kind of an error answer: by its words if they are listed, else by status.
my @words = (
    [qr/model identifier is invalid/ => 'MODEL'],
    [qr/security token/ => 'AUTH'],
);
my %kinds = (400 => 'INVALID', 403 => 'PERMISSION', 429 => 'RATE_LIMIT');

# ---- comparing

sub answers_differ
{
    my ($case, $got, $want) = @_;
    my ($first, @more) = @{ $got->{choices} };
    my $marks = () = slurp($case->{path})
        =~ /"(?:signature|redactedContent)"/g;

    return (
        differ('fault', $got->{fault}, undef),
        differ('error', $got->{error}, undef),
        differ('number of choices', 1 + @more, 1),
        (map { differ($_, $first->{$_}, $want->{$_}) } qw(text reasoning)),
        differ('finish_reason', $first->{reason}, $want->{finish_reason}),
        differ('finish', $first->{finish},
               $finishes{ $want->{finish_reason} } // 'not in the table'),
        differ('signatures', $first->{tokens}, $marks),
        calls_differ($first->{tool_calls}, $want->{tool_calls}),
        counters_differ($got->{usage}, $want->{usage}),
        cuts_differ($case, $got));
}

# Our counters share nothing, as theirs do not.
sub counters_differ
{
    my ($got, $want) = @_;
    my %ours = (input => $got->{input}, output => $got->{output},
                cached => $got->{cache_read},
                cache_write => $got->{cache_write});

    return map { differ("usage $_", $ours{$_}, $want->{$_}) }
        sort keys %ours;
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(1500);
my @cases = grep { $_->{api} eq 'bedrock-converse'
                   || ($_->{api} =~ /^bedrock-count/ && $_->{kind} eq 'error') }
    $corpus->cases(dialect => 'bedrock');
my @streams = grep { mode($_) eq 'stream' } @cases;
my @answers = decode(sub { 'bedrock' }, @cases);
my @damaged = tool('bedrock')->answers(map { [$_->{path}] } @streams);
my $exceptions = LLMux::Exceptions->new(@exceptions);
my ($flips, $endings) = (0, 0);

ok(@streams > 10, 'there are streams');
for my $i (0 .. $#answers) {
    my ($case, $got) = ($cases[$i], $answers[$i]);
    my $want = $corpus->expected($case);

    $exceptions->judge($case->{file}, $case, mode($case) eq 'error'
        ? error_differs($got, $want, kind_of($want, \%kinds, @words))
        : answers_differ($case, $got, $want));
}
for my $i (0 .. $#damaged) {
    my $got = $damaged[$i];

    $flips += $got->{flips};
    $endings += $got->{endings};
    ok($got->{flips} == -s $streams[$i]{path} && !$got->{believed}
       && !$got->{ended_well}, "$streams[$i]{file}, damaged")
        or diag(to_json($got));
}
$exceptions->are_needed;
diag(sprintf '%d recordings decoded, %d of them streams; %d bytes changed, '
     . '%d streams damaged or cut off', scalar @answers, scalar @streams,
     $flips, $endings);
done_testing;
