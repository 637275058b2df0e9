# 58-sdk-ai-recorded.t - every recorded answer, said in every client's dialect,
# whole and streamed, is what the packages of Vercel's AI SDK take, with equal
# text, reasoning, calls, end and usage.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;
use LLMux::Units;

my @packages = qw(ai @ai-sdk/openai @ai-sdk/anthropic @ai-sdk/google
    @ai-sdk/openai-compatible);

# The dialect that each API's answers are decoded with.
my %dialects = (
    'openai-chat' => 'openai',
    'openai-responses' => 'responses',
    'anthropic-messages' => 'anthropic',
    'bedrock-invoke-anthropic' => 'anthropic',
    'bedrock-converse' => 'bedrock',
    'gemini-generate' => 'gemini',
    'openai-completions' => 'completions',
);

# What no decoder of ours reads: Anthropic's events within Amazon's.
my %unheard = map { $_ => 1 } ('bedrock-invoke-anthropic eventstream');

# Where a package makes something else of an answer than expected.jsonl says,
# and why that is right: recording and package, '' for all of them, field,
# reason. One that has gone must go from here too.
my @exceptions = (
    { file => 'openai-compat/snowflake-chat-tool-call-01.json', to => '',
      field => 'reasoning',
      reason => 'Its text stands in reasoning_details alone, which we read'
          . ' and the expectation does not.' },
    { file => 'openai-responses/openai-client-builtin-tool-03.sse', to => '',
      field => 'text',
      reason => 'The recording was shortened: its pieces say less than the'
          . ' whole text, and something else.' },
    { file => 'bedrock/bedrock-converse-tool-result-01.json', to => '',
      field => 'text',
      reason => 'All of its text has sources and stands beside them, where the'
          . ' expectation does not look.' },
    { file => 'bedrock/bedrock-invoke-stop-sequence-01.json', to => '',
      field => 'client',
      reason => 'A text completion of Anthropic\'s, whose dialect is none of'
          . ' ours: what came is no message.' },
    (map { +{ file => 'openai-responses/openai-custom-tool-01.sse', to => $_,
        field => 'client',
        reason => 'A custom tool, which these packages cannot offer, and then'
            . ' nobody calls it; here nobody says what was offered.' } }
        '@ai-sdk/openai, chat', '@ai-sdk/openai-compatible'),
);

sub mode
{
    my ($case) = @_;
    return $case->{kind} eq 'error' ? 'error'
        : $case->{streaming} eq 'no' ? 'whole' : 'stream';
}

# ---- the programs

# Says all of them in the packages' dialects.
sub say_all
{
    my ($dir, @cases) = @_;
    my $program = build() . '/tools/cross';
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    is $status, 0, 'the program builds' or diag($out);
    spew("$dir/jobs", join '', map {
        join("\t", mode($_), $dialects{ $_->{api} }, $_->{path}) . "\n"
    } @cases);
    ($status, $out) = run(['/bin/sh', '-c',
        'exec "$0" "$@" <"$DIR/jobs" >"$DIR/answers"', $program,
        qw(openai responses anthropic gemini)], timeout => 300,
        env => { %{ LLMux::Units::sanitizers() }, DIR => $dir });
    is $status, 0, 'it said all of them' or diag($out);
    return;
}

# Has the packages look: one answer of one package each.
sub cells
{
    my ($corpus, @cases) = @_;
    my $dir = temp_dir('ai-recorded');

    say_all($dir, @cases);
    spew("$dir/cases", join '', map { to_json($_) . "\n" } map { {
        file => $_->{file}, from => $dialects{ $_->{api} },
        error => $_->{kind} eq 'error' ? true : false,
    } } @cases);
    my ($status, $out) = run(['node', tree() . '/t/sdk/ai-recorded.mjs',
        "$corpus->{dir}/expected.jsonl", "$dir/cases", "$dir/answers"],
        timeout => patience(200));
    is $status, 0, 'the packages end by themselves';
    drop_dir($dir);
    return map { taken($_) } split /\n/, $out;
}

sub taken
{
    my ($line) = @_;

    return from_json($line) if $line =~ /^\{/;
    diag($line);
    return;
}

# ---- comparing

my %excused = map { ("$_->{file} $_->{to} $_->{field}" => 0) } @exceptions;

sub is_excused
{
    my ($cell, $field) = @_;
    my ($known) = grep { exists $excused{$_} }
        map { "$cell->{file} $_ $field" } $cell->{to}, '';

    return $known && ++$excused{$known};
}

sub show
{
    my ($difference) = @_;
    my ($field, $got, $want) = @$difference;
    my ($g, $w) = map { substr to_json($_), 0, 600 } $got, $want;

    return "$field\n   got: $g\n  want: $w";
}

# ---- all of it

sdk_needs(@packages);
my $corpus = corpus_or_skip();
alarm patience(600);
my @cases = grep { !$unheard{"$_->{api} $_->{streaming}"} }
    $corpus->cases(api => [sort keys %dialects]);
my @cells = cells($corpus, @cases);
my ($excepted, %files) = (0);

$files{ $_->{file} }++ for @cells;
cmp_ok scalar(keys %files), '>=', @cases * 0.98, 'nearly all were taken';
is_deeply [grep { $files{$_} != 10 } sort keys %files], [],
    '... whole and streamed by every package';
for my $cell (@cells) {
    my @wrong = grep { !is_excused($cell, $_->[0]) } @{ $cell->{wrong} };

    $excepted++ if @{ $cell->{wrong} } && !@wrong;
    ok(!@wrong, "$cell->{file} for $cell->{to}, $cell->{form}")
        or diag(join "\n", map { show($_) } @wrong);
}
cmp_ok $excepted, '<', @cells / 100, 'exceptions are under one in a hundred';
is join("\n", grep { !$excused{$_} } sort keys %excused), '',
    'every exception is still needed';
diag(scalar(@cases) . ' recordings, ' . scalar(@cells) . " answers taken; "
     . "$excepted of them otherwise than expected");
done_testing;
