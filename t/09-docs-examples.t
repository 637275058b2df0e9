# 09-docs-examples.t - every configuration that the papers show loads as it
# stands. Those of docs/directives.md are examples of one directive each, and
# have their turn in 03-docs.t.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $dir = temp_dir('examples');
my @papers = ('README.md',
              grep { $_ ne 'docs/directives.md' }
              map { s{^\Q@{[ tree() ]}\E/}{}r } glob tree() . '/docs/*.md');
my %blocks = map { $_ => [blocks(slurp(tree() . "/$_"))] } @papers;

# What stands between ```apache and ```.
sub blocks
{
    my ($text) = @_;
    return $text =~ /^```apache\n(.*?)^```$/msg;
}

# Something for each variable that a configuration names.
sub variables
{
    my ($conf) = @_;
    return map { $_ => /SEAL/ ? 'ab' x 32 : 'value-of-' . lc }
        $conf =~ /\benv:(\w+)/g;
}

# A file as Google gives it, with a key of this test's own.
sub service_account
{
    my ($status, $out) = run([qw(openssl genpkey -algorithm RSA -pkeyopt
        rsa_keygen_bits:2048 -out), "$dir/key.pem"]);

    die "openssl: $out\n" if $status ne '0';
    spew("$dir/vertex.json", to_json({ type => 'service_account',
        project_id => 'my-project-123', private_key_id => 'k1',
        private_key => slurp("$dir/key.pem"),
        client_email => 'gateway@my-project-123.iam.gserviceaccount.com',
        token_uri => 'https://oauth2.googleapis.com/token' }));
}

service_account();
spew("$dir/anthropic.key", "sk-ant\n");
ok(@{ $blocks{'README.md'} } && @{ $blocks{'docs/dialects.md'} // [] },
   'there are examples');

for my $paper (sort @papers) {
    my $n = 0;

    for my $conf (@{ $blocks{$paper} }) {
        # The folders of keys and logs are the reader's own.
        my $here = $conf =~ s{/etc/llmux\b}{$dir}gr =~ s{ logs/}{ run/}gr;
        my ($status, $out) = conf_test($here, env => { variables($conf) });
        is($status, 0, "$paper, example " . ++$n) or diag($out);
        unlike($out =~ s/^.*already loaded.*\n//mr, qr/LX\d|warn/,
               '... without a murmur');
    }
}
drop_dir($dir);
done_testing;
