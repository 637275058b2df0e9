# 90-corpora.t - every fuzz target takes its whole corpus: whatever broke one
# of them once cannot come back.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

my @targets = map { m{([^/]+)\.c$} } grep { slurp($_) =~ /LLVMFuzzerTestOneInput/ }
    glob tree() . '/fuzz/*.c';
my @corpora = map { m{([^/]+)$} } grep { -d } glob tree() . '/fuzz/corpus/*';
# One replays the others; one is there to break: tools/fuzz.sh.
my %other = (replay => undef, planted => 'json');
my @make = ($ENV{MAKE} || 'make', '-s', '-k',
            ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()));

ok(@targets > 3, 'there are targets');
for my $name (grep { !exists $other{$_} || $other{$_} } @targets) {
    my $corpus = tree() . '/fuzz/corpus/' . ($other{$name} // $name);
    my $program = build() . "/fuzz/$name";
    my @files = grep { -f } glob "$corpus/* $corpus/*/*";

    subtest $name => sub {
        my ($status, $out) = run([@make,
            ($program =~ s{^\Q@{[ tree() ]}\E/}{}r)], dir => tree(),
            timeout => 600, env => { MAKEFLAGS => undef });
        is($status, 0, 'it builds') or return diag($out);
        ok(@files > 0, 'there is a corpus: ' . @files . ' files') or return;
        ($status, $out) = run([$program, $corpus], timeout => 200,
                              env => LLMux::Units::sanitizers());
        is($status, 0, 'it takes all of it') or return diag($out);
        like($out, qr/^@{[ scalar @files ]} inputs replayed$/m,
             'and left none out');
        unlike($out, qr/Sanitizer|runtime error:/, 'without a complaint')
            or diag($out);
    };
}
my %known = map { $_ => 1 } @targets;
is(join(' ', grep { !$known{$_} } @corpora), '', 'no corpus without a target');
for my $name (grep { !exists $other{$_} } @targets) {
    my ($covers) = slurp(tree() . "/fuzz/$name.c") =~ m{covers:(.*?)\*/}s;
    my @sources = grep { $_ ne '*' } split ' ', $covers // '';
    ok(@sources > 0, "$name names the sources it is for");
    is(join(' ', grep { !-f tree() . "/$_" } @sources), '', 'which are there');
}
done_testing;
