# 50-sdk-openai.t - the official OpenAI client for JavaScript, with nothing
# changed but base URL and key, before a provider of each dialect: what its
# users see. The cases stand in t/sdk/; here is what they run on.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Guard;
use IO::Handle;
use POSIX ();

my $sdk = tree() . '/t/sdk';

# Debian 12's is 18; older ones have no fetch.
my ($status, $version) = run(['node', '--version']);
LLMux::Test::missing('no Node.js 18 or later; make deps DEPS=sdk installs it')
    if $status ne '0' || $version !~ /^v(\d+)/ || $1 < 18;
LLMux::Test::missing('the SDK is not installed; make deps DEPS=sdk, then '
    . 'npm ci --prefix t/sdk') if !-d "$sdk/node_modules/openai";

my ($corpus, $no_corpus) = LLMux::Corpus->find;
my $mock = mock();
my $master = 'llmux_sdk_4471';
my $httpd = httpd(conf => <<"END");
LLMuxMasterKey $master
LLMuxBackoff 10ms
<LLMuxProvider openai>
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey sk-openai
    LLMuxModels gpt-4o
</LLMuxProvider>
<LLMuxProvider anthropic>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-anthropic
    LLMuxModels claude-sonnet-4-5
</LLMuxProvider>
<LLMuxProvider gemini>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-gemini
    LLMuxModels gemini-2.5-flash
</LLMuxProvider>
<LLMuxProvider azure>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-azure
</LLMuxProvider>
<LLMuxProvider azure-v1>
    LLMuxType azure
    LLMuxAzureAPI v1
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-azure-v1
</LLMuxProvider>
<LLMuxProvider local>
    LLMuxType openai-compatible
    LLMuxBaseURL @{[ $mock->base('/local/v1') ]}
    LLMuxModels llama-3.3-70b
</LLMuxProvider>
<LLMuxProvider hasty>
    LLMuxType anthropic
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-hasty
    LLMuxRetries 0
    LLMuxFirstByteTimeout 400ms
    LLMuxSilenceTimeout 400ms
</LLMuxProvider>
<LLMuxModel hasty-claude>
    LLMuxDeployment hasty claude-sonnet-4-5
</LLMuxModel>
<LLMuxModel azure-gpt>
    LLMuxDeployment azure my-gpt
</LLMuxModel>
<LLMuxModel azure-v1-gpt>
    LLMuxDeployment azure-v1 my-gpt
</LLMuxModel>
<LLMuxModel gpt-or-claude>
    LLMuxDeployment openai gpt-4o
    LLMuxFallback claude-sonnet-4-5
</LLMuxModel>
<Location "/">
    SetHandler llmux
</Location>
<Location "/quick">
    SetHandler llmux
    LLMuxHeartbeat 100ms
</Location>
<Location "/small">
    SetHandler llmux
    LLMuxMaxBody 4k
</Location>
<Location "/refusing">
    SetHandler llmux
    LLMuxUnsupported refuse
</Location>
END

# ---- what the cases may order

# Other rules for the mock. Says how many requests there were so far.
sub obey_rules
{
    my ($rules) = @_;

    $mock->rules(@$rules);
    return scalar(() = $mock->requests);
}

# Requests from the one of this number on, once there are so many of them.
sub obey_requests
{
    my ($order) = @_;
    my @requests;

    wait_until(5, sub {
        @requests = $mock->requests;
        splice @requests, 0, $order->{from};
        return $order->{count} <= grep { $_->{how} || !$order->{ended} }
            @requests;
    });
    return [map {
        my $request = $_;
        +{ map { $_ => $request->{$_} }
           qw(path query headers json how ended_at) };
    } @requests];
}

# Recordings of chats that have all these tags, and what they are known to
# say. Those of errors are asked for by their own tag.
sub obey_recordings
{
    my ($order) = @_;
    my @cases = $corpus ? $corpus->cases(dialect => $order->{dialect},
        api => qr/^(?:openai-chat|anthropic-messages|gemini-generate)$/,
        streaming => $order->{streaming}) : ();

    @cases = grep { $_->{kind} ne 'error' } @cases
        if !grep { $_ eq 'error' } @{ $order->{tags} };
    for my $tag (@{ $order->{tags} }) {
        @cases = grep { grep { $_ eq $tag } @{ $_->{tags} } } @cases;
    }
    return [map { +{ file => $_->{file}, path => $_->{path},
                     tags => $_->{tags}, want => $corpus->expected($_) } }
            @cases];
}

my %obey = (rules => \&obey_rules, requests => \&obey_requests,
            recordings => \&obey_recordings);

# ---- the cases

# Starts them; gives the process and the two ends of its standard channels.
sub start
{
    pipe my $their_in, my $to or die "pipe: $!\n";
    pipe my $from, my $their_out or die "pipe: $!\n";
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        POSIX::setpgid(0, 0);
        open STDIN, '<&', $their_in;
        open STDOUT, '>&', $their_out;
        %ENV = (PATH => $ENV{PATH}, HOME => $httpd->dir, LLMUX_KEY => $master,
                LLMUX_URL => $httpd->url, LLMUX_PATIENCE => patience(1));
        exec 'node', "$sdk/openai.mjs" or POSIX::_exit(127);
    }
    POSIX::setpgid($pid, $pid);
    LLMux::Guard::watch($pid);
    $to->autoflush(1);
    return ($pid, $from, $to);
}

# A line of theirs: an order, a result, or a word about one. Gives their
# plan when it is that.
sub take
{
    my ($line, $to) = @_;

    if ($line =~ /^\+ (\w+) (.*)/) {
        print $to to_json($obey{$1}->(from_json($2))), "\n";
    }
    elsif ($line =~ /^ok - (.*) # SKIP (.*)/) {
        skipped($1, $2);
    }
    elsif ($line =~ /^(not )?ok - (.*)/) {
        ok(!$1, $2);
    }
    elsif ($line =~ /^1\.\.(\d+)/) {
        return $1;
    }
    else {
        diag($line =~ s/^# //r);
    }
    return;
}

# What cannot be shown without the recordings.
sub skipped
{
    my ($name, $why) = @_;

    return fail("$name: $why") if $ENV{LLMUX_REQUIRE} || $ENV{LLMUX_CORPUS};
    SKIP: {
        skip("$name: $why", 1);
    }
    return;
}

unlike slurp("$sdk/package-lock.json"), qr{"resolved"|https?://},
    'the lock file names no place to download from';
like slurp("$sdk/package.json"), qr/"openai": "\d+\.\d+\.\d+"/,
    'the SDK is pinned to one version';
diag($no_corpus) if !$corpus;

my $before = Test::More->builder->current_test;
my ($pid, $from, $to) = start();
my $told;
local $SIG{PIPE} = 'IGNORE';
while (defined(my $line = <$from>)) {
    chomp $line;
    $told = take($line, $to) // $told;
}
is $told, Test::More->builder->current_test - $before, 'all cases were shown';
waitpid $pid, 0;
is $?, 0, 'the client ends by itself';
LLMux::Guard::forget($pid);

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
