# 05-run.t - `make run` without the building: keys become providers and stay
# out of files, the demo answers, and Ctrl-C leaves nothing behind.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Guard;
use LLMux::Test;
use POSIX ();

my $dir = temp_dir('run');
my @names = slurp(tree() . '/tools/models') =~ /^\w\S*\s+(\S+)/mg;

# The environment of a user who has nothing of ours in it but this.
sub environment
{
    my (%more) = @_;
    return { %{ LLMux::Httpd::environment({ dir => $dir }) },
             (map { $_ => $ENV{$_} } qw(APXS LLMUX_HTTPD LLMUX_MODULES)),
             BUILD => build(), LLMUX_RUN => "$dir/root",
             LLMUX_STATE => "$dir/state", LLMUX_ENV => "$dir/env",
             PORT => free_port(), %more };
}

# (status, what it said, the configuration) with this .env and environment.
sub check
{
    my ($dotenv, %env) = @_;

    spew("$dir/env", $dotenv);
    my ($status, $out) = run([tree() . '/tools/run.sh', '--check'],
                             env => environment(%env));
    return ($status, $out, slurp("$dir/root/conf/httpd.conf"));
}

# The lines of a provider's section, or undef.
sub section
{
    my ($conf, $name) = @_;
    my ($text) = $conf =~ m{<LLMuxProvider \Q$name\E>\n(.*?)</LLMuxProvider>}s;
    return defined $text ? join '; ', map { s/^\s+//r } split /\n/, $text : undef;
}

# ---- keys become providers

my ($status, $out, $conf) = check('');
is($status, 0, 'without any key there is a configuration') or diag($out);
is(join(' ', $conf =~ /<LLMuxProvider (\S+)>/g), 'demo', 'with the demo alone');
like($conf, qr/^Listen 127\.0\.0\.1:\d+$/m, 'on loopback alone');
my $key = slurp("$dir/state/master.key");
like($key, qr/^llmux_[\w-]{43}\n\z/, 'and a master key');
is((stat "$dir/state/master.key")[2] & 07777, 0600, 'that is its owner\'s');
unlike($conf, qr/\Q@{[ substr $key, 0, 49 ]}\E/, 'and not in it');
like($conf, qr{^LLMuxDataDir "\Q@{[ tree() ]}\E/data"$}m,
     'tokens are counted by the tables of this tree');

my $dotenv = <<'END';
# comments and blank lines

OPENAI_API_KEY=sk-secret-1   # behind white space
export ANTHROPIC_API_KEY="sk-\"secret\"-2" # quoted
  GEMINI_API_KEY = 'sk-secret-3 # none'
GROQ_API_KEY=sk-secret-of-the-file
MISTRAL_API_KEY=
MISTRAL_MODELS=never-used
XAI_API_KEY=sk-secret-4
XAI_MODELS=one,two
TOGETHER_API_KEY=$(touch never-executed)
what is this
END
($status, $out, $conf) = check($dotenv, GROQ_API_KEY => 'sk-secret-5',
    GROQ_BASE_URL => 'https://groq.example.com/v1/', XAI_API_KEY => undef);
is($status, 0, 'keys from .env') or diag($out);
is(join(' ', $conf =~ /<LLMuxProvider (\S+)>/g),
   'openai anthropic gemini groq xai together demo',
   'each one is a provider, in the order of the table, then the demo');
is(section($conf, 'gemini'), 'LLMuxAPIKey env:GEMINI_API_KEY; '
   . 'LLMuxModels gemini-2.5-flash gemini-2.5-pro', 'a plain one');
is(section($conf, 'xai'), 'LLMuxAPIKey env:XAI_API_KEY; LLMuxModels one two',
   'models of one\'s own');
like(section($conf, 'groq'), qr{LLMuxBaseURL "https://groq.example.com/v1"},
     'an address of one\'s own');
unlike($out . $conf . slurp("$dir/root/conf/providers.conf"), qr/secret/,
       'no key is written or printed');
like($out, qr/env line 12 is not NAME=value/, 'a strange line is named');

($status, $out, $conf) = check('GOOGLE_API_KEY=g');
like(section($conf, 'gemini') // '', qr/env:GOOGLE_API_KEY/,
     'Gemini under its other name');

# ---- the special ones

my %azure = (AZURE_OPENAI_API_KEY => 'k');
($status, $out, $conf) = check('', %azure);
is(section($conf, 'azure'), undef, 'no Azure without its address');
like($out, qr/AZURE_OPENAI_ENDPOINT/, 'which is said');
$azure{AZURE_OPENAI_ENDPOINT} = 'https://me.openai.azure.com/';
($status, $out, $conf) = check('', %azure,
    AZURE_OPENAI_DEPLOYMENT => 'my-gpt,my-mini',
    AZURE_OPENAI_API_VERSION => '2024-10-21');
is(section($conf, 'azure'), 'LLMuxBaseURL "https://me.openai.azure.com"; '
   . 'LLMuxAPIKey env:AZURE_OPENAI_API_KEY; LLMuxModels my-gpt my-mini; '
   . 'LLMuxAPIVersion 2024-10-21', 'Azure with its deployments');
($status, $out, $conf) = check('', %azure,
    AZURE_OPENAI_ENDPOINT => 'https://me.openai.azure.com/openai/v1/');
like(section($conf, 'azure'), qr{azure\.com"; .*LLMuxAzureAPI v1},
     'Azure\'s other path');

for my $case (
    ['https://api.openai.com/v1', 'k', qr/^LLMuxBaseURL .*env:OPENAI/],
    ['http://127.0.0.1:11434/v1', undef, qr/^LLMuxType openai-compat[^A]+$/],
    ['http://127.0.0.1:11434/v1', 'k', qr/^LLMuxType openai-compat.*env:/],
    ['http://localhost:7777/v1', 'k', qr/^LLMuxAPIKey env:/],
    ["http://x\"\nListen 1", 'k', qr/^LLMuxAPIKey env:/],
    ['http://${HOME}/', 'k', qr/^LLMuxAPIKey env:/]) {
    my ($url, $key, $want) = @$case;
    ($status, $out, $conf) = check('', PORT => 7777, OPENAI_API_KEY => $key,
                                   OPENAI_BASE_URL => $url);
    is($status, 0, 'OPENAI_BASE_URL=' . ($url =~ s/\s/ /r)) or diag($out);
    like(section($conf, 'openai') // '', $want, $key ? 'with a key' : 'without');
}

my @all = map { (split /,/)[0] } @names;
($status, $out, $conf) = check('', AZURE_OPENAI_ENDPOINT => 'https://a.b/',
                               map { $_ => 'k' } @all);
is($status, 0, 'every row of tools/models is a provider that there is')
    or diag($out);
is((() = $conf =~ /<LLMuxProvider/g), @all + 1, 'all ' . @all);

for my $port ('0', '65536', 'http', '80 80') {
    ($status, $out) = check('', PORT => $port);
    ok($status ne '0' && $out =~ /is no port/, "PORT=$port is refused");
}

# ---- serving

my $port = free_port();
my $env = environment(PORT => $port);
spew("$dir/env", '');
my $pid = fork() // die "fork: $!\n";
if (!$pid) {
    POSIX::setpgid(0, 0);
    for my $name (keys %$env) {
        defined $env->{$name} ? $ENV{$name} = $env->{$name} : delete $ENV{$name};
    }
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', "$dir/out";
    open STDERR, '>&', \*STDOUT;
    exec tree() . '/tools/run.sh' or POSIX::_exit(127);
}
LLMux::Guard::watch($pid);

my $said = sub { slurp("$dir/out") };
ok(wait_until(40, sub { $said->() =~ /Ctrl-C/ || !kill 0, $pid }),
   'it starts') or diag($said->());
my ($shown) = $said->() =~ /^ *KEY=(\S+)$/m;
my ($curl) = $said->() =~ /^ *(curl .*?)\n\n/ms;
my ($code, $answer) = run(['bash', '-c', "KEY=$shown; $curl"],
    env => { map { $_ => undef } grep { /proxy/i } keys %ENV });
is($code, 0, 'the curl that it shows works');
my $chat = eval { from_json($answer) } || {};
like($chat->{choices}[0]{message}{content}, qr/Hello/, 'and the demo answers')
    or diag($answer);

my $counted = post($port, '/v1/messages/count_tokens', {
    model => 'demo', messages => [{ role => 'user', content => 'Hi' }] },
    headers => { 'x-api-key' => $shown });
like($counted->body, qr/"input_tokens":[1-9]/, 'it counts tokens')
    or diag($counted->body);
unlike(slurp("$dir/root/logs/error.log"), qr/LX0110/,
       '... and has what makes that exact');

my ($second, $why) = run([tree() . '/tools/run.sh'], env => $env);
ok($second ne '0' && $why =~ /port $port is taken/,
   'a second one says that the port is taken') or diag($why);

# A terminal says that its window has changed; to httpd that means: stop.
kill WINCH => -$pid;
sleep 0.5;
is(get($port, '/health')->status, 200, 'a resized terminal does no harm');

my ($httpd) = slurp("$dir/root/run/httpd.pid") =~ /(\d+)/;
kill INT => -$pid;
my $gone = wait_until(20, sub { waitpid($pid, POSIX::WNOHANG()) == $pid });
is($gone ? $? : 'still there', 0, 'Ctrl-C ends it well');
ok(wait_until(5, sub { !kill 0, $httpd }), 'and httpd with it');
unlike(slurp("$dir/root/logs/error.log"), qr/:(?:warn|error|crit|emerg)\]/,
       'nothing in the log was bad');
is(join(' ', glob "$dir/asan.* $dir/ubsan.*"), '', 'no sanitizer has spoken');
LLMux::Guard::forget($pid);
drop_dir($dir);
done_testing;
