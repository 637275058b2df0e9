# 10-config.t - apachectl -t finds every mistake, says where it is and what
# would be right; settings are inherited; secrets stay unseen.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $good = <<'END';
<LLMuxProvider demo>
    LLMuxModels demo
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END

# Certificates, their keys, and what is none.
my $pem = temp_dir('pem');
for my $name (qw(own other)) {
    my ($status, $out) = run([
        qw(openssl req -x509 -nodes -days 1 -newkey ec),
        qw(-pkeyopt ec_paramgen_curve:prime256v1 -subj), "/CN=$name",
        '-keyout', "$pem/$name.key", '-out', "$pem/$name.crt"]);
    die "openssl: $out\n" if $status ne '0';
}
run([qw(openssl pkcs8 -topk8 -passout pass:word -in), "$pem/own.key",
     '-out', "$pem/locked.key"]);
spew("$pem/both.pem", slurp("$pem/own.crt") . slurp("$pem/own.key"));
spew("$pem/words.pem", "These are words.\n");

# ---- mistakes: what is written, and what the answer must say

my @mistakes = (
    ['unknown kind', "<LLMuxProvider nobody>\n</LLMuxProvider>",
        qr/line \d+.*no kind of provider 'nobody'.*LLMuxType/],
    ['unknown type', "<LLMuxProvider x>\nLLMuxType nope\n</LLMuxProvider>",
        qr/no kind of provider 'nope'.*openai, anthropic/],
    ['no base URL', "<LLMuxProvider azure>\nLLMuxAPIKey k\n</LLMuxProvider>",
        qr/LLMuxBaseURL/],
    ['base URL without scheme', provider('LLMuxBaseURL example.com'),
        qr/LLMuxBaseURL 'example\.com'.*https:\/\/host/],
    ['base URL with credentials', provider('LLMuxBaseURL https://u:p@h/v1'),
        qr/use LLMuxAPIKey/],
    ['base URL with query', provider('LLMuxBaseURL https://h/v1?a=b'),
        qr/no query/],
    ['base URL of another scheme', provider('LLMuxBaseURL ftp://h/'),
        qr/http or https/],
    ['base URL with a left-over variable',
        provider('LLMuxBaseURL https://${NOSUCH}/v1'), qr/not defined/],
    ['undefined variable as key', provider('LLMuxAPIKey ${NOSUCH}'),
        qr/LLMuxAPIKey/],
    ['key from a variable that is not set', provider('LLMuxAPIKey env:NOSUCH'),
        qr/LLMuxAPIKey.*NOSUCH/],
    ['key from a file that is not there',
        provider('LLMuxAPIKey file:/nonexistent/key'),
        qr/LLMuxAPIKey.*nonexistent/],
    ['header name', provider('LLMuxHeader "a b" c'), qr/HTTP header/],
    ['header of ours', provider('LLMuxHeader Host evil'),
        qr/set by the gateway/],
    ['ability', provider('LLMuxAbility +flying'), qr/stream-usage/],
    ['ability without sign', provider('LLMuxAbility json-schema'),
        qr/\+ or -/],
    ['CA file', provider('LLMuxCAFile /nonexistent.pem'), qr/no such file/],
    ['client certificate', provider('LLMuxClientCertificate /nonexistent.pem'),
        qr/LLMuxClientCertificate '.*no such file/],
    ['client certificate that is none',
        provider("LLMuxClientCertificate $pem/words.pem"),
        qr/LLMuxClientCertificate: no certificate in .*words/s],
    ['client certificate without a key',
        provider("LLMuxClientCertificate $pem/own.crt", 'LLMuxRetries 1'),
        qr/no key in \S+own\.crt/s],
    ['client key', provider("LLMuxClientCertificate $pem/own.crt",
        'LLMuxClientKey /nonexistent.pem'), qr/LLMuxClientKey.*no such file/],
    ['client key that is none',
        provider("LLMuxClientKey $pem/words.pem",
            "LLMuxClientCertificate $pem/own.crt"),
        qr/LLMuxClientKey: no key in .*words/s],
    ['client key of another certificate',
        provider("LLMuxClientCertificate $pem/own.crt",
            "LLMuxClientKey $pem/other.key"),
        qr/other\.key is not that of the certificate in .*own/s],
    ['client key with a passphrase',
        provider("LLMuxClientCertificate $pem/own.crt",
            "LLMuxClientKey $pem/locked.key"), qr/has a passphrase/],
    ['client key alone', provider("LLMuxClientKey $pem/own.key"),
        qr/no use without LLMuxClientCertificate/s],
    ['client certificate outside', "LLMuxClientCertificate $pem/own.crt",
        qr/<LLMuxProvider>/],
    ['client key outside', "LLMuxClientKey $pem/own.key",
        qr/<LLMuxProvider>/],
    ['transport', provider('LLMuxTransport pigeon'),
        qr/LLMuxTransport.*one of auto\|curl/],
    ['proxy', provider('LLMuxProxy proxy.example.com:3128'),
        qr/none, environment, or a URL/],
    ['version', provider('LLMuxAPIVersion "20 24"'), qr/2024-10-21/],
    ['Azure path', provider('LLMuxAzureAPI v2'), qr/deployment or v1/],
    ['time', provider('LLMuxConnectTimeout soon'),
        qr/LLMuxConnectTimeout: 'soon' is not a time.*from 10ms to 300s/],
    ['time out of range', provider('LLMuxConnectTimeout 1h'), qr/300s/],
    ['retries', provider('LLMuxRetries many'), qr/whole number, from 0 to 10/],
    ['size', 'LLMuxMaxBody big', qr/a size such as.*from 1024 to 1024M/],
    ['size out of range', 'LLMuxMaxBody 2G', qr/LLMuxMaxBody/],
    ['word', 'LLMuxUnsupported maybe', qr/one of tell\|refuse/],
    ['two words', 'LLMuxDirect on off', qr/LLMuxDirect takes one value/],
    ['no word', 'LLMuxDirect', qr/LLMuxDirect/],
    ['count', 'LLMuxAttempts 0', qr/from 1 to 20/],
    ['provider setting outside', 'LLMuxRetries 1', qr/<LLMuxProvider>/],
    ['key outside', 'LLMuxAPIKey x', qr/<LLMuxProvider>/],
    ['deployment outside', 'LLMuxDeployment demo x', qr/<LLMuxModel>/],
    ['provider of no name', "<LLMuxProvider>\n</LLMuxProvider>",
        qr/takes one name/],
    ['provider of two names', "<LLMuxProvider a b>\n</LLMuxProvider>",
        qr/takes one name/],
    ['provider with a slash', "<LLMuxProvider a/b>\n</LLMuxProvider>",
        qr/no slash/],
    ['provider twice', "<LLMuxProvider demo>\n</LLMuxProvider>",
        qr/of this name already/],
    ['model twice', model('LLMuxDeployment demo x') x 2,
        qr/model of this name already/],
    ['model without deployment', model(''), qr/no LLMuxDeployment/],
    ['deployment of nobody', model('LLMuxDeployment ghost x'),
        qr/line \d+.*no <LLMuxProvider ghost>/],
    ['deployment twice',
        model("LLMuxDeployment demo x\nLLMuxDeployment demo x"),
        qr/has this deployment already/],
    ['deployment without model', model('LLMuxDeployment demo'),
        qr/wants a provider and/],
    ['weight', model('LLMuxDeployment demo x weight=0'), qr/1 to 10000/],
    ['weight overflow', model('LLMuxDeployment demo x weight=99999999999999'),
        qr/1 to 10000/],
    ['deployment option', model('LLMuxDeployment demo x rpm=3'),
        qr/weight=N or tags/],
    ['stray quote', model('LLMuxDeployment demo x tags="free tier"'),
        qr/stray quote/],
    ['fallback to nothing',
        model("LLMuxDeployment demo x\nLLMuxFallback ghost"),
        qr/fallback ghost is no model/],
    ['fallback to itself', model("LLMuxDeployment demo x\nLLMuxFallback m"),
        qr/its own fallback/],
    ['strategy', model("LLMuxDeployment demo x\nLLMuxStrategy best"),
        qr/must be weighted-shuffle/],
    ['master key that is not there', 'LLMuxMasterKey env:NOSUCH',
        qr/LLMuxMasterKey.*NOSUCH/],
    ['master key in a location',
        "<Location /x>\nLLMuxMasterKey k\n</Location>", qr/LLMuxMasterKey/],
    ['shared memory', 'LLMuxSharedMemory 10k', qr/from 1M to 16G/],
    ['too many loops', 'LLMuxLoops 65', qr/auto, or a number from 0 to 64/],
    ['loops that are none', 'LLMuxLoops many', qr/auto, or a number from 0/],
    ['loops in a location', "<Location /x>\nLLMuxLoops 1\n</Location>",
        qr/LLMuxLoops/],
    ['setting in a model', model("LLMuxDeployment demo x\nLLMuxAttempts 5"),
        qr/LLMuxAttempts.*no place in a <LLMuxModel>/],
    ['the same provider twice in a virtual host',
        "<VirtualHost *:1>\n" . "<LLMuxProvider demo>\n</LLMuxProvider>\n" x 2
        . '</VirtualHost>', qr/provider of this name already/],
    ['provider in a location',
        "<Location /x>\n<LLMuxProvider y>\n</LLMuxProvider>\n</Location>",
        qr/LLMuxProvider/],
);

for my $case (@mistakes) {
    my ($name, $text, $says) = @$case;
    my ($status, $out) = conf_test($good . $text);

    isnt $status, '0', "$name is refused";
    like $out, $says, "$name: it says what is wrong";
    like $out, qr/line \d+/, "$name: it says where";
}

my ($status, $out) = conf_test($good);
is $status, '0', 'a right configuration passes' or diag $out;

($status, $out) = conf_test($good . model("LLMuxDeployment demo x weight=3 "
    . "tags=a,b\nLLMuxFallback demo\nLLMuxStrategy weighted-shuffle"));
is $status, '0', 'a model section passes' or diag $out;

# The pair can be judged at the section's end only; its line is told.
sub told_line
{
    my (undef, $out) = conf_test($good . provider(@_));
    return $out =~ /line (\d+)/ ? $1 : "none: $out";
}
is told_line("LLMuxClientCertificate $pem/own.crt",
        "LLMuxClientKey $pem/other.key", 'LLMuxRetries 1'),
    told_line('LLMuxRetries 1', 'LLMuxClientKey /nonexistent.pem'),
    'a key that does not fit is told with its own line';

for my $case (["LLMuxClientCertificate $pem/own.crt",
               "LLMuxClientKey $pem/own.key"],
              ["LLMuxClientKey $pem/own.key",
               "LLMuxClientCertificate $pem/own.crt"],
              ["LLMuxClientCertificate $pem/both.pem"],
              ['LLMuxTransport curl'], ['LLMuxTransport auto']) {
    ($status, $out) = conf_test($good . provider(@$case));
    is $status, '0', "@{[ map { /^(\w+)/ } @$case ]} passes" or diag $out;
}

# ---- an open door

($status, $out) = conf_test($good . "Listen 0.0.0.0:1\n");
isnt $status, '0', 'no key on an address other than loopback is refused';
like $out, qr/LLMuxMasterKey off/, '... and it says how to mean it';

($status) = conf_test($good . "Listen 0.0.0.0:1\nLLMuxMasterKey off\n");
is $status, '0', '... unless it is meant';

($status) = conf_test($good . "Listen 0.0.0.0:1\nLLMuxMasterKey secret\n");
is $status, '0', '... or there is a key';

# ---- secrets are not shown

my $secret = 'sk-canary-7d1f9a';
($status, $out) = conf_test($good . provider("LLMuxAPIKey $secret",
    "LLMuxHeader x-extra $secret") . "LLMuxMasterKey $secret\n",
    modules => ['info'], args => ['-DDUMP_CONFIG']);
is $status, '0', 'the configuration can be dumped';
like $out, qr/LLMuxAPIKey \(secret\)/, '... with the key hidden';
unlike $out, qr/\Q$secret/, '... everywhere';

# ---- inheritance: server, virtual host, location

my $httpd = httpd(tls => 1, modules => ['headers'], conf => <<"END");
LLMuxMaxBody 100k
LLMuxUnsupported refuse
<LLMuxProvider demo>
    LLMuxModels demo shared org/model
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
<Location "/wide">
    SetHandler llmux
    LLMuxMaxBody 2M
</Location>
<Location "/web">
    SetHandler llmux
    LLMuxCORSOrigins https://app.example
</Location>
<VirtualHost 127.0.0.1:__PORT__>
    ServerName localhost
    AllowEncodedSlashes NoDecode
</VirtualHost>
<VirtualHost 127.0.0.1:__PORT__>
    ServerName other.example
    LLMuxMaxBody 1k
    <LLMuxProvider extra>
        LLMuxType demo
        LLMuxModels only-here
    </LLMuxProvider>
</VirtualHost>
END

my $big = to_json({ model => 'demo', messages => [
    { role => 'user', content => 'x' x 4000 } ] });
my $huge = to_json({ model => 'demo', messages => [
    { role => 'user', content => 'x' x 150_000 } ] });
my $path = '/v1/chat/completions';

is post($httpd, $path, $big)->status, 200, 'the server\'s limit holds';
is post($httpd, $path, $huge)->status, 413, '... both ways';
is post($httpd, "/wide$path", $huge)->status, 200,
    'a location has its own, and its path may stand before /v1';
is post($httpd, $path, $big, headers => { Host => 'other.example' })->status, 413,
    'a virtual host has its own';

sub models_of
{
    my $res = get($httpd, '/v1/models', headers => { Host => $_[0] });
    return join ' ', map { $_->{id} } @{ from_json($res->body)->{data} };
}

is models_of('localhost'), 'demo org/model shared', 'models of the server';
is models_of('other.example'), 'demo only-here org/model shared',
    'a virtual host inherits them and adds its own';

my $model = from_json(get($httpd, '/v1/models/demo')->body);
is $model->{owned_by}, 'demo', 'a model has an owner';
like $model->{created}, qr/^\d{10}$/, '... and a time';
is from_json(get($httpd, "/v1/models/$_")->body)->{id}, 'org/model',
    "a name with a slash, as $_" for 'org/model', 'org%2Fmodel';
is get($httpd, '/v1/models/only-here')->status, 404,
    'a model of another virtual host is none here';

# ---- pages of other sites, where no key is needed

sub from_page
{
    my ($where, $site, $origin) = @_;
    return post($httpd, "$where$path", $big, headers => {
        'Content-Type' => 'text/plain', Origin => $origin,
        'Sec-Fetch-Site' => $site });
}

is from_page('', 'cross-site', 'https://evil.example')->status, 403,
    'a page of another site cannot spend what a browser is allowed to';
is from_page('', 'same-origin', 'http://localhost')->status, 200,
    'a page of ours can';
is from_page('/web', 'cross-site', 'https://app.example')->status, 200,
    'and one that is named';
is from_page('/web', 'cross-site', 'https://evil.example')->status, 403,
    '... but no other';

# ---- a graceful restart takes another configuration

ok $httpd->graceful(<<'END'), 'graceful restart with another configuration';
<LLMuxProvider demo>
    LLMuxModels new
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END
is models_of('localhost'), 'new', '... which holds from then on';

# ---- readiness

ok $httpd->graceful(<<'END'), 'graceful restart to a provider without a key';
<LLMuxProvider openai>
    LLMuxModels gpt-5
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END
my $ready = get($httpd, '/health/ready');
is $ready->status, 503, 'not ready';
like from_json($ready->body)->{reason}, qr/keys are missing/, '... and why';
is get($httpd, '/health/live')->status, 200, 'but alive';

done_clean($httpd, allow => [qr/LX0101/]);
drop_dir($pem);
done_testing;

sub provider
{
    return join "\n", '<LLMuxProvider p>', 'LLMuxType openai', @_,
        "</LLMuxProvider>\n";
}

sub model
{
    return "<LLMuxModel m>\n$_[0]\n</LLMuxModel>\n";
}
