# SDK.pm - runs cases of t/sdk/ in Node.js against an httpd: their orders are
# obeyed, their results are results of the test that asked for them.
package LLMux::SDK;

use strict;
use warnings;
use Exporter 'import';
use IO::Handle;
use POSIX ();
use Test::More;
use LLMux::Guard;
use LLMux::Place qw(tree run slurp patience wait_until);
use LLMux::Test ();

our @EXPORT = qw(sdk_doors sdk_key sdk_needs sdk_pinned sdk_run);

my $sdk = tree() . '/t/sdk';
my $master = 'llmux_sdk_4471';

sub sdk_key { return $master }

# Ends the test here if these packages are not installed.
sub sdk_needs
{
    my @packages = @_;

    # Debian 12's is 18; older ones have no fetch.
    my ($status, $version) = run(['node', '--version']);
    LLMux::Test::missing('no Node.js 18 or later; make deps DEPS=sdk installs '
        . 'it') if $status ne '0' || $version !~ /^v(\d+)/ || $1 < 18;
    LLMux::Test::missing('the SDK is not installed; make deps DEPS=sdk, then '
        . 'npm ci --prefix t/sdk')
        if grep { !-d "$sdk/node_modules/$_" } @packages;
    return;
}

# A result for the lock file, and one for each package.
sub sdk_pinned
{
    my @packages = @_;
    my $list = slurp("$sdk/package.json");

    unlike(slurp("$sdk/package-lock.json"),
        qr{"resolved"|https?://},
        'the lock file names no place to download from');
    for my $package (@packages) {
        like($list, qr/"\Q$package\E": "(?:npm:[^"]+\@)?\d+\.\d+\.\d+"/,
            "$package is pinned to one version");
    }
    return;
}

# What the front doors' cases run on: a provider of each dialect, one that is
# compatible with OpenAI, and the demo, which calls tools by itself.
sub sdk_doors
{
    my ($mock) = @_;

    return <<"END";
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
<LLMuxProvider local>
    LLMuxType openai-compatible
    LLMuxBaseURL @{[ $mock->base('/local/v1') ]}
    LLMuxModels llama-3.3-70b
</LLMuxProvider>
<LLMuxProvider demo>
    LLMuxModels caller
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
<Location "/small">
    SetHandler llmux
    LLMuxMaxBody 4k
</Location>
END
}

# ---- what the cases may order

# Other rules for the mock. Says how many requests there were so far.
sub obey_rules
{
    my ($rules, %with) = @_;

    $with{mock}->rules(@$rules);
    return scalar(() = $with{mock}->requests);
}

# Requests from the one of this number on, once there are so many of them.
sub obey_requests
{
    my ($order, %with) = @_;
    my @requests;

    wait_until(5, sub {
        @requests = $with{mock}->requests;
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

my %obey = (rules => \&obey_rules, requests => \&obey_requests);

# ---- the cases

# Starts them; gives the process and the two ends of its standard channels.
sub start
{
    my ($script, %with) = @_;
    my $httpd = $with{httpd};

    pipe my $their_in, my $to or die "pipe: $!\n";
    pipe my $from, my $their_out or die "pipe: $!\n";
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        POSIX::setpgid(0, 0);
        open STDIN, '<&', $their_in;
        open STDOUT, '>&', $their_out;
        %ENV = (PATH => $ENV{PATH}, HOME => $httpd->dir, LLMUX_KEY => $master,
                LLMUX_URL => $httpd->url,
                LLMUX_PATIENCE => patience(1));
        exec 'node', "$sdk/$script" or POSIX::_exit(127);
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
    my ($line, $to, %with) = @_;

    if ($line =~ /^\+ (\w+) (.*)/) {
        my $obey = $with{orders}{$1} || $obey{$1};
        print $to LLMux::Test::to_json($obey->(LLMux::Test::from_json($2),
                                               %with)), "\n";
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

# All cases of a script. %with: httpd, mock, and orders beside the usual ones
# as name => sub.
sub sdk_run
{
    my ($script, %with) = @_;
    my $before = Test::More->builder->current_test;
    my ($pid, $from, $to) = start($script, %with);
    my $told;
    local $SIG{PIPE} = 'IGNORE';

    while (defined(my $line = <$from>)) {
        chomp $line;
        $told = take($line, $to, %with) // $told;
    }
    is($told, Test::More->builder->current_test - $before,
        'all cases were shown');
    waitpid $pid, 0;
    is($?, 0, 'the client ends by itself');
    LLMux::Guard::forget($pid);
    return;
}

1;
