# 55-sdk-cross.t - every recorded answer, said in every client's dialect, whole
# and streamed, is what that vendor's own client for JavaScript takes, with
# equal text, reasoning, calls, end and usage.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;
use LLMux::Units;

# The dialect that each API is decoded with, and the clients who can be given
# what comes of it.
my @words = qw(openai responses anthropic gemini completions);
my @vectors = qw(embeddings gemini-batch-embed);
my @counts = qw(anthropic-count gemini-count responses-count);
my %apis = (
    'openai-chat' => [openai => @words],
    'openai-responses' => [responses => @words],
    'anthropic-messages' => [anthropic => @words],
    'bedrock-invoke-anthropic' => [anthropic => @words],
    'bedrock-converse' => [bedrock => @words],
    'gemini-generate' => [gemini => @words],
    'openai-completions' => [completions => @words],
    'openai-embeddings' => [embeddings => @vectors],
    'gemini-embeddings' => ['gemini-batch-embed' => @vectors],
    'anthropic-count-tokens' => ['anthropic-count' => @counts],
    'gemini-count-tokens' => ['gemini-count' => @counts],
    'openai-input-tokens' => ['responses-count' => @counts],
);

# What no decoder of ours reads: Anthropic's events within Amazon's.
my %unheard = map { $_ => 1 } ('bedrock-invoke-anthropic eventstream');

# Where a client sees something else than expected.jsonl says, and why that is
# right: file, client or '' for all of them, field, reason. One that has gone
# must go from here too.
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
    (map { +{ file => "gemini/vertex-embeddings-embeddings-$_.json",
        to => 'embeddings', field => 'usage',
        reason => 'Each vector has a count of its own, which we sum up and the'
            . ' expectation does not.' } } qw(01 batch-01)),
    { file => 'openai-compat/perplexity-embeddings-embeddings-base64-01.json',
      to => '', field => 'vector 0',
      reason => 'Its base64 is of one byte a number; the expectation takes'
          . ' four of them for one.' },
    { file => 'bedrock/bedrock-invoke-stop-sequence-01.json', to => '',
      field => 'client',
      reason => 'A text completion of Anthropic\'s, whose dialect is none of'
          . ' ours: what came is no message.' },
);

# ---- the programs

sub program
{
    my $program = build() . '/tools/cross';
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    is $status, 0, 'the program builds' or diag($out);
    return $program;
}

# How it was recorded; an array is what a stream is without events.
sub mode
{
    my ($case) = @_;
    return $case->{kind} eq 'error' ? 'error'
        : $case->{streaming} eq 'no' ? 'whole' : 'stream';
}

# The dialect that it is in; Vertex has one of its own for vectors.
sub dialect
{
    my ($case) = @_;

    return 'vertex-embed' if $case->{api} eq 'gemini-embeddings'
        && $case->{provider} eq 'vertex';
    return $apis{ $case->{api} }[0];
}

# How often it is taken: by each client in each of its forms.
sub takers
{
    my ($case) = @_;
    my (undef, @clients) = @{ $apis{ $case->{api} } };

    return @clients * ($clients[0] =~ /count/ ? 1 : 2);
}

# Says all of them in the clients' dialects.
sub say_all
{
    my ($dir, @cases) = @_;
    my $program = program();

    spew("$dir/jobs", join '', map {
        join("\t", mode($_), dialect($_), $_->{path}) . "\n"
    } @cases);
    my ($status, $out) = run(['/bin/sh', '-c',
        'exec "$0" "$@" <"$DIR/jobs" >"$DIR/answers"',
        $program, @words, @vectors, @counts], timeout => 300,
        env => { %{ LLMux::Units::sanitizers() }, DIR => $dir });
    is $status, 0, 'it said all of them' or diag($out);
    return;
}

# What is to be known of each recording, in the same order.
sub note_all
{
    my ($dir, $corpus, @cases) = @_;

    spew("$dir/cases", join '', map { to_json($_) . "\n" } map { {
        file => $_->{file}, from => dialect($_),
        error => $_->{kind} eq 'error' ? true : false,
        want => $corpus->expected($_),
    } } @cases);
    return;
}

# Has the clients look: one answer of one client each.
sub cells
{
    my ($corpus, @cases) = @_;
    my $dir = temp_dir('cross');

    say_all($dir, @cases);
    note_all($dir, $corpus, @cases);
    my ($status, $out) = run(['node', tree() . '/t/sdk/cross.mjs',
        "$dir/cases", "$dir/answers"], timeout => patience(200));
    is $status, 0, 'the clients end by themselves';
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

sdk_needs('openai', '@anthropic-ai/sdk', 'anthropic-before', '@google/genai');
my $corpus = corpus_or_skip();
alarm patience(600);
my @cases = grep { !$unheard{"$_->{api} $_->{streaming}"} }
    $corpus->cases(api => [sort keys %apis]);
my @cells = cells($corpus, @cases);
my ($due, $excepted, %by) = (0, 0);

$due += takers($_) for @cases;
is scalar @cells, $due, 'every client took every answer';
for my $cell (@cells) {
    my @wrong = grep { !is_excused($cell, $_->[0]) } @{ $cell->{wrong} };

    $by{ $cell->{to} }++;
    $excepted++ if @{ $cell->{wrong} } && !@wrong;
    ok(!@wrong, "$cell->{file} for $cell->{to}, $cell->{form}")
        or diag(join "\n", map { show($_) } @wrong);
}
cmp_ok $excepted, '<', @cells / 100, 'exceptions are under one in a hundred';
is join("\n", grep { !$excused{$_} } sort keys %excused), '',
    'every exception is still needed';
diag(scalar(@cases) . ' recordings, ' . scalar(@cells) . ' answers taken: '
     . join(', ', map { "$by{$_} by $_" } sort keys %by)
     . "; $excepted of them otherwise than expected");
done_testing;
