# 38-corpus-embeddings.t - recordings of embeddings: requests pass and are
# written as they were, answers give every client the same vectors.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Jobs;
use MIME::Base64;

# The dialect that each recording is in.
my %dialects = (
    'openai-embeddings' => sub { 'embeddings' },
    'gemini-embeddings' => sub {
        return $_[0]{provider} eq 'vertex' ? 'vertex-embed'
            : 'gemini-batch-embed';
    },
);

# The kinds of error answers by status; a model that nobody knows.
my %kinds = (400 => 'INVALID', 401 => 'AUTH', 404 => 'MODEL');

# What is wrong with recorded requests that were refused by their provider
# and are by us.
my %refused = ('openai-error-400-01' => 'dimensions');

# Signed bytes in base64, which the expectation takes for float32.
my $bytes = qr/^perplexity/;

my $model = 'the/model';

# ---- the program

my $corpus = corpus_or_skip();
alarm patience(120);
my @cases = map { { %$_, dialect => $dialects{ $_->{api} }->($_) } }
    $corpus->cases(api => [keys %dialects]);
my $program = tool('embeddings');
my $dir = temp_dir('embeddings');

sub name { return $_[0]{file} =~ s{.*/|(?:\.error)?\.json$}{}gr }

# ---- requests

# With our model in the place of each.
sub renamed
{
    my ($dialect, $body) = @_;
    my %body = %$body;

    if ($dialect eq 'embeddings') {
        $body{model} = $model;
    }
    else {
        $body{requests} = [map { { %$_, model => "models/$model" } }
            @{ $body{requests} }];
    }
    return \%body;
}

# What it means: null is absence, and numbers come unless base64 is wanted.
sub meaning
{
    my %body = %{ $_[0] };

    delete @body{grep { !defined $body{$_} } keys %body};
    delete $body{encoding_format}
        if ($body{encoding_format} // '') eq 'float';
    return to_json(\%body);
}

sub texts
{
    my ($body) = @_;

    return [map { $_->{content} } @{ $body->{instances} }]
        if $body->{instances};
    return [map { join '', map { $_->{text} } @{ $_->{content}{parts} } }
            @{ $body->{requests} }] if $body->{requests};
    return ref $body->{input} ? $body->{input} : [$body->{input}];
}

sub check_passed
{
    my ($case, $body, $got) = @_;
    my $name = name($case);

    if ($refused{$name}) {
        is $got->{param}, $refused{$name}, "$name is refused as it was";
        return;
    }
    is to_json($got->{passed}), to_json(renamed($case->{dialect}, $body)),
        "$name passes";
    is meaning($got->{written}), meaning(renamed($case->{dialect}, $body)),
        '... and is written as it was';
    is $got->{warnings}, undef, '... nothing is lost';
}

my @own = grep { $_->{dialect} ne 'vertex-embed' && $_->{request_file} }
    @cases;
my @bodies = map { from_json($corpus->request($_)) } @own;

sub request_job
{
    my ($i, $target) = @_;
    my $path = "$dir/request-$i.json";

    spew($path, $corpus->request($own[$i]));
    return ['request', @{ $own[$i] }{qw(dialect model)}, $target, $model,
            $path];
}

my @passed = $program->answers(
    map { request_job($_, $own[$_]{dialect}) } 0 .. $#own);
check_passed($own[$_], $bodies[$_], $passed[$_]) for 0 .. $#own;

# To everybody else: the same texts in the same order.
for my $target (qw(embeddings gemini-batch-embed vertex-embed)) {
    my @written = $program->answers(
        map { request_job($_, $target) } 0 .. $#own);
    for my $i (grep { !$refused{ name($own[$_]) } } 0 .. $#own) {
        is to_json(texts($written[$i]{written})), to_json(texts($bodies[$i])),
            name($own[$i]) . " for $target";
    }
}

# Vertex has no front door: what it was sent is what we would send.
my @vertex = grep { $_->{dialect} eq 'vertex-embed' } @cases;
my @instances = map { from_json($corpus->request($_)) } @vertex;
my @written = $program->answers(map {
    spew("$dir/vertex-$_.json",
        to_json({ model => 'm', input => texts($instances[$_]) }));
    ['request', 'embeddings', '-', 'vertex-embed', $model,
     "$dir/vertex-$_.json"]
} 0 .. $#vertex);
is to_json($written[$_]{written}{instances}),
    to_json($instances[$_]{instances}), name($vertex[$_]) . ' is what we send'
    for 0 .. $#vertex;

# ---- answers

# Vectors in the order of the inputs: arrays as they stand, base64 as bytes.
sub vectors_of
{
    my ($body) = @_;

    return map { $_->{embeddings}{values} } @{ $body->{predictions} }
        if $body->{predictions};
    return map { $_->{values} } @{ $body->{embeddings} }
        if $body->{embeddings};
    return $body->{embedding}{values} if $body->{embedding};
    return map { $_->{embedding} }
        sort { $a->{index} <=> $b->{index} } @{ $body->{data} };
}

# Each as bytes of float32.
sub packed
{
    return map { ref $_ ? pack('f<*', @$_) : decode_base64($_) } @_;
}

sub same_vectors
{
    my ($got, $want, $what) = @_;
    my @got = packed(vectors_of($got));

    is scalar @got, scalar @$want, "... $what: as many";
    is scalar(grep { $got[$_] ne $want->[$_] } 0 .. $#$want), 0,
        '... and the same';
}

# Vertex counts each input's tokens, which the expectation leaves out.
sub tokens_of
{
    my ($body, $want) = @_;

    return $want->{usage}{input} // $want->{usage}{total}
        if !$body->{predictions};
    return sum(map { $_->{embeddings}{statistics}{token_count} }
        @{ $body->{predictions} });
}

sub sum
{
    my $sum = 0;

    $sum += $_ for @_;
    return $sum;
}

sub check_answer
{
    my ($case, $got) = @_;
    my $body = from_json($corpus->bytes($case));
    my $want = $corpus->expected($case);
    my @vectors = name($case) =~ $bytes
        ? map { pack 'f<*', unpack 'c*', decode_base64($_) } vectors_of($body)
        : packed(vectors_of($body));
    my $tokens = tokens_of($body, $want);

    is $got->{error}, undef, name($case);
    is scalar @vectors, $want->{count}, '... has its vectors';
    same_vectors($got->{$_}, \@vectors, $_) for qw(floats packed batch);
    same_vectors($got->{one}, [$vectors[0]], 'one');
    is scalar(grep { ref } vectors_of($got->{packed})), 0,
        '... base64 for whom wants it';
    is scalar(grep { !ref } vectors_of($got->{floats})), 0,
        '... numbers for others';
    is $got->{floats}{model}, $want->{model} // '', '... of its model';
    is $got->{floats}{usage}{prompt_tokens}, $tokens // 0, '... counted';
    is $got->{batch}{usageMetadata}{promptTokenCount}, $tokens,
        "... in Google's way, too";
    heads($got->{floats}, $want) if name($case) !~ $bytes;
}

# What the expectation says of each vector: its size, and how it begins.
sub heads
{
    my ($got, $want) = @_;
    my @got = vectors_of($got);

    for my $i (0 .. $#got) {
        my $vector = $want->{vectors}[$i];
        is scalar @{ $got[$i] }, $vector->{dims}, "... vector $i: its size";
        is scalar(grep { far($got[$i][$_], $vector->{head}[$_]) } 0 .. 2), 0,
            '... its head';
    }
}

sub far
{
    my ($got, $want) = @_;
    return abs($got - $want) > 1e-6 + abs($want) * 1e-6;
}

my @answers = grep { $_->{kind} ne 'error' } @cases;
my @decoded = $program->answers(
    map { ['answer', $_->{dialect}, $_->{path}] } @answers);
check_answer($answers[$_], $decoded[$_]) for 0 .. $#answers;

# ---- errors

my @errors = grep { $_->{kind} eq 'error' } @cases;
my @read = $program->answers(map {
    my $error = $corpus->error($errors[$_]);
    spew("$dir/error-$_.json", $error->{body});
    ['error', $errors[$_]{dialect}, $error->{status}, "$dir/error-$_.json"]
} 0 .. $#errors);
for my $i (0 .. $#errors) {
    my $want = $corpus->expected($errors[$i]);
    is $read[$i]{kind}, $kinds{ $want->{http_status} }, name($errors[$i]);
    is $read[$i]{error}, $want->{error}{message}, '... in its words';
}
drop_dir($dir);
diag(sprintf '%d requests, %d answers, %d errors', scalar(@own) + @vertex,
     scalar @answers, scalar @errors);
done_testing;
