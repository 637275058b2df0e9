# 04-docker.t - all that the container files name exists, and what they make
# of it is a server that httpd takes: there is no container engine in a test,
# so the image's folder is put together here as the Dockerfile says.
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use LLMux::Test;

my $tree = tree();
my @stages = stages(slurp("$tree/docker/Dockerfile"));
my @ignored = map { s{^\*\*/}{}r } grep { /\S/ && !/^#/ }
    split /\n/, slurp("$tree/.dockerignore");
my $compose = slurp("$tree/docker/compose.yaml");
my $conf = slurp("$tree/docker/httpd.conf");

# Each stage as a list of [instruction, rest], continued lines joined.
sub stages
{
    my ($text) = @_;
    my @stages;

    $text =~ s/^#.*\n//gm;
    $text =~ s/\\\n\s*/ /g;
    for (split /\n/, $text) {
        my ($what, $rest) = /^([A-Z]+)\s+(.*\S)/ or next;
        push @stages, [] if $what eq 'FROM';
        push @{ $stages[-1] }, [$what, $rest];
    }
    return @stages;
}

sub of
{
    my ($what, $stage) = @_;
    return map { $_->[1] } grep { $_->[0] eq $what } @$stage;
}

# A COPY as (flags, destination, sources).
sub copied
{
    my @words = split ' ', $_[0];
    my @flags = grep { /^--/ } @words;
    my @paths = grep { !/^--/ } @words;
    my $to = pop @paths;

    return ("@flags", $to, @paths);
}

sub make_knows
{
    my ($target) = @_;
    my ($status) = run([$ENV{MAKE} || 'make', '-n', $target], dir => $tree,
                       env => { map { $_ => undef } qw(MAKEFLAGS BUILD) });
    return $status eq '0';
}

# ---- what they name

my ($build, $image) = @stages;
is(scalar @stages, 2, 'it is made in two stages');
for my $line (map { of(COPY => $_) } @stages) {
    my ($flags, $to, @from) = copied($line);
    for my $path (@from) {
        if ($flags =~ /--from=build/) {
            my ($dir) = of(WORKDIR => $build);
            ok($path =~ s{^\Q$dir\E/}{} && make_knows($path),
               "make knows $path");
            next;
        }
        ok(-e "$tree/$path", "$path is there");
        ok(!(grep { $path eq $_ || $path =~ m{^\Q$_\E/} } @ignored),
           "$path is not ignored");
    }
}
ok((grep { $_ eq '.env' } @ignored), 'no .env gets into an image');

my $runs = join "\n", map { of(RUN => $_) } @stages;
my @sections = map { split } $runs =~ /deps\.sh((?: \w+)+)/g;
for my $section (@sections) {
    my ($status, $out) = run(["$tree/tools/deps.sh", '--list', $section]);
    is($status, 0, "tools/packages has a section $section") or diag($out);
}
ok(make_knows($_), "make knows $_")
    for grep { !/^-/ } map { split } $runs =~ /\bmake\b([^&|;\n]*)/g;

# ---- the packages, of all sections

my %packages = map { (split)[1] => 1 } grep { /^\w/ }
    split /\n/, slurp("$tree/tools/packages");
my @names = sort keys %packages;
my (undef, $shown) = run([qw(apt-cache show --no-all-versions), @names]);
my %there = map { $_ => 1 } $shown =~ /^Package: (\S+)$/mg;
SKIP: {
    if (!%there) {
        fail('apt knows packages') if $ENV{LLMUX_REQUIRE};
        skip 'apt knows no packages here', scalar @names;
    }
    ok($there{$_}, "Debian has $_") for @names;
}

# ---- who, where, how

my ($user) = of(USER => $image);
isnt($user, 'root', "it runs as $user");
ok(defined getpwnam $user, "and there is a $user in Debian");
my ($port) = of(EXPOSE => $image);
like($conf, qr/^Listen $port$/m, "httpd listens on the port $port it exposes");
my ($health) = of(HEALTHCHECK => $image);
my ($url) = $health =~ m{"(http://[^"]+)"};
is($url, "http://127.0.0.1:$port/health/live", 'the health check asks there');
like($health, qr/"curl"/, 'with curl');
ok((grep { /^image\s+curl\s/ } split /\n/, slurp("$tree/tools/packages")),
   'which the image has');

like($compose, qr/"127\.0\.0\.1:$port:$port"/, 'compose publishes it, locally');
for my $pair (['dockerfile', "$tree"], ['context', "$tree/docker"]) {
    my ($name, $from) = @$pair;
    my ($path) = $compose =~ /^\s*\Q$name\E:\s*(\S+)/m;
    ok(defined $path && -e "$from/$path", "compose's $name is there");
}
like($compose, qr/path: \.\.\/\.env\s+required: false/,
     'compose does without .env');
my ($uid) = $compose =~ /uid=(\d+)/;
is($uid, (getpwnam $user)[2], "its folder belongs to $user");

my %directive = map { $_ => 1 }
    slurp("$tree/include/llmux/settings.def") =~ /"(LLMux\w+)"/g;
is(join(' ', grep { !$directive{$_} } $conf =~ /^\s*(LLMux\w+)/mg), '',
   'httpd.conf has directives that exist');

# ---- the image's folder, and httpd in it

my $dir = temp_dir('image');
my ($home) = of(WORKDIR => $image);
for my $line (of(COPY => $image)) {
    my ($flags, $to, @from) = copied($line);
    make_path("$dir/$to");
    for my $path (@from) {
        my $name = basename($path);
        my $source = $flags ? build() . "/$name" : "$tree/$path";
        ok(copy($source, "$dir/$to/$name"), "$name gets to $home/$to")
            or diag("$source: $!");
        chmod 0755, "$dir/$to/$name" if -x $source;
    }
}
my ($start) = map { /"([^"]+)"/ } of(ENTRYPOINT => $image);
ok($start =~ s{^\Q$home\E/}{} && -x "$dir/$start", "$start can be run");

sub start
{
    my (%env) = @_;
    make_path("$dir/run");
    return run(["$dir/$start", '-t'], env => {
        %{ LLMux::Httpd::environment({ dir => $dir }) },
        LLMUX_HOME => $dir, LLMUX_RUN => "$dir/run", %env });
}

my ($status, $out) = start(LLMUX_MASTER_KEY => 'llmux_test',
                           OPENAI_API_KEY => 'sk-planted');
is($status, 0, 'httpd takes the configuration') or diag($out);
my $providers = slurp("$dir/run/providers.conf");
like($providers, qr/LLMuxAPIKey env:OPENAI_API_KEY/, 'with the provider');
unlike($providers . $out, qr/sk-planted/, 'whose key is in no file');
($status, $out) = start(LLMUX_MASTER_KEY => undef);
ok($status ne '0' && $out =~ /LLMUX_MASTER_KEY/, 'not without a master key');
drop_dir($dir);
done_testing;
