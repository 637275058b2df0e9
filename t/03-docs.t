# 03-docs.t - the papers say what the code does: the page of directives is
# fresh, the reference configuration has all of them and loads, and every
# example works where the table says it stands.
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Spec;
use LLMux::Test;

my $dir = temp_dir('docs');
my $own = certificate($dir);
my $reference = slurp(tree() . '/conf/llmux.conf');
my @rows = rows(slurp(tree() . '/include/llmux/settings.def'));
my %env = reference_env($reference);

sub make
{
    my ($target) = @_;
    return run([$ENV{MAKE} || 'make', '-s',
                ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
                $target =~ s{^\Q@{[ tree() ]}\E/}{}r],
               dir => tree(), timeout => 120, env => { MAKEFLAGS => undef });
}

# {kind, name, where, help, example} of each row of settings.def.
sub rows
{
    my ($text) = @_;
    my $string = qr/"((?:[^"\\]|\\.)*)"/;
    my @rows;

    $text =~ s{/\*.*?\*/}{}gs;
    for (split /^(?=(?:REQUEST|ACCOUNT|SPECIAL)\()/m, $text) {
        my ($kind) = /^(REQUEST|ACCOUNT|SPECIAL)\(/ or next;
        my @strings = map { s/\\(.)/$1/gr } /$string/g;
        push @rows, { kind => $kind, name => $strings[0],
                      where => $kind eq 'SPECIAL' ? $strings[1]
                          : $kind eq 'ACCOUNT' ? '<LLMuxProvider>'
                          : 'anywhere',
                      help => $strings[-2], example => $strings[-1] };
    }
    return @rows;
}

# A certificate with its key, and the key alone: the name of their files,
# without .crt and .key.
sub certificate
{
    my $file = "$_[0]/own";
    my ($status, $out) = run([
        qw(openssl req -x509 -nodes -days 1 -newkey ec),
        qw(-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=gateway),
        '-keyout', "$file.key", '-out', "$file.crt"]);

    die "openssl: $out\n" if $status ne '0';
    spew("$file.crt", slurp("$file.crt") . slurp("$file.key"));
    return $file;
}

# Something for each variable that a configuration names.
sub reference_env
{
    return (APACHE_LOG_DIR => File::Spec->tmpdir,
            (map { $_ => "$own." . (/_KEY$/ ? 'key' : 'crt') }
                $_[0] =~ /\$\{(\w+_CERTIFICATE\w*)\}/g),
            LLMUX_DATA => tree() . '/data',
            map { $_ => /SEAL/ ? 'ab' x 32 : 'value-of-' . lc }
                $_[0] =~ /\benv:(\w+)/g);
}

# A configuration in which this row's example stands where it belongs.
sub example_conf
{
    my ($row) = @_;
    my $example = $row->{example};
    my ($kind) = map { $_->[1] } grep { $row->{name} =~ $_->[0] }
        [qr/Region|AWSKey/ => "bedrock\n    LLMuxRegion us-east-1"],
        [qr/Project|Credentials/ => "vertex\n    LLMuxProject project"],
        [qr/./ => 'openai'];
    my %around = (
        '<LLMuxProvider>' => <<"END",
<LLMuxProvider openai>
    LLMuxType $kind
    LLMuxBaseURL https://llm.example.com/v1
    %s
</LLMuxProvider>
END
        '<LLMuxModel>' => <<'END',
<LLMuxProvider openai>
</LLMuxProvider>
<LLMuxModel smart>
    LLMuxDeployment openai a
</LLMuxModel>
<LLMuxModel local>
    LLMuxDeployment openai b
</LLMuxModel>
<LLMuxModel fast>
    LLMuxDeployment openai c
    %s
</LLMuxModel>
END
        'server' => '%s', 'anywhere' => "<Location \"/\">\n%s\n</Location>\n",
    );

    # Nobody has that company's certificates, nor its keys.
    $example =~ s{/\S+/private/\S+\.pem}{$own.key};
    $example =~ s{/\S+\.pem}{$own.crt};
    $example =~ s{/\S+/share/llmux/data}{@{[ tree() ]}/data};
    $example .= "\nLLMuxClientCertificate $own.crt"
        if $row->{name} eq 'LLMuxClientKey';
    return sprintf $around{ $row->{where} } // "%s\n", $example;
}

ok(@rows > 30, 'settings.def was understood: ' . @rows . ' directives');

my ($status, $out) = make(build() . '/tools/directives');
is($status, 0, 'the program that writes docs/directives.md builds')
    or diag($out);
my ($written, $page) = run([build() . '/tools/directives']);
is($written, 0, 'and finds a place for every row') or diag($page);
ok($page eq slurp(tree() . '/docs/directives.md'),
   'docs/directives.md is as settings.def has it (make docs writes it)');

for my $row (@rows) {
    my $name = $row->{name};
    like($row->{example}, qr/^\Q$name\E \S/, "$name has an example");
    like($row->{help}, qr/\S{3}.* \S/, "$name has a help text");
    like($reference, qr/^\s*\Q$name\E\s+\S/m,
         "$name occurs in conf/llmux.conf");
    my ($code, $said) = conf_test(example_conf($row), env => {
        reference_env($row->{example}) });
    is($code, 0, "the example of $name loads") or diag($said);
}

my ($code, $said) = conf_test($reference, env => \%env,
                              modules => [qw(authz_host)]);
is($code, 0, 'conf/llmux.conf loads') or diag($said);
my ($without) = grep { /_KEY/ } sort keys %env;
($code, $said) = conf_test($reference, env => { %env, $without => undef },
                           modules => [qw(authz_host)]);
ok($code && $said =~ /\Q$without\E/,
   'without one of its variables it is refused, with the name of that');

my ($head) = $reference =~ /\A((?:#.*\n)+)/;
is(join(' ', grep { !/^APACHE/ && $head !~ /\b$_\b/ } sort keys %env), '',
   'its head names all variables');

($code, $said) = conf_test(
    "Include __TREE__/conf/llmux-mpm.conf\n" . "LLMuxMasterKey off\n");
is($code, 0, 'conf/llmux-mpm.conf loads') or diag($said);
unlike($said, qr/warn|exceed|must be/i, 'and httpd has nothing to correct');
drop_dir($dir);
done_testing;
