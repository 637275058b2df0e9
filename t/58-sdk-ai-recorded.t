# 58-sdk-ai-recorded.t - every recorded answer, said in every client's dialect,
# whole and streamed, is what the packages of Vercel's AI SDK take, with equal
# text, reasoning, calls, end and usage.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Retold;
use LLMux::SDK;

my @packages = qw(ai @ai-sdk/openai @ai-sdk/anthropic @ai-sdk/google
    @ai-sdk/openai-compatible);

# Where a package makes something else of an answer than expected.jsonl says,
# beside what is in Retold.pm.
my @exceptions = map { {
    file => 'openai-responses/openai-custom-tool-01.sse', to => $_,
    field => 'client',
    reason => 'A custom tool, which these packages cannot offer, and then'
        . ' nobody calls it; here nobody says what was offered.',
} } '@ai-sdk/openai, chat', '@ai-sdk/openai-compatible';

sdk_needs(@packages);
my $corpus = corpus_or_skip();
alarm patience(600);
my @cases = heard($corpus->cases(api => [sort keys %decoders]));
my @cells = retell(corpus => $corpus, cases => \@cases,
    dialect_of => sub { $decoders{ $_[0]{api} } },
    clients => [qw(openai responses anthropic gemini)],
    script => ['ai-recorded.mjs']);
my %files;

$files{ $_->{file} }++ for @cells;
cmp_ok scalar(keys %files), '>=', @cases * 0.98, 'nearly all were taken';
is_deeply [grep { $files{$_} != 10 } sort keys %files], [],
    '... whole and streamed by every package';
my $excepted = judge_cells(\@cells, @exceptions);
diag(scalar(@cases) . ' recordings, ' . scalar(@cells) . " answers taken; "
     . "$excepted of them otherwise than expected");
done_testing;
