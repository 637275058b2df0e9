# 00-layers.t - every file knows its place: see LLMux::Layers for the rules.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Layers;

my $tree = LLMux::Layers::read_tree(tree());

ok(%{ $tree->{ranks} } > 0, 'the Makefile has RANKS');
ok(@{ $tree->{product} } > 10 && (grep { m{^src/.*\.c$} } @{ $tree->{product} }),
   'there are sources to look at')
    or diag('found: ' . @{ $tree->{product} });

for my $rule (LLMux::Layers::rules()) {
    my ($name, $code) = @$rule;
    my @wrong = $code->($tree);
    ok(!@wrong, $name) or diag(join "\n", @wrong);
}
done_testing;
