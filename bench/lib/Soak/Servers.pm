# Servers.pm - what a soak runs against: two httpds that park in different
# ways, a quick mock provider that is always right, and one that misbehaves.
package Soak::Servers;

use strict;
use warnings;
use Exporter 'import';
use Bench::Servers ();
use LLMux::Httpd;
use LLMux::Mock;
use LLMux::Response;
use Soak::Text qw(text_of);
use IO::Socket::INET;

our @EXPORT_OK = qw(start_mocks start_server known_text has_http2 %allowed);

use constant THREADS => 8;      # of a child: half of them are soon busy

# Lines of the error log that a run like this has to have, and why.
our %allowed = (
    'LX0021'  => 'a deployment failed, because it was asked to',
    'AH00484' => 'all workers are busy, for a moment',
    'AH10159' => 'full, as MaxRequestWorkers says',
    'AH03490' => 'no slot is free until an old child has gone',
);

# ---- mocks

my %quick;      # the one in C

sub start_mocks
{
    my ($tree, $dir) = @_;
    my $program = Bench::Servers::build('mock', "$tree/bench", $dir);

    %quick = %{ Bench::Servers::start_mock($program, $dir, 1) };
    return { quick => \%quick, odd => LLMux::Mock->new };
}

my %known;      # "model dialect stream" => text

# What the quick mock says, asked without anybody in between.
sub known_text
{
    my ($model, $dialect, $stream) = @_;

    return $known{"$model $dialect $stream"} //=
        ask_mock($model, $dialect eq 'anthropic' ? '/v1/messages'
                     : '/v1/chat/completions', $stream);
}

sub ask_mock
{
    my ($model, $path, $stream) = @_;
    my $body = sprintf '{"model":"%s","messages":[]%s}',
        $stream ? $model =~ s/-[dg]\d+//gr : $model,
        $stream ? ',"stream":true' : '';
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $quick{port}, Proto => 'tcp') or die "mock: $!\n";
    my $res = LLMux::Response->new;
    my $in = '';

    print {$socket} "POST $path HTTP/1.1\r\nHost: mock\r\nContent-Length: ",
        length $body, "\r\n\r\n$body";
    $socket->flush;
    while (!$res->done && sysread $socket, $in, 65536, length $in) {
        $res->feed(\$in, 0);
    }
    my $text = text_of($res->body);
    die "the mock does not say anything for $model\n" if !length $text;
    return $text;
}

# ---- httpd

sub provider
{
    my ($name, $type, $base, @more) = @_;

    return join "\n", "<LLMuxProvider $name>", "LLMuxType $type",
        "LLMuxBaseURL $base", 'LLMuxAPIKey sk-soak', @more,
        "</LLMuxProvider>\n";
}

sub providers
{
    my ($mocks) = @_;
    my $quick = "http://127.0.0.1:$mocks->{quick}{port}";
    my $odd = $mocks->{odd};
    my @hasty = ('LLMuxFirstByteTimeout 700ms', 'LLMuxSilenceTimeout 700ms',
                 'LLMuxRetries 0');

    return join '',
        provider('fast', 'openai', "$quick/v1"),
        provider('claude', 'anthropic', $quick),
        provider('odd', 'openai', $odd->base('/v1'), 'LLMuxRetries 1'),
        provider('ant', 'anthropic', $odd->base, 'LLMuxRetries 0'),
        provider('gem', 'gemini', $odd->base, 'LLMuxRetries 0'),
        provider('hasty', 'openai', $odd->base('/v1'), @hasty);
}

# Groups whose first deployment fails and whose fallback does not.
sub groups
{
    my %faults = @_;

    return join '', "<LLMuxModel spare>\nLLMuxDeployment odd m\n"
        . "</LLMuxModel>\n",
        map { "<LLMuxModel $_>\nLLMuxDeployment $faults{$_}\n"
              . "LLMuxFallback spare\n</LLMuxModel>\n" } sort keys %faults;
}

# Room for children of older generations, which still have streams; a send
# buffer so small that a slow client is felt.
sub conf
{
    my ($park, $mocks, $faults, $http2) = @_;
    my $threads = THREADS;
    my $all = 2 * THREADS;

    return <<"END" . providers($mocks) . groups(%$faults);
LogLevel llmux:info
StartServers 2
ServerLimit 16
ThreadsPerChild $threads
MaxRequestWorkers $all
MinSpareThreads 1
MaxSpareThreads $all
AsyncRequestWorkerFactor 100
SendBufferSize 65536
KeepAliveTimeout 5
@{[ $http2 ? 'Protocols h2 http/1.1' : '' ]}
LLMuxPark $park
LLMuxDirect on
LLMuxMetrics open
LLMuxAttempts 4
LLMuxBackoff 20ms
<Location "/">
    SetHandler llmux
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
END
}

sub has_http2
{
    my $file = LLMux::Httpd::modules_dir() . '/mod_http2.so';

    return 'httpd has no mod_http2'
        if !-e $file && !LLMux::Httpd::static_modules()->{http2};
    return 'curl cannot HTTP/2, or is not installed'
        if (qx(curl --version 2>&1) // '') !~ /\bHTTP2\b/;
    return '';
}

# $faults: groups and their first deployment.
sub start_server
{
    my ($park, $mocks, $faults, $http2) = @_;

    return LLMux::Httpd->new(tls => 1, access_log => '%^LX',
        modules => ['status', $http2 ? 'http2' : ()],
        conf => conf($park, $mocks, $faults, $http2));
}

1;
