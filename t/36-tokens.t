# 36-tokens.t - tokens are counted as OpenAI counts them: the ranks are its
# own, other people's counter makes the same of thousands of texts, and so did
# the API of recorded requests. What is not sure to be so is called an estimate.
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use MIME::Base64 qw(encode_base64);
use LLMux::Test;
use LLMux::SDK;
use LLMux::Units;

my $data = tree() . '/data';
my $package = tree() . '/t/sdk/node_modules/js-tiktoken';

# What OpenAI's tiktoken demands of its files: "base64 of the token, space,
# rank" in each line.
my %sums = (
    cl100k_base =>
        '223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7',
    o200k_base =>
        '446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d',
);

# Builds the program that counts. Returns it, or nothing.
sub counter
{
    my $program = build() . '/tools/tokens';
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600, env => { MAKEFLAGS => undef });

    return $program if ok($status eq '0', 'the counting program builds');
    diag($out);
    return;
}

# One answer for each order.
sub count
{
    my ($program, $ranks, @orders) = @_;
    my $dir = temp_dir('tokens');

    spew("$dir/orders", join '', map { "$_\n" } @orders);
    my ($status, $out) = run(['/bin/sh', '-c', 'exec "$1" "$2" <"$3"', 'sh',
        $program, $ranks, "$dir/orders"], timeout => 300,
        env => LLMux::Units::sanitizers());
    my @answers = split /\n/, $out;

    is($status, 0, 'it did all of its work') or diag($out);
    is(scalar @answers, scalar @orders, 'an answer for each');
    drop_dir($dir);
    return @answers;
}

# The ranks of a file of ours as tiktoken has them.
sub as_tiktoken
{
    my ($bytes) = @_;
    my (undef, undef, undef, $buckets) = unpack 'a8 V V V', $bytes;
    my $at = 44 + 4 * ($buckets + 1);
    my @tokens;

    while ($at < length $bytes) {
        my $word = unpack "\@$at V", $bytes;
        $tokens[$word >> 8] = substr $bytes, $at + 4, $word & 255;
        $at += 4 + ($word & 255);
    }
    return join '', map { encode_base64($tokens[$_] // '', '') . " $_\n" }
        0 .. $#tokens;
}

for my $name (sort keys %sums) {
    is(sha256_hex(as_tiktoken(slurp("$data/$name.bpe"))), $sums{$name},
       "$name.bpe has OpenAI's ranks, all of them and no other");
}

my $program = counter();
if (!$program) {
    done_testing;
    exit;
}

# ---- the package

sub same_files
{
    my $dir = temp_dir('ranks');
    my ($status, $out) = run([tree() . '/tools/ranks.pl',
                              "$package/dist/ranks", $dir], timeout => 120);

    is($status, 0, 'the files are made anew') or diag($out);
    for my $name (sort keys %sums) {
        ok(slurp("$dir/$name.bpe") eq slurp("$data/$name.bpe"),
           "and $name.bpe is the same");
    }
    drop_dir($dir);
    return;
}

sub same_counts
{
    my ($status, $out) = run(['node', tree() . '/t/sdk/tokens.mjs'],
                             timeout => 200);
    my @cases = map { [split /\t/, $_, 3] } split /\n/, $out;

    is($status, 0, 'js-tiktoken counts') or return diag($out);
    ok(@cases > 4000, 'thousands of texts: ' . @cases);
    my @got = count($program, $data, map { "text\t$_->[0]\t$_->[2]" } @cases);
    my @wrong = grep { $got[$_] ne "$cases[$_][1] exact" } 0 .. $#cases;
    ok(!@wrong, 'we count the same')
        or diag(join "\n", map { "@{ $cases[$_] }: $got[$_]" } @wrong[0 .. 9]);
    return;
}

subtest 'js-tiktoken' => sub {
    my ($status) = run(['node', '--version']);

    if ($status ne '0' || !-d $package) {
        my $why = 'js-tiktoken is not installed; npm ci --prefix t/sdk';
        return fail($why) if $ENV{LLMUX_REQUIRE};
        plan(skip_all => $why);
    }
    sdk_pinned('js-tiktoken');
    same_files();
    same_counts();
};

# ---- recordings

# Requests to OpenAI's models whose answers say how many tokens they had.
sub recorded
{
    my ($corpus) = @_;
    my @cases;

    for my $case ($corpus->cases(dialect => [qw(openai-chat azure
                                                openai-completions)],
                                 status => '200')) {
        my $request = eval { from_json($corpus->request($case)) } or next;
        my $expected = $corpus->expected($case);
        my $usage = $expected->{usage} || {};
        my $model = $request->{model} || $expected->{model} or next;
        my $dialect = $request->{messages} ? 'openai'
            : defined $request->{prompt} ? 'completions' : next;

        push @cases, { file => $case->{file}, want => $usage->{input_total},
                       order => join("\t", 'chat', $dialect, $model,
                           LLMux::Corpus::dir() . "/$case->{request_file}") }
            if $usage->{input_total};
    }
    return @cases;
}

subtest 'recorded usage' => sub {
    my ($corpus, $why) = LLMux::Corpus->find;

    if (!$corpus) {
        return fail($why) if $ENV{LLMUX_CORPUS};
        plan(skip_all => $why);
    }
    my @cases = recorded($corpus);
    my @got = count($program, $data, map { $_->{order} } @cases);
    my @sure = grep { $got[$_] =~ /exact/ } 0 .. $#cases;
    my @wrong = grep { $got[$_] ne "$cases[$_]{want} exact" } @sure;
    my @refused = grep { $got[$_] !~ /^\d+ / } 0 .. $#cases;

    cmp_ok(scalar @sure, '>', @cases / 3,
           @sure . ' of ' . @cases . ' are counted exactly');
    ok(!@wrong, 'to what the API counted')
        or diag(join "\n", map { "$cases[$_]{file}: $cases[$_]{want}, not "
                                 . $got[$_] } @wrong);
    ok(!@refused, 'and none is left out')
        or diag(join "\n", map { "$cases[$_]{file}: $got[$_]" } @refused);

    my @rough = count($program, '-', map { $_->{order} } @cases);
    is(scalar(grep { /exact/ } @rough), 0, 'without ranks, all are estimates');
    my @far = grep { $rough[$_] !~ /^(\d+)/ || $1 < $cases[$_]{want} * 0.6 - 3
                     || $1 > $cases[$_]{want} * 1.6 + 3 } @sure;
    cmp_ok(scalar @far, '<', @sure / 10, 'which are not far off')
        or diag(join "\n", map { "$cases[$_]{file}: $cases[$_]{want}, not "
                                 . $rough[$_] } @far);
};
done_testing;
