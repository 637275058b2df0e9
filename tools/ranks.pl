#!/usr/bin/perl
# ranks.pl - makes data/*.bpe anew from the ranks that the npm package
# js-tiktoken brings along. data/README.md says what the files hold.
#
#   npm ci --prefix t/sdk
#   tools/ranks.pl t/sdk/node_modules/js-tiktoken/dist/ranks data
use strict;
use warnings;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);

my @encodings = qw(cl100k_base o200k_base);
my $version = 1;
my $per_bucket = 3;     # tokens, about: one cache line of them

# All tokens in the order of their ranks.
sub ranks_of
{
    my ($file) = @_;
    my @tokens;

    open my $in, '<:raw', $file or die "$file: $!\n";
    my $text = do { local $/; <$in> };
    my ($json) = $text =~ /^export default (\{.*\});?\s*$/s
        or die "$file: not a module with ranks\n";
    for my $line (split /\n/, JSON::PP::decode_json($json)->{bpe_ranks}) {
        # "!", the first one's rank, and tokens of rising ranks.
        my (undef, $rank, @run) = split / /, $line;
        $tokens[$rank++] = decode_base64($_) for @run;
    }
    die "$file: a rank is missing\n" if grep { !defined } @tokens;
    return \@tokens;
}

# FNV-1a, 32 bits: as hash() in src/tokens/bpe.c has it.
sub hash_of
{
    my $hash = 0x811c9dc5;

    $hash = (($hash ^ $_) * 0x01000193) & 0xffffffff for unpack 'C*', $_[0];
    return $hash;
}

sub packed
{
    my ($name, $tokens) = @_;
    my ($buckets, $longest) = (1, 0);
    my @in;

    $buckets *= 2 while $buckets * $per_bucket < @$tokens;
    for my $rank (0 .. $#$tokens) {
        my $token = $tokens->[$rank];
        $in[hash_of($token) & ($buckets - 1)]
            .= pack 'Va*', $rank << 8 | length $token, $token;
        $longest = length $token if length $token > $longest;
    }
    die "$name: a token is too long\n" if $longest > 255;
    my @offsets = (0);
    push @offsets, $offsets[-1] + length($_ // '') for @in[0 .. $buckets - 1];
    return pack('a8 V V V V V a16', 'LLMUXBPE', $version, scalar @$tokens,
                $buckets, $longest, $offsets[-1], $name)
        . pack('V*', @offsets) . join '', map { $_ // '' } @in;
}

my ($from, $to) = @ARGV;
die "usage: tools/ranks.pl FOLDER_OF_RANKS FOLDER_TO_WRITE_TO\n" if @ARGV != 2;
for my $name (@encodings) {
    my $bytes = packed($name, ranks_of("$from/$name.js"));

    open my $out, '>:raw', "$to/$name.bpe" or die "$to/$name.bpe: $!\n";
    print $out $bytes;
    close $out or die "$to/$name.bpe: $!\n";
    printf "%s/%s.bpe: %d bytes\n", $to, $name, length $bytes;
}
