# 54-sdk-responses-recorded.t - what comes of recorded answers of every dialect,
# said as Responses, is what OpenAI's own client for JavaScript takes: its
# helper follows each stream to the response that it ends with.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

my %dialects = (
    'openai-chat' => 'openai',
    'openai-responses' => 'responses',
    'anthropic-messages' => 'anthropic',
    'gemini-generate' => 'gemini',
);
my $sdk = tree() . '/t/sdk';
my ($status, $version) = run(['node', '--version']);

LLMux::Test::missing('no Node.js 18 or later; make deps DEPS=sdk installs it')
    if $status ne '0' || $version !~ /^v(\d+)/ || $1 < 18;
LLMux::Test::missing('the SDK is not installed; make deps DEPS=sdk, then '
    . 'npm ci --prefix t/sdk') if !-d "$sdk/node_modules/openai";

my $corpus = corpus_or_skip();
my @cases = grep { $_->{kind} ne 'error' && $_->{streaming} =~ /^(?:no|sse)$/ }
    $corpus->cases(api => [sort keys %dialects]);
my $program = build() . '/tools/responses';
my $dir = temp_dir('sdk-responses');
my $out;

($status, $out) = run([$ENV{MAKE} || 'make', '-s',
    ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
    $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(), timeout => 600);
is $status, 0, 'the program builds' or diag($out);

spew("$dir/jobs", join '', map {
    join("\t", $_->{streaming} eq 'no' ? 'whole' : 'stream', $_->{path},
         $dialects{ $_->{api} }) . "\n"
} @cases);
($status, $out) = run(['/bin/sh', '-c', 'exec "$1" <"$2" >"$3"', 'sh', $program,
    "$dir/jobs", "$dir/answers"], timeout => 300,
    env => LLMux::Units::sanitizers());
is $status, 0, 'it did all of its work' or diag($out);

my @answers = split /\n/, slurp("$dir/answers");
is scalar @answers, scalar @cases, 'every answer was taken';

# The name goes in front; the rest of the line is for the client.
spew("$dir/streams", join '', map {
    '{"name":' . to_json($cases[$_]{file}) . ',' . substr($answers[$_], 1)
        . "\n"
} 0 .. $#answers);
($status, $out) = run(['/bin/sh', '-c', 'exec node "$1" <"$2"', 'sh',
    "$sdk/responses-recorded.mjs", "$dir/streams"], timeout => patience(120));
is $status, 0, 'the client ends by itself';

my ($shown, $told) = (0, '');
for my $line (split /\n/, $out) {
    if ($line =~ /^(not )?ok - (.*)/) {
        ok(!$1, $2);
        $shown++;
    }
    elsif ($line =~ /^1\.\.(\d+)/) {
        $told = $1;
    }
    else {
        diag($line =~ s/^# //r);
    }
}
is $told, $shown, 'all of them were shown';
is $shown, scalar @cases, 'and none is missing';
drop_dir($dir);
done_testing;
