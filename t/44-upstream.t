# 44-upstream.t - the way to a provider: TLS with a certificate of one's own,
# forward proxies by directive and by environment, Azure's two paths, headers.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $path = '/v1/chat/completions';
my $question = chat('demo', 'over there');
my $mock = mock();

# The far end: an httpd with TLS, a demo provider, and a forward proxy.
my $far = httpd(tls => 1, modules => [qw(proxy proxy_http proxy_connect)],
    access_log => '%h %r %>s', conf => <<'END');
<LLMuxProvider demo>
    LLMuxModels demo
</LLMuxProvider>
<Location "/v1">
    SetHandler llmux
</Location>
ProxyRequests On
AllowCONNECT 1-65535
ProxyVia Off
END

my ($tls, $plain, $ca) = ($far->tls_port, $far->port, $far->certificate);
my $mock_port = $mock->port;

sub far_log { return slurp($far->dir . '/access.log') }

# How often the proxy was used, once it is that often: its log comes late.
sub proxied
{
    my ($expected) = @_;
    my $count;

    wait_until(3, sub {
        $count = () = far_log() =~ /POST http:/g;
        return $count >= $expected;
    });
    return $count;
}

# ---- TLS and proxies by directive

# The end of one httpd; done_clean() would end the mock with it.
sub finish
{
    my ($httpd, @allow) = @_;

    $httpd->stop;
    my @problems = $httpd->problems(allow => \@allow);
    ok !@problems, 'nothing untoward in its log' or diag join "\n", @problems;
    $httpd->remove;
    return;
}

sub near
{
    my ($text, %opt) = @_;
    return httpd(%opt, conf => <<"END");
$text
<Location "/">
    SetHandler llmux
</Location>
END
}

sub provider
{
    my ($name, $url, @more) = @_;
    return join "\n", "<LLMuxProvider $name>", 'LLMuxType openai-compatible',
        "LLMuxBaseURL $url", 'LLMuxRetries 0', @more, "</LLMuxProvider>",
        "<LLMuxModel $name>", "LLMuxDeployment $name demo", "</LLMuxModel>\n";
}

my $https = "https://localhost:$tls/v1";
my $proxy = "LLMuxProxy http://127.0.0.1:$plain";
my $near = near(join '',
    provider('trusted', $https, "LLMuxCAFile $ca"),
    provider('strange', $https),
    provider('tunnelled', $https, "LLMuxCAFile $ca", $proxy),
    provider('proxied', $mock->base('/v1'), $proxy),
    provider('spared', $mock->base('/v1'), $proxy, 'LLMuxNoProxy 127.0.0.1'),
    provider('nowhere', $mock->base('/v1'),
             'LLMuxProxy http://127.0.0.1:1'));

sub ask
{
    my ($httpd, $model, %more) = @_;
    return post($httpd, $path, { %$question, model => $model, %more });
}

like ask($near, 'trusted')->body, qr/over there/, 'TLS, with our own CA';
my @events = sse(ask($near, 'trusted', stream => true)->body);
is $events[-1]{data}, '[DONE]', '... streamed';

my $res = ask($near, 'strange');
is $res->status, 502, 'a certificate that nobody known has signed is refused';
like from_json($res->body)->{error}{message}, qr/TLS/i, '... as TLS';

like ask($near, 'tunnelled')->body, qr/over there/, 'TLS through a proxy';

like ask($near, 'proxied')->body, qr/over there/, 'through a proxy';
is proxied(1), 1, '... really';
like far_log(), qr{POST http://127\.0\.0\.1:$mock_port/v1}, '... for it';

like ask($near, 'spared')->body, qr/over there/, 'LLMuxNoProxy';
is ask($near, 'nowhere')->status, 502, 'a proxy that is not there';
finish($near, qr/LX0021/);
like far_log(), qr{CONNECT localhost:$tls}, 'the tunnel was one';

# ---- proxies by environment

$near = near(provider('plain', $mock->base('/v1'))
    . provider('never', $mock->base('/v1'), 'LLMuxProxy none'),
    env => { http_proxy => "http://127.0.0.1:$plain" });
like ask($near, 'plain')->body, qr/over there/, 'http_proxy';
is proxied(2), 2, '... is heeded, and LLMuxNoProxy was';
like ask($near, 'never')->body, qr/over there/, 'LLMuxProxy none';
finish($near);

$near = near(provider('plain', $mock->base('/v1')),
    env => { http_proxy => "http://127.0.0.1:$plain",
             no_proxy => 'example.com,127.0.0.1' });
like ask($near, 'plain')->body, qr/over there/, 'no_proxy';
finish($near);
is proxied(2), 2, '... is heeded, and so is none';

# ---- addresses and signatures

my $base = $mock->base('');
$near = near(<<"END", env => { SECRET_HEADER => 'from-env' });
<LLMuxProvider azure>
    LLMuxBaseURL $base
    LLMuxAPIKey azure-key
    LLMuxModels my-deployment
</LLMuxProvider>
<LLMuxProvider azure-dated>
    LLMuxType azure
    LLMuxBaseURL $base/
    LLMuxAPIKey azure-key
    LLMuxAPIVersion 2025-01-01-preview
    LLMuxModels "dated"
</LLMuxProvider>
<LLMuxProvider azure-new>
    LLMuxType azure
    LLMuxAzureAPI v1
    LLMuxBaseURL $base
    LLMuxAPIKey azure-key
    LLMuxModels new
</LLMuxProvider>
<LLMuxProvider anthropic>
    LLMuxBaseURL $base
    LLMuxAPIKey claude-key
    LLMuxHeader anthropic-beta context-1m-2025-08-07
    LLMuxModels claude-haiku-4-5
</LLMuxProvider>
<LLMuxProvider anthropic-v1>
    LLMuxType anthropic
    LLMuxBaseURL $base/v1
    LLMuxAPIKey claude-key
    LLMuxAPIVersion 2026-10-21
    LLMuxModels claude-v1
</LLMuxProvider>
<LLMuxProvider gemini>
    LLMuxBaseURL $base
    LLMuxAPIKey gemini-key
    LLMuxModels gemini-2.5-flash
</LLMuxProvider>
<LLMuxProvider groq>
    LLMuxBaseURL $base/openai/v1
    LLMuxAPIKey groq-key
    LLMuxHeader X-Extra env:SECRET_HEADER
    LLMuxModels llama
</LLMuxProvider>
END

my @addresses = (
    # model, path, header, key
    ['my-deployment', '/openai/deployments/my-deployment/chat/completions'
        . '?api-version=2024-10-21', 'api-key', 'azure-key'],
    ['dated', '/openai/deployments/dated/chat/completions'
        . '?api-version=2025-01-01-preview', 'api-key', 'azure-key'],
    ['new', '/openai/v1/chat/completions', 'api-key', 'azure-key'],
    ['claude-haiku-4-5', '/v1/messages', 'x-api-key', 'claude-key',
        'anthropic-version' => '2023-06-01',
        'anthropic-beta' => 'context-1m-2025-08-07'],
    ['claude-v1', '/v1/messages', 'x-api-key', 'claude-key',
        'anthropic-version' => '2026-10-21'],
    ['gemini-2.5-flash', '/v1beta/models/gemini-2.5-flash:generateContent',
        'x-goog-api-key', 'gemini-key'],
    ['llama', '/openai/v1/chat/completions', 'authorization',
        'Bearer groq-key', 'x-extra' => 'from-env'],
);

for my $row (@addresses) {
    my ($model, $target, $header, $key, %more) = @$row;
    my $res = ask($near, $model);
    my $seen = ($mock->requests)[-1];

    is $res->status, 200, "$model answers" or diag $res->body;
    is $seen->{target}, $target, "$model: where it goes";
    is $seen->{headers}{$header}, $key, "$model: how it is signed";
    is $seen->{headers}{$_}, $more{$_}, "$model: $_" for sort keys %more;
    is scalar(grep { exists $seen->{headers}{$_} }
        qw(api-key x-api-key x-goog-api-key authorization)), 1,
        "$model: with one key only";
}

ask($near, 'gemini-2.5-flash', stream => true);
is +($mock->requests)[-1]{target},
    '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    'Gemini streams at an address of its own';
finish($near);
done_clean($far);
done_testing;
