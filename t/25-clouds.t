# 25-clouds.t - Bedrock and Vertex: addresses, signatures, and grants that are
# fetched once for all children, again before they expire, and again when the
# provider does not take them.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex);
use LLMux::Test;
use POSIX qw(strftime);

my $secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
my $converse = { json => { output => { message => { role => 'assistant',
    content => [{ text => 'hello' }] } }, stopReason => 'end_turn',
    usage => { inputTokens => 3, outputTokens => 1, totalTokens => 4 } } };
my $gemini = { json => { candidates => [{ index => 0, finishReason => 'STOP',
    content => { role => 'model', parts => [{ text => 'hello' }] } }],
    usageMetadata => { promptTokenCount => 3, candidatesTokenCount => 1,
                       totalTokenCount => 4 } } };
my $claude = { json => { id => 'msg_1', type => 'message',
    role => 'assistant', model => 'claude', content => [{ type => 'text',
        text => 'hello' }], stop_reason => 'end_turn',
    usage => { input_tokens => 3, output_tokens => 1 } } };
my $chat = { json => { id => 'c', object => 'chat.completion', created => 1,
    model => 'meta/llama', choices => [{ index => 0, finish_reason => 'stop',
        message => { role => 'assistant', content => 'hello' } }] } };

sub in_seconds { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

sub container
{
    my ($id, $lasts) = @_;
    return { path => '^/creds', do => { stall => 0.2, json => {
        AccessKeyId => $id, SecretAccessKey => $secret, Token => "session-$id",
        Expiration => in_seconds($lasts) } } };
}

sub token
{
    my ($token, $lasts) = @_;
    return { path => '^/token', do => { stall => 0.2, json => {
        access_token => $token, expires_in => $lasts,
        token_type => 'Bearer' } } };
}

my @answers = (
    { path => '/converse$', do => $converse },
    { path => ':generateContent$', do => $gemini },
    { path => ':rawPredict$', do => $claude },
    { path => '/endpoints/openapi/chat/completions$', do => $chat },
);
my $mock = mock(rules => [container('AKIDONE', 3600), token('ya29.one', 3600),
                          @answers]);

# A key of this test's own.
my $dir = LLMux::Place::temp_dir('clouds');
my ($status, $out) = LLMux::Place::run(['openssl', 'genpkey', '-algorithm',
    'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', "$dir/key.pem"]);
is $status, 0, 'a key for the service account' or diag $out;
LLMux::Place::spew("$dir/account.json", to_json({ type => 'service_account',
    project_id => 'project-1', private_key_id => 'kid-1',
    private_key => LLMux::Place::slurp("$dir/key.pem"),
    client_email => 'gateway@project-1.iam.gserviceaccount.com',
    token_uri => $mock->url . '/token' }));
chmod 0644, "$dir/account.json";

my $httpd = httpd(env => {
    AWS_CONTAINER_CREDENTIALS_FULL_URI => $mock->url . '/creds',
    AWS_CONTAINER_AUTHORIZATION_TOKEN => 'container-secret',
}, conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    LLMuxHeartbeat 300ms
    <LLMuxProvider fixed>
        LLMuxType bedrock
        LLMuxRegion us-east-1
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAWSKey AKIDFIXED $secret
    </LLMuxProvider>
    <LLMuxProvider bearer>
        LLMuxType bedrock
        LLMuxRegion us-east-1
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey bedrock-api-key
    </LLMuxProvider>
    <LLMuxProvider pod>
        LLMuxType bedrock
        LLMuxRegion us-east-1
        LLMuxBaseURL @{[ $mock->base ]}
    </LLMuxProvider>
    <LLMuxProvider vertex>
        LLMuxRegion europe-west4
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxCredentials $dir/account.json
    </LLMuxProvider>
    <Location "/">
        SetHandler llmux
    </Location>
END

my @gone;

# The requests that the mock got since the last time.
sub seen
{
    my @all = $mock->requests;
    my @new = @all[scalar(@gone) .. $#all];
    @gone = @all;
    return @new;
}

sub ask { return post($httpd, '/v1/chat/completions', chat($_[0], 'Hi')) }

# Many at a time, answered in any order.
sub ask_many
{
    my ($n, $model) = @_;
    my @clients = map { client($httpd) } 1 .. $n;

    $_->send_request('POST', '/v1/chat/completions', body => chat($model, 'Hi'))
        for @clients;
    return map { $_->read } @clients;
}

# The signature as AWS computes it, from what came.
sub signature_is_right
{
    my ($rq, $region) = @_;
    my ($id, $scope, $names, $signature) = $rq->{headers}{authorization} =~
        m{^AWS4-HMAC-SHA256 Credential=(\w+)/(\S+), ?SignedHeaders=(\S+), ?Signature=(\w{64})$}
        or return;
    my ($day, @scope) = split m{/}, $scope;
    my $path = $rq->{target} =~ s{\?.*}{}r;
    $path =~ s{([^/A-Za-z0-9_.~-])}{sprintf '%%%02X', ord $1}ge;
    my $canonical = join "\n", 'POST', $path, '',
        (map { "$_:$rq->{headers}{$_}" } split /;/, $names), '', $names,
        sha256_hex($rq->{body});
    my $to_sign = join "\n", 'AWS4-HMAC-SHA256', $rq->{headers}{'x-amz-date'},
        $scope, sha256_hex($canonical);
    my $key = "AWS4$secret";
    $key = hmac_sha256($_, $key) for $day, @scope;
    is "@scope", "$region bedrock aws4_request", 'for this service';
    is hmac_sha256_hex($to_sign, $key), $signature, 'signed as AWS does it';
    return $id;
}

subtest 'Bedrock: keys that last' => sub {
    my $res = ask('fixed/anthropic.claude-sonnet-4:0');
    is $res->status, 200, 'answered' or diag $res->body;
    is $res->json->{choices}[0]{message}{content}, 'hello', '... hello';
    is $res->json->{model}, 'anthropic.claude-sonnet-4:0',
        '... by the model that was asked, since Bedrock does not say it';
    my ($rq) = seen();
    is $rq->{target}, '/model/anthropic.claude-sonnet-4%3A0/converse',
        'the model stands in the path';
    is signature_is_right($rq, 'us-east-1'), 'AKIDFIXED', 'by this key';
    ok !exists $rq->{json}{model}, '... and not in the body';
    $res = ask('fixed/arn:aws:bedrock:us-east-1:1:inference-profile/x.y');
    ($rq) = seen();
    is $rq->{target}, '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1'
        . '%3Ainference-profile%2Fx.y/converse', 'an ARN, too';
    ok signature_is_right($rq, 'us-east-1'), '... signed';
    $res = ask('bearer/m');
    ($rq) = seen();
    is $rq->{headers}{authorization}, 'Bearer bedrock-api-key',
        "Bedrock's own keys are a bearer's";
};

subtest "Bedrock: an error's name stands in a header" => sub {
    $mock->rules({ path => '/converse$', times => 1, do => { status => 400,
        json => { message => 'Too many requests, wait' }, headers => {
            'x-amzn-ErrorType' => 'ThrottlingException:http://x/' } } },
        container('AKIDONE', 3600), token('ya29.one', 3600), @answers);
    my $res = ask('fixed/m');
    is $res->status, 429, 'whatever the status says' or diag $res->body;
    like $res->json->{error}{message}, qr/Too many requests, wait/, 'its words';
    $res = post($httpd, '/v1/chat/completions', { %{ chat('fixed/m', 'Hi') },
                                                  n => 2 });
    is scalar @{ $res->json->{choices} }, 2, 'two answers are asked for twice';
    is scalar seen(), 3, '... each by itself';
};

subtest 'a grant for all who ask' => sub {
    my @res = ask_many(12, 'pod/m');
    is_deeply [map { $_->status } @res], [(200) x 12], 'all are answered';
    my @rq = seen();
    my @fetched = grep { $_->{path} =~ m{^/creds} } @rq;
    is scalar @fetched, 1, 'it was fetched once';
    is $fetched[0]{headers}{authorization}, 'container-secret',
        '... by what the environment gave';
    for my $rq (grep { $_->{path} !~ m{^/creds} } @rq) {
        is $rq->{headers}{'x-amz-security-token'}, 'session-AKIDONE',
            'the session goes along' or last;
    }
    is signature_is_right($rq[-1], 'us-east-1'), 'AKIDONE', 'signed by it';
};

subtest 'Vertex: one project, all makers' => sub {
    my @res = ask_many(8, 'vertex/gemini-2.5-flash');
    is_deeply [map { $_->status } @res], [(200) x 8], 'all are answered'
        or diag $res[0]->body;
    my @rq = seen();
    is scalar(grep { $_->{path} =~ m{^/token} } @rq), 1, 'one token for all';
    my ($rq) = grep { $_->{path} !~ m{^/token} } @rq;
    is $rq->{target}, '/v1/projects/project-1/locations/europe-west4'
        . '/publishers/google/models/gemini-2.5-flash:generateContent',
        'a model of Google';
    is $rq->{headers}{authorization}, 'Bearer ya29.one', '... by the token';
    ok !$rq->{headers}{'x-goog-api-key'}, '... and nothing else';

    is ask('vertex/claude-sonnet-4@20250514')->status, 200, 'Anthropic';
    ($rq) = seen();
    is $rq->{target}, '/v1/projects/project-1/locations/europe-west4'
        . '/publishers/anthropic/models/claude-sonnet-4%4020250514:rawPredict',
        '... in its place';
    is $rq->{json}{anthropic_version}, 'vertex-2023-10-16', '... its version';
    ok !exists $rq->{json}{model}, '... without a model';

    is ask('vertex/meta/llama-4')->status, 200, 'others';
    ($rq) = seen();
    is $rq->{target}, '/v1/projects/project-1/locations/europe-west4'
        . '/endpoints/openapi/chat/completions', "... speak OpenAI's";
    is $rq->{json}{model}, 'meta/llama-4', '... by their whole name';
};

subtest 'a grant that is not taken any more' => sub {
    $mock->rules(container('AKIDTWO', 3600), token('ya29.two', 3600),
        { path => ':generateContent$', headers => {
            authorization => 'ya29.one' }, do => '401' },
        { path => '/converse$', headers => {
            'x-amz-security-token' => 'AKIDONE' }, do => '403' }, @answers);
    for my $model (qw(vertex/gemini pod/m)) {
        is ask($model)->status, 502, "$model: refused, and not told to the"
            . ' client as its own fault';
        is ask($model)->status, 200, '... but the next one has a new grant';
    }
    my @rq = seen();
    is scalar(grep { $_->{path} =~ m{^/(?:creds|token)} } @rq), 2,
        'fetched once each';
};

subtest 'nobody gives one' => sub {
    $mock->rules({ path => '^/creds', do => 'reset' },
        { path => '^/token', do => '500' },
        { path => ':generateContent$', headers => {
            authorization => 'ya29' }, do => '401' },
        { path => '/converse$', do => '403' }, @answers);
    for my $model (qw(vertex/gemini pod/m)) {
        ask($model);
        my $res = ask($model);
        is $res->status, 502, "$model: no grant";
        like $res->json->{error}{message}, qr/no credentials/,
            '... and the client learns no more';
        unlike $res->body, qr/\Q$secret\E|container-secret|ya29|PRIVATE/,
            '... above all no secret';
    }
    seen();
    $mock->rules(container('AKIDNEW', 3600), token('ya29.new', 3600),
                 @answers);
    ok LLMux::Place::wait_until(8, sub { ask('pod/m')->status == 200 }),
        'it comes back by itself';
    ok LLMux::Place::wait_until(8, sub {
        ask('vertex/gemini')->status == 200 }), 'both do';
};

# Its answer has begun by then, as far as the client can tell.
subtest 'a stream that waits for a grant' => sub {
    $mock->rules({ path => '^/creds', do => 'stall=1+500' },
        { path => '/converse$', do => '403' });
    ask('pod/m');
    for my $path (qw(/v1/chat/completions /v1/messages)) {
        my $res = post($httpd, $path, { %{ chat('pod/m', 'Hi') },
                                        stream => true, max_tokens => 9 });
        is $res->status, 200, "$path: kept alive";
        like $res->body, qr/no credentials/, '... and told that there is none';
        select undef, undef, undef, 2.1;
    }
    seen();
    $mock->rules(container('AKIDNEW', 3600), @answers);
    is ask('pod/m')->status, 200, 'the next one works';
    seen();
};

subtest 'a client who leaves while it is fetched' => sub {
    $mock->rules({ path => '^/creds', times => 1, do => 'stall=3' },
        container('AKIDLATE', 3600), { path => '/converse$', headers => {
            'x-amz-security-token' => 'AKIDNEW' }, do => '403' }, @answers);
    ask('pod/m');
    my $client = client($httpd);
    $client->send_request('POST', '/v1/chat/completions', body => chat('pod/m', 'x'));
    ok LLMux::Place::wait_until(5, sub {
        scalar grep { $_->{path} =~ m{^/creds} } seen() }), 'it is asked for';
    $client->abort;
    my $began = time;
    my $res = ask('pod/m');
    is $res->status, 200, 'somebody else fetches it then' or diag $res->body;
    ok time - $began < 3, '... and does not wait for the one that left';
};

my $log = $httpd->log_text;
unlike $log, qr/\Q$secret\E|container-secret|ya29\.|session-AKID|PRIVATE KEY/,
    'no secret in the log';
like $log, qr/LX0023: .*does not answer/, 'but who does not answer';
unlike $log, qr{LX0023: .*/creds}, '... without the path, which is one in ECS';

subtest 'mistakes are found before the start' => sub {
    my $section = sub {
        my ($status, $out) = conf_test("<LLMuxProvider x>\n$_[0]\n"
                                       . "</LLMuxProvider>");
        return $status ? $out : "accepted\n";
    };
    like $section->('LLMuxType bedrock'), qr/no region: set LLMuxRegion/,
        'no region';
    like $section->("LLMuxType bedrock\nLLMuxRegion eu_central"),
        qr/looks like eu-central-1/, 'no such region';
    is $section->("LLMuxType bedrock\nLLMuxRegion us-east-1\n"
                  . 'LLMuxCredentials instance'), "accepted\n",
        'the role of the machine';
    like $section->("LLMuxType vertex\nLLMuxCredentials instance"),
        qr/no project: set LLMuxProject/, 'no project';
    like $section->("LLMuxType vertex\nLLMuxCredentials /nowhere.json"),
        qr/no such file/, 'no file';
    LLMux::Place::spew("$dir/bad.json", '{"type":"service_account"}');
    like $section->("LLMuxType vertex\nLLMuxCredentials $dir/bad.json"),
        qr/bad\.json: /, 'a file without a key';
    like $section->("LLMuxType openai\nLLMuxCredentials environment"),
        qr/for bedrock and vertex/, 'credentials for whom they are not';
    like $section->("LLMuxType bedrock\nLLMuxRegion us-east-1\n"
                    . 'LLMuxAWSKey AKID env:NOT_THERE'),
        qr/LLMuxAWSKey: /, 'a secret that is not there';
    like $section->("LLMuxType openai\nLLMuxAWSKey AKID $secret session"),
        qr/LLMuxAWSKey is for bedrock/, 'keys of one cloud for another';
};

LLMux::Place::drop_dir($dir);

# Refused and missing credentials are the operator's to know.
done_clean($httpd, allow => [qr{LX002[123]: }]);
done_testing;
