# 22-input.t - whatever a client sends has a clear answer, and afterwards its
# connection serves the next request or is closed.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use IO::Compress::Gzip ();

my $mock = mock();
my $key = 'sk-master-0815-canary';
my $limit = 65536;
my $httpd = httpd(conf => <<"END");
    LLMuxMasterKey $key
    LLMuxMaxBody 64k
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-oai
    </LLMuxProvider>
    <LLMuxProvider ant>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-ant
    </LLMuxProvider>
    <LLMuxModel gpt>
        LLMuxDeployment oai gpt
    </LLMuxModel>
    <LLMuxModel claude>
        LLMuxDeployment ant claude
    </LLMuxModel>
    <Location "/">
        SetHandler llmux
    </Location>
    <Location "/cors">
        SetHandler llmux
        LLMuxCORSOrigins https://app.example.com https://other.example.com
    </Location>
    <Location "/any">
        SetHandler llmux
        LLMuxCORSOrigins *
    </Location>
    <Location "/closed">
        SetHandler llmux
        LLMuxMetrics off
    </Location>
    <Location "/open">
        SetHandler llmux
        LLMuxMetrics open
    </Location>
    <Location "/large">
        SetHandler llmux
        LLMuxMaxBody 32M
    </Location>
    Timeout 2
END

my $path = '/v1/chat/completions';
my @auth = (Authorization => "Bearer $key");
my $good = chat('gpt', 'good');

# ---- asking

# Either the connection is of use, or it is at its end.
sub lives_or_ends
{
    my ($c, $res, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    if ($res->error || ($res->header('connection') // '') =~ /close/i) {
        return ok $c->wait_closed(5), "$what: the connection is closed";
    }
    my $next = $c->post($path, $good, headers => [@auth]);
    # httpd's own errors may end without having said so.
    return ok 1, "$what: the connection is closed"
        if ($next->error // '') =~ /^(?:closed|reset)$/
            && !defined $res->header('x-request-id');
    return is $next->status . ($next->json
        ? $next->json->{choices}[0]{message}{content} : ''), '200good',
        "$what: the next request there works";
}

# One request with this body; an error of this status, in OpenAI's form.
# Options: param, code, like (the message), and the client's own.
sub refused
{
    my ($what, $body, $status, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($param, $code, $like) = delete @opt{qw(param code like)};
    my $c = client($httpd);
    my $asked = $mock->requests;
    my $res = $c->request(delete $opt{method} || 'POST',
        delete $opt{path} // $path, body => $body,
        headers => [@auth, @{ delete $opt{headers} || [] }], %opt);

    is_error($res, $status, $what);
    my $error = ($res->json || {})->{error} || {};
    is $error->{param}, $param, "$what: param" if defined $param;
    is $error->{code}, $code, "$what: code" if defined $code;
    like $error->{message} // '', $like, "$what: message" if $like;
    is scalar($mock->requests), $asked, "$what: no provider is asked";
    lives_or_ends($c, $res, $what);
    return $res;
}

sub is_error
{
    my ($res, $status, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = $res->json;
    my $error = ref $json eq 'HASH' ? $json->{error} : undef;

    is $res->status, $status, "$what: $status" or diag $res->body;
    ok ref $error eq 'HASH' && length $error->{message} && $error->{type}
        && exists $error->{code} && exists $error->{param}
        && $res->type eq 'application/json',
        "$what: in OpenAI's form" or diag $res->body;
    return;
}

sub answered
{
    my ($what, $body, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $c = client($httpd);
    my $res = $c->post(delete $opt{path} // $path, $body,
        headers => [@auth, @{ delete $opt{headers} || [] }], %opt);

    is $res->status, 200, "$what: 200" or diag $res->body;
    lives_or_ends($c, $res, $what);
    return $res;
}

# ----------------------------------------------------------------------

subtest 'no JSON' => sub {
    my $text = '{"model": "gpt", "messages": [{"role": "user", "content": "x"}]}';
    my @cases = (
        ['nothing', '', qr/line 1, column 1 \(byte 0\)/],
        ['white space', " \n\t", qr/byte 3/],
        ['words', 'hello', qr/byte 0/],
        ['cut', substr($text, 0, 30), qr/line 1, column 31 \(byte 30\)/],
        ['cut on line 3', "{\n\"model\":\n\"gp", qr/line 3/],
        ['something behind it', "$text x", qr/byte 65/],
        ['two of them', "$text$text", qr/byte 64/],
        ['single quotes', $text =~ tr/"/'/r, qr/byte 1\b/],
        ['a trailing comma', $text =~ s/\}\z/,}/r, qr/byte 64/],
        ['a comment', "/* */ $text", qr/byte 0/],
        ['a number that is none', '{"model": 01}', qr/byte 11/],
        ['NaN', '{"temperature": NaN}', qr/byte 16/],
        ['a NUL in a string', $text =~ s/gpt/g\0t/r, qr/byte 12/],
        ['a NUL outside', "$text\0", qr/byte 64/],
        ['a line feed in a string', $text =~ s/gpt/g\nt/r, qr/byte 12/],
        ['a lone continuation byte', $text =~ s/x/\x80/r, qr/byte/],
        ['an overlong slash', $text =~ s/x/\xc0\xaf/r, qr/byte/],
        ['a surrogate in UTF-8', $text =~ s/x/\xed\xa0\x80/r, qr/byte/],
        ['beyond Unicode', $text =~ s/x/\xf5\x80\x80\x80/r, qr/byte/],
        ['half a character', $text =~ s/x/\xe2\x82/r, qr/byte/],
        ['UTF-16', join("\0", '', split //, $text), qr/byte 0/],
        ['a bad escape', $text =~ s/x/\\x41/r, qr/byte/],
        ['half an escape', $text =~ s/x/\\u12/r, qr/byte/],
        ['a depth bomb', '[' x 60000, qr/deep|nest/],
        ['a depth bomb of objects', '{"a":' x 10000, qr/deep|nest/],
        ['one inside', $text =~ s/"x"/'[' x 200 . ']' x 200/er, qr/deep|nest/],
        ['form data', 'model=gpt&x=1', qr/byte 0/],
    );
    for my $case (@cases) {
        my ($what, $body, $like) = @$case;
        refused($what, $body, 400, code => 'invalid_json', like => $like);
    }
};

# Each value takes memory beside its own text, as long as the request lasts.
subtest 'too many values' => sub {
    my $zeros = join ',', (0) x 2_200_000;
    my $asks = '"messages":[{"role":"user","content":"x"';
    my %bodies = (
        'at the top' => qq({"model":"gpt","x":[$zeros],$asks}]}),
        'deep, to be translated' => qq({"model":"claude",$asks,"x":[$zeros]}]}),
    );
    for my $where (sort keys %bodies) {
        my $res = client($httpd)->post("/large$path", $bodies{$where},
            headers => { @auth, 'Content-Type' => 'application/json' });
        is $res->status, 400, "$where: refused";
        like $res->json->{error}{message}, qr/too many values|more than \d+ values/,
            '... in words';
    }
};

subtest 'wrong types' => sub {
    my @cases = (
        ['an array', [1], undef],
        ['a string', '"x"', undef],
        ['null', 'null', undef],
        ['an empty object', {}, 'model'],
        ['no model', { messages => $good->{messages} }, 'model'],
        ['model: null', { %$good, model => undef }, 'model'],
        ['model: 7', { %$good, model => 7 }, 'model'],
        ['model: ""', { %$good, model => '' }, 'model'],
        ['model: too long', { %$good, model => 'x' x 300 }, 'model'],
        ['model: NUL', { %$good, model => "gpt\0" }, 'model'],
        ['no messages', { model => 'gpt' }, 'messages'],
        ['messages: text', { model => 'gpt', messages => 'x' }, 'messages'],
        ['messages: object', { model => 'gpt', messages => {} }, 'messages'],
        ['messages: none', { model => 'gpt', messages => [] }, 'messages'],
        ['stream: "yes"', { %$good, stream => 'yes' }, 'stream'],
        ['stream: 1', { %$good, stream => 1 }, 'stream'],
        ['stream_options: 1', { %$good, stream_options => 1 },
            'stream_options'],
        ['include_usage: 1', { %$good, stream_options =>
            { include_usage => 1 } }, 'stream_options.include_usage'],
        ['parameters: 1', { %$good, parameters => 1 }, 'parameters'],
        # What is translated is read to the bottom.
        (map { ["claude: $_->[0]", { %$good, model => 'claude', @{ $_->[1] } },
                $_->[2]] }
            ['messages: 7', [messages => [7]], 'messages[0]'],
            ['no role', [messages => [{ content => 'x' }]],
             'messages[0].role'],
            ['role: 7', [messages => [{ role => 7, content => 'x' }]],
             'messages[0].role'],
            ['content: 7', [messages => [{ role => 'user', content => 7 }]],
             'messages[0].content'],
            ['a part: 7', [messages => [{ role => 'user', content => [7] }]],
             'messages[0].content[0]'],
            ['temperature: "hot"', [temperature => 'hot'], 'temperature'],
            ['max_tokens: "1"', [max_tokens => '1'], 'max_tokens'],
            ['max_tokens: 1.5', [max_tokens => 1.5], 'max_tokens'],
            ['stop: {}', [stop => {}], 'stop'],
            ['tools: {}', [tools => {}], 'tools'],
            ['tools: 7', [tools => [7]], 'tools[0]'],
            ['response_format: 1', [response_format => 1],
             'response_format'],
            ['n: "two"', [n => 'two'], 'n']),
    );
    for my $case (@cases) {
        my ($what, $body, $param) = @$case;
        refused($what, $body, 400, param => $param);
    }
};

subtest 'members twice' => sub {
    my $rest = '"messages":[{"role":"user","content":"x"}]';
    my @cases = (
        ['model', qq({"model":"gpt","model":"claude",$rest})],
        ['model, escaped', qq({"model":"gpt","mod\\u0065l":"claude",$rest})],
        ['model, first escaped', qq({"\\u006dodel":"gpt","model":"x",$rest})],
        ['stream', qq({"model":"gpt","stream":true,"stream":false,$rest})],
        ['messages', qq({"model":"gpt",$rest,$rest})],
        ['in stream_options', qq({"model":"gpt","stream_options":{
            "include_usage":false,"include_us\\u0061ge":true},$rest})],
        ['in another case', qq({"model":"gpt","Model":"claude",$rest})],
    );
    for my $case (@cases) {
        my ($what, $body) = @$case;
        refused($what, $body, 400, like => qr/twice|spelled/);
    }
};

# Valid, though it may not look so.
subtest 'odd, but right' => sub {
    my $body = to_json($good);
    my %odd = ('white space around' => " \r\n\t$body\n\n",
        'escapes in names' => $body =~ s/"model"/"m\\u006fdel"/r,
        'escapes in values' => $body =~ s/"gpt"/"g\\u0070t"/r);
    for my $what (sort keys %odd) {
        my $res = answered($what, $odd{$what});
        is $res->json->{choices}[0]{message}{content}, 'good', $what;
    }
    for my $model (qw(gpt claude)) {
        my $res = answered("$model: NUL in a text", qq({"model":"$model",)
            . '"messages":[{"role":"user","content":"a\u0000b"}]}');
        is $res->json->{choices}[0]{message}{content}, "a\0b",
            "$model: comes back";
        $res = answered("$model: half a surrogate pair", qq({"model":"$model",)
            . '"messages":[{"role":"user","content":"a\ud800b"}]}');
        ok $res->json, "$model: is answered with JSON";
        my $text = "Zo\x{eb} \x{1f642} \x{2028}";
        $res = answered("$model: all of Unicode", chat($model, $text));
        is $res->json->{choices}[0]{message}{content}, $text,
            "$model: unharmed";
    }
    answered('unknown members', { %$good, x_y_z => [1, { a => undef }] });
    answered('a content type that says nothing', to_json($good),
             headers => ['Content-Type' => 'text/plain']);
    answered('just at the limit', at_size($limit));
};

# A good request of so many bytes.
sub at_size
{
    my ($n) = @_;
    my $body = to_json(chat('gpt', 'x'));
    return $body . ' ' x ($n - length $body);
}

subtest 'too large' => sub {
    my $res = refused('a byte too much', at_size($limit + 1), 413,
                      code => 'request_too_large', like => qr/65536/);
    is $res->header('x-should-retry'), undef, 'nobody says "try again"';
    refused('in chunks', at_size($limit + 1), 413, chunked => 1,
            pieces => 5000, code => 'request_too_large');

    # Only the beginning is sent: the answer does not wait for the rest.
    my $c = client($httpd);
    $c->send("POST $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $key\r\n"
        . "Content-Length: 500000000\r\n\r\n" . '{"model":"gpt"');
    $res = $c->read(timeout => 5);
    is_error($res, 413, 'half a gigabyte announced');
    lives_or_ends($c, $res, 'half a gigabyte announced');

    $c = client($httpd);
    $c->send("POST $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $key\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n"
        . ("4000\r\n" . 'x' x 0x4000 . "\r\n") x 5);
    $res = $c->read(timeout => 5);
    is_error($res, 413, 'chunks without end');
    lives_or_ends($c, $res, 'chunks without end');

    $c = client($httpd);
    $c->send_request(POST => $path, headers => [@auth, Expect =>
        '100-continue', 'Content-Length' => 500_000_000]);
    $res = $c->read(timeout => 5);
    is_error($res, 413, 'asked before it is sent');
    is_deeply $res->{interim}, [], 'it is not invited';
    lives_or_ends($c, $res, 'asked before it is sent');
};

subtest 'lengths that lie' => sub {
    my $body = to_json($good);
    for my $way (qw(half_close close abort)) {
        my $c = client($httpd);
        my $asked = $mock->requests;
        $c->send_request(POST => $path, body => $body, headers =>
            [@auth, 'Content-Length' => 20 + length $body]);
        sleep 0.02;
        $c->$way;
        if ($way eq 'half_close') {
            my $res = $c->read(timeout => 5);
            is_error($res, 400, 'more announced than sent');
            ok $c->wait_closed(5), 'and closed';
        }
        sleep 0.05;
        is scalar($mock->requests), $asked, "$way: no provider is asked";
    }
    my $c = client($httpd);
    $c->send_request(POST => $path, body => $body, headers =>
        [@auth, 'Content-Length' => 20 + length $body]);
    my $res = $c->read(timeout => 6);
    is_error($res, 408, 'a body that never comes');
    lives_or_ends($c, $res, 'a body that never comes');

    refused('less announced than sent', $body, 400, headers =>
        ['Content-Length' => length($body) - 5], code => 'invalid_json');
    for my $length (qw(-1 +5 0x10 abc 99999999999999999999), '1,2') {
        my $c = client($httpd);
        my $res = $c->post($path, $body, headers =>
            [@auth, 'Content-Length' => $length]);
        like $res->status, qr/^(?:400|413)$/, "Content-Length: $length";
        lives_or_ends($c, $res, "Content-Length: $length");
    }
    $c = client($httpd);
    $res = $c->post($path, $body, headers => [@auth,
        'Content-Length' => length $body, 'Content-Length' => 5]);
    is $res->status, 400, 'two different lengths';
    lives_or_ends($c, $res, 'two different lengths');
};

subtest 'bodies in pieces' => sub {
    my $body = to_json($good);
    my %ways = (
        'one byte a chunk' => [chunked => 1, pieces => 1],
        'three bytes a chunk, slowly' => [chunked => 1, gap => 0.005,
            pieces => 3 + int length($body) / 10],
        'slowly, with a length' => [gap => 0.01, pieces => 17],
        'one chunk' => [chunked => 1],
    );
    for my $what (sort keys %ways) {
        my $res = answered($what, $body, @{ $ways{$what} });
        is $res->json->{choices}[0]{message}{content}, 'good', $what;
    }
    my $head = "POST $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $key"
        . "\r\nTransfer-Encoding: chunked\r\n\r\n";
    my $size = sprintf '%x', length $body;
    my @cases = (
        ['extensions', "$size;a=b;c=\"d\"\r\n$body\r\n0\r\n\r\n", 200],
        ['trailers', "$size\r\n$body\r\n0\r\nX-Trailer: 1\r\n\r\n", 200],
        ['zeros in front', "000$size\r\n$body\r\n000\r\n\r\n", 200],
        ['capitals', uc($size) . "\r\n$body\r\n0\r\n\r\n", 200],
        ['no body at all', "0\r\n\r\n", 400],
        ['a size that is none', "zz\r\n$body\r\n0\r\n\r\n", 400],
        ['a negative size', "-5\r\n$body\r\n0\r\n\r\n", 400],
        ['a huge size', "ffffffffffffffff\r\n$body\r\n0\r\n\r\n", 413],
        ['a chunk without its end', "$size\r\n${body}0\r\n\r\n", 400],
    );
    for my $case (@cases) {
        my ($what, $bytes, $status) = @$case;
        my $c = client($httpd);
        $c->send($head . $bytes);
        my $res = $c->read(timeout => 6);
        $status == 413
            ? like($res->status, qr/^4(?:00|13)$/, $what)
            : is($res->status, $status, $what);
        ok $res->json, "$what: JSON";
        lives_or_ends($c, $res, $what);
    }
    my $c = client($httpd);
    $c->send_request(POST => $path, headers => [@auth, Expect =>
        '100-continue', 'Content-Length' => length $body]);
    ok wait_until(5, sub { $c->look(0.05); $c->{in} =~ /^HTTP\S+ 100/ }),
        'Expect: 100-continue is answered';
    $c->send($body);
    my $res = $c->read;
    is $res->status, 200, 'then the body is taken';
    is_deeply $res->{interim}, [100], 'one invitation';
    lives_or_ends($c, $res, 'after it');
};

subtest 'compressed bodies' => sub {
    IO::Compress::Gzip::gzip(\to_json($good) => \my $packed);
    refused('gzip', $packed, 415, like => qr/gzip/,
            headers => ['Content-Encoding' => 'gzip']);
    refused('something new', $packed, 415, like => qr/zstd/,
            headers => ['Content-Encoding' => 'zstd']);
    refused('gzip without saying so', $packed, 400, code => 'invalid_json');
    answered('identity', $good, headers => ['Content-Encoding' => 'identity']);
};

subtest 'heads' => sub {
    my @many = map { ("X-Header-$_" => 'x' x 20) } 1 .. 80;
    answered('80 headers', $good, headers => \@many);
    # httpd's own limits.
    my @cases = (
        ['200 headers', [map { ("X-Header-$_" => 'x') } 1 .. 200], 400],
        ['a header of 20,000 bytes', ['X-Long' => 'x' x 20000], 400],
        ['a header without a name', ['' => 'x'], 400],
        ['a space in a name', ['X Y' => 'x'], 400],
        ['a control character', ['X-Y' => "a\x01b"], 400],
        ['a NUL', ['X-Y' => "a\0b"], 400],
        ['an unknown expectation', [Expect => 'a-miracle'], 417],
        ['an unknown coding', ['Transfer-Encoding' => 'rot13'], 400],
    );
    for my $case (@cases) {
        my ($what, $headers, $status) = @$case;
        my $c = client($httpd);
        my $res = $c->post($path, to_json($good),
                           headers => [@auth, @$headers]);
        is_error($res, $status, $what);
        lives_or_ends($c, $res, $what);
    }
    my $c = client($httpd);
    my $res = $c->get('/' . 'x' x 20000);
    is $res->status, 414, 'a path of 20,000 bytes';
    lives_or_ends($c, $res, 'a path of 20,000 bytes');
    for my $bytes ("\r\n\r\n\r\n", "\0\0\0\0", "GET\r\n\r\n",
                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "{}\n") {
        my $c = client($httpd);
        $c->send($bytes);
        $c->half_close;
        ok $c->wait_closed(5), 'no HTTP at all: ' . unpack 'H*', $bytes;
    }
    # What a header says is never repeated into the answer's head.
    $res = answered('a name for the request', $good,
        headers => ['X-Request-ID' => "x\tSet-Cookie: a=b"]);
    is $res->header('set-cookie'), undef, 'no header comes of it';
};

subtest 'paths' => sub {
    my @unknown = ('/', '/v1', '/v1/', '/v1/nope', "${path}x", "$path/x",
        '/V1/chat/completions', '/v1/modelsx', '/healthy',
        '/health/dead', '/favicon.ico', '/..%2f..%2fetc/passwd',
        '/v1/chat%2fcompletions', '/%00', '/v1/models/%00', '/%zz',
        '/v1/completion', '/index.html', "/\xc3\xa9", '/.htaccess');
    for my $unknown (@unknown) {
        my $c = client($httpd);
        my $res = $c->get($unknown, headers => [@auth]);
        like $res->status, qr/^40[034]$/, "$unknown: " . $res->status;
        ok ref $res->json eq 'HASH' && $res->json->{error},
            "$unknown: in JSON" or diag $res->body;
        lives_or_ends($c, $res, $unknown);
    }
    refused('a path that is not there', $good, 404, path => '/v1/nope',
            like => qr{/v1/nope}, code => 'not_found');
    for my $alias ("$path/", "/any$path", "$path?x=1") {
        answered($alias, $good, path => $alias);
    }
    my $res = get($httpd, '/v1/models/nobody', headers => [@auth]);
    is $res->status . $res->json->{error}{code}, '404model_not_found',
        'a model that is not there';
    is get($httpd, '/v1/models/gpt', headers => [@auth])->json->{id}, 'gpt',
        'one that is';
    is scalar(@{ get($httpd, '/v1/models/', headers => [@auth])->json->{data} }),
        2, 'all of them, with a slash behind';
};

subtest 'unknown models' => sub {
    for my $name ('gpt-5', 'GPT', 'oai/gpt', 'gpt ', '../gpt', '%s%n', "\x{1f642}") {
        refused("model $name", chat($name, 'x'), 404, param => 'model',
            code => 'model_not_found', like => qr/claude, gpt\b/);
    }
    my $res = refused('by provider', { %$good, provider => 'oai' }, 403,
                      param => 'provider');
    my @series = get($httpd, '/metrics', headers => [@auth])->body
        =~ /"([^"]*gpt-5[^"]*|%s%n)"/;
    is_deeply \@series, [], 'no such name becomes a label';
};

subtest 'methods' => sub {
    my @cases = (
        (map { [$_, $path, 'POST,OPTIONS'] } qw(GET HEAD PUT DELETE PATCH
            post BREW)),
        (map { [$_, '/v1/models', 'GET,HEAD,OPTIONS'] } qw(POST DELETE)),
        (map { [$_, '/v1/models/gpt', 'GET,HEAD,OPTIONS'] } qw(POST DELETE)),
        (map { [$_, '/health', 'GET,HEAD,OPTIONS'] } qw(POST PUT)),
        ['POST', '/metrics', 'GET,HEAD,OPTIONS'],
    );
    for my $case (@cases) {
        my ($method, $where, $allow) = @$case;
        my $c = client($httpd);
        my $res = $c->request($method => $where, headers => [@auth],
            $method =~ /^P/ ? (body => to_json($good)) : ());
        is $res->status, 405, "$method $where";
        is $res->header('allow') =~ s/\s//gr, $allow, "$method $where: Allow";
        is $res->json->{error}{code}, 'method_not_allowed',
            "$method $where: code" if $method ne 'HEAD';
        lives_or_ends($c, $res, "$method $where");
    }
    for my $where ('/v1/models', '/v1/models/gpt', '/health', '/health/live',
                   '/health/ready', '/metrics') {
        my $c = client($httpd);
        my $whole = $c->get($where, headers => [@auth]);
        my $res = $c->request(HEAD => $where, headers => [@auth]);
        is $whole->status, 200, "GET $where";
        is $res->status, 200, "HEAD $where";
        is $res->body, '', "HEAD $where: no body";
        is $res->type, $whole->type, "HEAD $where: the type";
        lives_or_ends($c, $res, "HEAD $where");
    }
    my $c = client($httpd);
    my $res = $c->request(TRACE => $path, headers => [@auth]);
    unlike $res->body, qr/canary/, 'TRACE shows no key';
    lives_or_ends($c, $res, 'TRACE');
};

subtest 'pages in browsers' => sub {
    my $origin = 'https://app.example.com';
    my @ask = ('Access-Control-Request-Method' => 'POST',
        'Access-Control-Request-Headers' => 'authorization,x-stainless-os');
    my @cases = (
        ['/cors', $origin, $origin], ['/cors', 'https://evil.example', undef],
        ['/cors', 'https://app.example.com.evil', undef],
        ['/cors', 'http://app.example.com', undef], ['/cors', 'null', undef],
        ['/any', 'https://anybody.example', 'https://anybody.example'],
        ['', $origin, undef],
    );
    for my $case (@cases) {
        my ($at, $from, $allowed) = @$case;
        my $what = "$from at '$at'";
        my $c = client($httpd);
        my $res = $c->request(OPTIONS => "$at$path", headers =>
            [Origin => $from, @ask]);
        is $res->status, 204, "$what: the preflight needs no key";
        is $res->body, '', "$what: and has no body";
        is $res->header('access-control-allow-origin'), $allowed,
            "$what: allowed or not";
        if ($allowed) {
            like $res->header('access-control-allow-methods'), qr/\bPOST\b/,
                "$what: the method";
            like $res->header('access-control-allow-headers'),
                qr/authorization.*x-stainless-os/, "$what: the headers";
        }
        for my $more ({}, { stream => true }, { model => 'nobody' }) {
            $res = client($httpd)->post("$at$path", { %$good, %$more },
                headers => [@auth, Origin => $from]);
            is $res->header('access-control-allow-origin'), $allowed,
                "$what: " . $res->status . ' of the request itself';
            is $res->header('vary'), $at && 'Origin' || undef,
                "$what: caches are told that it matters";
        }
        $res = client($httpd)->post("$at$path", $good,
            headers => [Origin => $from]);
        is $res->status . ($res->header('access-control-allow-origin') // ''),
            401 . ($allowed // ''), "$what: a page can read a 401";
        lives_or_ends($c, client($httpd)->get('/health'), $what);
    }
    my $res = client($httpd)->request(OPTIONS => $path);
    is $res->status, 204, 'OPTIONS without an origin';
    is $res->header('allow') =~ s/\s//gr, 'POST,OPTIONS', 'tells the methods';
    is client($httpd)->request(OPTIONS => '/nope')->status, 404,
        'but not of what is not there';
};

subtest 'keys' => sub {
    my @right = (
        [Authorization => "Bearer $key"], [Authorization => "bearer $key"],
        [Authorization => "Bearer   $key"], [Authorization => $key],
        ['x-api-key' => $key], ['api-key' => $key], ['x-goog-api-key' => $key],
    );
    for my $headers (@right) {
        my $res = post($httpd, $path, $good, headers => $headers);
        is $res->status, 200, "$headers->[0]: " . substr $headers->[1], 0, 9;
    }
    for my $query ("key=$key", "a=b&key=$key", "key=$key&a=b") {
        my $res = post($httpd, "$path?$query", $good);
        is $res->status, 200, 'in the query: ' . $query =~ s/=sk.*?canary/=.../r;
    }
    my @wrong = (
        [], [Authorization => ''], [Authorization => 'Bearer'],
        [Authorization => 'Bearer '], [Authorization => "Basic $key"],
        [Authorization => "Bearer ${key}x"],
        [Authorization => 'Bearer ' . substr $key, 0, -1],
        [Authorization => 'Bearer ' . uc $key],
        [Authorization => "Bearer $key $key"],
        ['x-api-key' => 'wrong'], ['x-api-key' => "Bearer $key"],
        [Authorization => 'Bearer ' . 'x' x 5000],
        [Authorization => "Bearer \xff\xfe"],
        ['X-Key' => $key], [Cookie => "key=$key"],
    );
    for my $headers (@wrong) {
        my $what = "@$headers" eq '' ? 'none' : substr("@$headers", 0, 40)
            =~ s/[^ -~]/?/gr;
        my $c = client($httpd);
        my $asked = $mock->requests;
        my $res = $c->post($path, $good, headers => $headers);
        is_error($res, 401, $what);
        is $res->json->{error}{code}, 'invalid_api_key', "$what: code";
        like $res->header('www-authenticate'), qr/^Bearer/, "$what: how";
        is scalar($mock->requests), $asked, "$what: nobody is asked";
        unlike $res->body, qr/canary/, "$what: not repeated";
        lives_or_ends($c, $res, $what);
    }
    is post($httpd, "$path?key=wrong", $good)->status, 401, '?key=wrong';
    is post($httpd, "$path?key=", $good)->status, 401, '?key=';

    # Nobody waits for what nobody wants.
    my @early = ([401, "POST $path"], [404, "POST /nope?key=$key"],
                 [405, 'POST /health']);
    for my $case (@early) {
        my ($status, $line) = @$case;
        my $c = client($httpd);
        my $start = time;
        $c->send("$line HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n{");
        my $res = $c->read(timeout => 5);
        is $res->status, $status, "$status comes before the body";
        cmp_ok time - $start, '<', 1.5, "$status: at once";
        $c->send(' ' x 599);
        lives_or_ends($c, $res, "$status: when the body has come");
    }

    my %open = ('/health' => 200, '/health/live' => 200,
        '/health/ready' => 200, '/v1/models' => 401, '/v1/models/gpt' => 401,
        '/metrics' => 401, '/open/metrics' => 200, '/closed/metrics' => 404,
        $path => 405, '/nope' => 404);
    for my $where (sort keys %open) {
        my $res = get($httpd, $where);
        is $res->status, $open{$where}, "without a key: $where";
    }
    for my $log ($httpd->log_text, $httpd->access_text) {
        unlike $log, qr/canary/i, 'no key in a log';
    }
    like $httpd->access_text, qr/"status":401/, 'which is about these';
};

subtest 'after all that' => sub {
    answered('a good request', $good);
    is scalar($httpd->children), 1, 'by the same child';
};

# AH10244 is what httpd itself says of /%zz.
done_clean($httpd, allow => [qr/\[core:error\].* AH10244: /]);
done_testing;
