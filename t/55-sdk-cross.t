# 55-sdk-cross.t - every recorded answer, said in every client's dialect, whole
# and streamed, is what that vendor's own client for JavaScript takes, with
# equal text, reasoning, calls, end and usage.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Retold;
use LLMux::SDK;

# The dialect that each API is decoded with, and the clients who can be given
# what comes of it.
my @words = qw(openai responses anthropic gemini completions);
my @vectors = qw(embeddings gemini-batch-embed);
my @counts = qw(anthropic-count gemini-count responses-count);
my %apis = (
    (map { $_ => [$decoders{$_} => @words] } keys %decoders),
    'openai-embeddings' => [embeddings => @vectors],
    'gemini-embeddings' => ['gemini-batch-embed' => @vectors],
    'anthropic-count-tokens' => ['anthropic-count' => @counts],
    'gemini-count-tokens' => ['gemini-count' => @counts],
    'openai-input-tokens' => ['responses-count' => @counts],
);

# Where one sees something else than expected.jsonl says, beside those of
# Retold.pm.
my @exceptions = (
    (map { +{ file => "gemini/vertex-embeddings-embeddings-$_.json",
        to => 'embeddings', field => 'usage',
        reason => 'Each vector has a count of its own, which we sum up and the'
            . ' expectation does not.' } } qw(01 batch-01)),
    (map { +{ file => "openai-compat/mistral-chat-$_.json", field => 'usage',
        reason => 'What was cached stands in num_cached_tokens, which we read'
            . ' and the expectation does not.' } } qw(tool-call-04 vision-03)),
    { file => 'openai-compat/perplexity-embeddings-embeddings-base64-01.json',
      field => 'vector 0',
      reason => 'Its base64 is of one byte a number; the expectation takes'
          . ' four of them for one.' },
);

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

# ---- all of it

sdk_needs('openai', '@anthropic-ai/sdk', 'anthropic-before', '@google/genai');
my $corpus = corpus_or_skip();
alarm patience(600);
my @cases = heard($corpus->cases(api => [sort keys %apis]));
my @cells = retell(corpus => $corpus, cases => \@cases,
    dialect_of => \&dialect, clients => [@words, @vectors, @counts],
    script => ['cross.mjs']);
my ($due, %by) = (0);

$due += takers($_) for @cases;
is scalar @cells, $due, 'every client took every answer';
my $excepted = judge_cells(\@cells, @exceptions);
$by{ $_->{to} }++ for @cells;
diag(scalar(@cases) . ' recordings, ' . scalar(@cells) . ' answers taken: '
     . join(', ', map { "$by{$_} by $_" } sort keys %by)
     . "; $excepted of them otherwise than expected");
done_testing;
