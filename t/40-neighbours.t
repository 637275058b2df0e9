# 40-neighbours.t - other modules work around us: TLS, HTTP/2, deflate, auth,
# remoteip, status, the other MPMs; and a key is seen nowhere.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $path = '/v1/chat/completions';
my $key = 'sk-canary-4b1e77';
my $master = 'llmux_canary_9931';

# The mock quotes the key back, as providers do.
my $mock = mock(rules => [
    { model => 'refused', do => { status => 401, json => { error => {
        message => "Incorrect API key provided: $key" } } } },
]);

my $conf = <<"END";
LLMuxMasterKey $master
<LLMuxProvider mock>
    LLMuxType openai
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey $key
    LLMuxModels gpt-5 gpt-5+gap=100 refused gpt-5+stall=20
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
<Location "/locked">
    SetHandler llmux
    AuthType Basic
    AuthName "locked"
    AuthUserFile "__DIR__/htpasswd"
    Require valid-user
</Location>
<Location "/denied">
    SetHandler llmux
    Require all denied
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
<Location "/llm">
    SetHandler llmux
</Location>
<Location "/llm/v1/chat">
    LLMuxAttempts 1
</Location>
<If "%{REQUEST_URI} =~ m#^/llm#">
    LLMuxHeartbeat 10s
</If>
<Location "/health">
    Require all granted
</Location>
Redirect "/old" "https://example.org/new"
AddOutputFilterByType DEFLATE application/json text/event-stream
<Location "/inflate">
    SetHandler llmux
    SetInputFilter DEFLATE
</Location>
RemoteIPHeader X-Client
Protocols h2 h2c http/1.1
ExtendedStatus On
END

my $httpd = httpd(tls => 1, conf => $conf,
    modules => [qw(http2 deflate alias auth_basic remoteip status headers
                   filter)]);
my @auth = (Authorization => "Bearer $master");
my @curl = ('--cacert', $httpd->certificate, '-H', "$auth[0]: $auth[1]",
            '-H', 'Content-Type: application/json');

# ---- TLS and HTTP/2

sub by_curl
{
    my ($url, $data, @more) = @_;
    return curl(@curl, @more, '-d', to_json($data), "$url$path");
}

for my $case (['HTTP/1.1 over TLS', $httpd->tls_url, '--http1.1', '1.1'],
              ['HTTP/2 over TLS', $httpd->tls_url, '--http2', '2'],
              ['HTTP/2 in the clear', $httpd->url,
               '--http2-prior-knowledge', '2']) {
    my ($name, $url, $flag, $version) = @$case;
    my $res = by_curl($url, chat('gpt-5', 'Hello'), $flag);

    is $res->status, 200, "$name: whole" or diag $res->{complaint};
    is $res->{version}, $version, "$name: it is that version";
    like $res->body, qr/Hello/, "$name: the answer";

    $res = by_curl($url, chat('gpt-5', 'a b c', stream => true), $flag);
    my @events = sse($res->body);
    is $events[-1]{data}, '[DONE]', "$name: streamed to its end";

    $res = by_curl($url, chat('nope', 'x'), $flag);
    is $res->status, 404, "$name: an error is one";
}

# When each piece of a stream came, by curl's own trace.
sub arrivals
{
    my ($url, $flag) = @_;
    my $trace = $httpd->dir . "/trace.$$";

    curl(@curl, $flag, '--no-buffer', '--trace-ascii', $trace, '--trace-time',
         '-d', to_json(chat('gpt-5+gap=100', 'a b c d e f', stream => true)),
         "$url$path");
    my @times = map { my ($h, $m, $s) = /^(\d+):(\d+):([\d.]+)/;
                      $h * 3600 + $m * 60 + $s }
        grep { /<= Recv data, [1-9]/ } split /\n/, slurp($trace);
    unlink $trace;
    return @times;
}

for my $case (['TLS', $httpd->tls_url, '--http1.1'],
              ['HTTP/2', $httpd->tls_url, '--http2']) {
    my ($name, $url, $flag) = @$case;
    my @times = arrivals($url, $flag);
    cmp_ok scalar @times, '>=', 5, "$name: a stream comes in pieces";
    cmp_ok $times[-1] - $times[0], '>', 0.3,
        "$name: ... when they are sent, not at the end";
}

# A client of HTTP/2 that leaves while the provider is silent.
curl(@curl, '--http2', '--max-time', 1, '-d',
     to_json(chat('gpt-5+stall=20', 'x', stream => true)),
     $httpd->tls_url . $path);
my $left = time;
my $stalled;
ok wait_until(2, sub {
    ($stalled) = grep { ($_->{model} // '') =~ /stall=20/ } $mock->requests;
    return $stalled && $stalled->{how} }), 'HTTP/2: the provider is let go';
cmp_ok $stalled->{ended_at} - $left, '<', 0.5, '... soon';

# ---- deflate

my $client = client($httpd);
my $res = $client->post($path, chat('gpt-5', 'x' x 500),
    headers => { @auth, 'Accept-Encoding' => 'gzip' });
is $res->header('Content-Encoding'), 'gzip', 'mod_deflate packs an answer';

$res = client($httpd)->post($path, chat('gpt-5+gap=100', 'a b c d e f',
    stream => true), headers => { @auth, 'Accept-Encoding' => 'gzip' });
is $res->header('Content-Encoding'), 'gzip', '... and a stream';
my @pieces = @{ $res->{pieces} };
cmp_ok $pieces[-1][0] - $pieces[0][0], '>', 0.3,
    '... without holding it back';

require IO::Compress::Gzip;
my $plain = to_json(chat('gpt-5', 'packed'));
IO::Compress::Gzip::gzip(\$plain => \my $packed);
$res = client($httpd)->post("/inflate$path", $packed,
    headers => { @auth, 'Content-Encoding' => 'gzip' });
like $res->body, qr/packed/, 'mod_deflate unpacks a request';

# mod_deflate gives nothing for most of these pieces, and nothing comes after
# them that could wake whoever waits: all of them are there at once.
sub packed_pieces
{
    my ($client) = @_;
    my $pieces = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
        unpack('(a20)*', $packed), '';

    $client->send("POST /inflate$path HTTP/1.1\r\nHost: localhost\r\n"
        . "$auth[0]: $auth[1]\r\nContent-Type: application/json\r\n"
        . "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        . $pieces);
    return $client->read(timeout => 5);
}

for my $tls (0, 1) {
    my $client = client($httpd, $tls ? (tls => 1) : ());
    for my $time (1 .. 3) {
        like packed_pieces($client)->body, qr/packed/,
            "... in many pieces at once, time $time" . ($tls ? ', TLS' : '');
    }
}
$res = client($httpd)->post($path, $packed,
    headers => { @auth, 'Content-Encoding' => 'gzip' });
is $res->status, 415, '... and without it a packed one is refused';

# ---- errors that httpd answers

for my $case (['/locked', 401], ['/denied', 403]) {
    my ($where, $status) = @$case;
    $res = client($httpd)->post("$where$path", chat('gpt-5', 'x'),
                                headers => { @auth });
    is $res->status, $status, "$where: $status";
    is $res->header('Content-Type'), 'application/json', '... as JSON';
    ok eval { from_json($res->body)->{error}{message} }, '... that parses';
}

# ---- places

$res = client($httpd)->post("/llm$path", chat('gpt-5', 'x'),
                            headers => { @auth });
is $res->status, 200, 'a location of ours may have others and <If> in it';
$res = client($httpd)->post("/health$path", chat('gpt-5', 'x'),
                            headers => { @auth });
is $res->status, 404, 'one without SetHandler is no way around the API\'s own';
$res = client($httpd)->get('/old', headers => { @auth });
is $res->status, 302, 'an operator\'s Redirect holds in our locations';
$res = client($httpd)->get('/v1/models', headers => {
    Authorization => 'Basic dTpw', 'x-api-key' => $master });
is $res->status, 200, 'a password for somebody else is not taken for our key';

# ---- remoteip

client($httpd)->get('/health', headers => { 'X-Client' => '192.0.2.7' });
ok wait_until(5, sub {
    return grep { $_->{remote_ip} eq '192.0.2.7' } $httpd->access_lines;
}), 'the log has the address that mod_remoteip found';

# ---- status

$res = client($httpd)->get('/server-status');
like $res->body, qr/<h2>LLMux<.h2>.*<td>gpt-5<.td>/s,
    'mod_status has our section';
$res = client($httpd)->get('/server-status?auto');
like $res->body, qr/^LLMuxInFlight: 0$/m, '... and the short form';

# ---- keys

$res = client($httpd)->get("/v1/models?key=$master&x=1");
is $res->status, 200, 'a key in the URL opens' or diag $res->body;
client($httpd)->get("/v1/models?x=1&api_key=$master");
client($httpd)->post($path, chat('refused', 'x'), headers => { @auth });
my $status = client($httpd)->get('/server-status')->body;
$res = client($httpd)->post($path, chat('refused', 'x'),
                            headers => { @auth });
my $metrics = client($httpd)->get('/metrics', headers => { @auth })->body;
my $log = slurp($httpd->dir . '/access.log');

for my $secret ($key, $master) {
    unlike $_->[1], qr/\Q$secret/, "no $secret in $_->[0]"
        for ['the error log', $httpd->log_text], ['the access log', $log],
            ['the metrics', $metrics], ['mod_status', $status],
            ['an answer', $res->body];
}
is $res->status, 502, 'a refused account is our trouble, not the client\'s';
like $log, qr{"path":"/v1/models"}, 'the request without the key is logged';
is client($httpd)->get('/metrics')->status, 401, 'metrics want the key';
is client($httpd)->get('/health/ready')->status, 200, 'health does not';

done_clean($httpd, allow => [qr/LX0021/, qr/AH01614|AH01630/,
                             qr/AH10034/]);

# ---- the other MPMs

for my $mpm (qw(worker prefork)) {
    my $mock = mock();
    my $other = httpd(mpm => $mpm, conf => <<"END");
<LLMuxProvider mock>
    LLMuxType openai
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey $key
    LLMuxModels gpt-5
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END
    like post($other, $path, chat('gpt-5', 'Hello'))->body, qr/Hello/,
        "$mpm: whole";
    my @events = sse(post($other, $path,
                          chat('gpt-5', 'a b', stream => true))->body);
    is $events[-1]{data}, '[DONE]', "$mpm: streamed";
    my $seen = get($other, '/metrics')->body;
    like $seen, qr/requests_total\{provider="mock",model="gpt-5",status="200"\} 2/,
        "$mpm: counted over all children";
    done_clean($other);
}

done_testing;
