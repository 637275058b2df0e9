# 35-corpus-bedrock.t - recordings of Bedrock's Converse and ConverseStream are
# decoded to what they are known to say, wherever a stream is cut; and a stream
# that was damaged or broken off is never taken for a good one.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

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

# Streams are cut at every byte, at several a time that are so far apart.
my $apart = $ENV{LLMUX_ASAN} ? 512 : 2048;

# ---- what came out

# Builds a program of t/tools. Returns it, or nothing.
sub tool
{
    my ($name) = @_;
    my $program = build() . "/tools/$name";
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    return $program if ok($status eq '0', "the program $name builds");
    diag($out);
    return;
}

# One answer for each line, in order; fewer if the program fell.
sub ask
{
    my ($program, @lines) = @_;
    my $dir = temp_dir('bedrock');

    spew("$dir/jobs", join '', map { "$_\n" } @lines);
    my ($status, $out) = run(['/bin/sh', '-c', 'exec "$1" "$2" <"$3"', 'sh',
        $program, $apart, "$dir/jobs"], timeout => 900,
        env => LLMux::Units::sanitizers());
    my @answers = split /\n/, $out;

    is $status, 0, 'it did all of its work'
        or diag(join "\n", grep { !/^\{/ } @answers);
    drop_dir($dir);
    return map { eval { from_json($_) } } @answers;
}

sub mode
{
    my ($case) = @_;
    return $case->{kind} eq 'error' ? 'error'
        : $case->{streaming} eq 'no' ? 'whole' : 'stream';
}

# ---- comparing

# Values that differ, as [field, got, want]. undef and '' say the same.
sub differ
{
    my ($field, $got, $want) = @_;
    my ($g, $w) = map { !defined $_ ? '' : ref $_ ? to_json($_) : "$_" }
        $got, $want;

    return $g eq $w ? () : [$field, $g, $w];
}

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
        usage_differs($got->{usage}, $want->{usage}),
        mode($case) ne 'stream' ? () : (
            differ('cut', $got->{differs}, undef),
            differ('number of cuts', $got->{cuts}, -s $case->{path})));
}

sub calls_differ
{
    my ($got, $want) = @_;
    my @all = differ('number of calls', scalar @$got, scalar @$want);

    return @all if @all;
    return map {
        my ($g, $w) = ($got->[$_], $want->[$_]);
        my $text = ($g->{arguments} // '') =~ /\S/ ? $g->{arguments} : '{}';

        utf8::encode($text);
        differ("call $_ name", $g->{name}, $w->{name}),
        differ("call $_ id", $g->{id}, $w->{id}),
        differ("call $_ arguments", eval { from_json($text) },
               $w->{arguments});
    } 0 .. $#$want;
}

# Our counters share nothing, as theirs do not.
sub usage_differs
{
    my ($got, $want) = @_;
    my %ours = (input => $got->{input}, output => $got->{output},
                cached => $got->{cache_read},
                cache_write => $got->{cache_write});

    return map { differ("usage $_", $ours{$_}, $want->{$_}) }
        sort keys %ours;
}

sub errors_differ
{
    my ($got, $want) = @_;
    my ($g, $w) = ($got->{error}, $want->{error});
    my @by_words = map { $_->[1] } grep { $w->{message} =~ $_->[0] } @words;

    return (
        differ('kind', $g->{kind},
               (@by_words, $kinds{ $want->{http_status} }, 'not listed')[0]),
        differ('message', $g->{message}, $w->{message}));
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(1500);
my @cases = grep { $_->{api} eq 'bedrock-converse'
                   || ($_->{api} =~ /^bedrock-count/ && $_->{kind} eq 'error') }
    $corpus->cases(dialect => 'bedrock');
my @streams = grep { mode($_) eq 'stream' } @cases;
my ($decode, $damage) = map { tool($_) } qw(decode bedrock);
my @answers = $decode
    ? ask($decode, map { join "\t", 'bedrock', mode($_), $_->{path} } @cases)
    : ();
my @damaged = $damage ? ask($damage, map { $_->{path} } @streams) : ();
my %excused = map { ("$_->{file} $_->{field}" => $_) } @exceptions;
my ($flips, $endings) = (0, 0);

ok(@streams > 10, 'there are streams');
is scalar @answers, scalar @cases, 'every recording was decoded';
for my $i (0 .. $#answers) {
    my ($case, $got) = ($cases[$i], $answers[$i]);
    my $want = $corpus->expected($case);
    my @wrong = mode($case) eq 'error' ? errors_differ($got, $want)
        : answers_differ($case, $got, $want);

    @wrong = grep { !delete $excused{"$case->{file} $_->[0]"} } @wrong;
    ok(!@wrong, $case->{file})
        or diag(join "\n", map { "$_->[0]\n   got: $_->[1]\n  want: $_->[2]" }
                @wrong);
}
is scalar @damaged, scalar @streams, 'every stream was damaged';
for my $i (0 .. $#damaged) {
    my $got = $damaged[$i];

    $flips += $got->{flips};
    $endings += $got->{endings};
    ok($got->{flips} == -s $streams[$i]{path} && !$got->{believed}
       && !$got->{ended_well}, "$streams[$i]{file}, damaged")
        or diag(to_json($got));
}
ok(!%excused, 'every exception is still needed')
    or diag(join "\n", map { "$_->{file}: $_->{field}" } values %excused);
diag(sprintf '%d recordings decoded, %d of them streams; %d bytes changed, '
     . '%d streams damaged or cut off', scalar @answers, scalar @streams,
     $flips, $endings);
done_testing;
