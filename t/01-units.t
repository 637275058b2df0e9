# 01-units.t - builds and runs every program of t/unit; each is a subtest.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

# Units that read recordings find them as the tests do.
my ($corpus) = LLMux::Corpus->find;
$ENV{LLMUX_CORPUS} = LLMux::Corpus::dir() if $corpus;

# A first build takes its time.
alarm patience(1200);

my @names = map { m{([^/]+)\.c$} } glob tree() . '/t/unit/*.c';
my @make = ($ENV{MAKE} || 'make', '-s', '-k',
            ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()));

ok(@names > 0, 'there are unit tests');
for my $name (@names) {
    my $program = build() . "/unit/$name";
    my ($status, $out) = run([@make, ($program =~ s{^\Q@{[ tree() ]}\E/}{}r)],
                             dir => tree(), timeout => 600);

    subtest $name => sub {
        if ($status ne '0' || !-x $program) {
            fail("$name builds");
            diag($out);
            return;
        }
        my $result = LLMux::Units::run_unit($program);
        for my $test (@{ $result->{tests} }) {
            my ($good, $what, $comments) = @$test;
            # Test::More does not like numbers for names.
            $what = "'$what'" if $what =~ /^[\d\s]+$/;
            ok($good, $what) or diag(join "\n", @$comments);
        }
        ok(!@{ $result->{problems} }, "$name came to its end")
            or diag(join "\n", @{ $result->{problems} });
    };
}
done_testing;
