# 26-media.t - pictures and documents by URL for providers who want bytes:
# only when the operator said so, only from where anybody may be asked.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use MIME::Base64 qw(decode_base64);

my $png = "\x89PNG\r\n\x1a\n" . 'picture' x 20;
my $pdf = "%PDF-1.7\n" . 'page' x 20;

my $mock = mock(rules => [
    { path => '^/pic\.png', do => { body => $png, type => 'image/png' } },
    { path => '^/untyped', do => { body => $png,
                                   type => 'application/octet-stream' } },
    { path => '^/doc\.pdf', do => { body => $pdf,
                                    type => 'application/pdf' } },
    { path => '^/page', do => { body => '<html>', type => 'text/html' } },
    { path => '^/moved', do => { body => '', status => 302,
        headers => { Location => '/pic.png' } } },
    { path => '^/gone', do => { body => 'x', status => 404 } },
    { path => '^/empty', do => { body => '', type => 'image/png' } },
    { path => '^/large', do => { body => $png . 'x' x 70_000,
                                 type => 'image/png' } },
    { path => '^/endless', do => { body => $png . 'x' x 70_000,
                                   type => 'image/png', framing => 'chunked' } },
    { path => '^/slow', do => { stall => 5, body => $png } },
]);

sub start
{
    my ($fetch, $networks) = @_;
    return httpd(conf => <<"END");
        LLMuxDirect on
        LLMuxAttempts 2
        AllowEncodedSlashes NoDecode
        $networks
        LLMuxMediaFetch $fetch
        LLMuxMediaMax 64k
        LLMuxMediaTimeout 1s
        <LLMuxProvider gem>
            LLMuxType gemini
            LLMuxBaseURL @{[ $mock->base ]}
            LLMuxAPIKey sk-gem
        </LLMuxProvider>
        <LLMuxProvider ant>
            LLMuxType anthropic
            LLMuxBaseURL @{[ $mock->base ]}
            LLMuxAPIKey sk-ant
        </LLMuxProvider>
        <LLMuxModel both>
            LLMuxDeployment gem one
            LLMuxDeployment gem two
        </LLMuxModel>
        <Location "/">
            SetHandler llmux
        </Location>
END
}

my $httpd = start('on', 'LLMuxMediaNetworks 127.0.0.0/8');

sub image { return { type => 'image_url', image_url => { url => $_[0] } } }

sub ask
{
    my ($where, $model, @parts) = @_;
    return post($where, '/v1/chat/completions', { model => $model,
        messages => [{ role => 'user', content => [
            { type => 'text', text => 'See:' }, @parts] }] });
}

# The inline data that the model was shown last.
sub shown
{
    my ($rq) = reverse grep { $_->{path} =~ /:generateContent$/ }
        $mock->requests;
    return map { $_->{inlineData} || () }
        map { @{ $_->{parts} } } @{ $rq->{json}{contents} };
}

subtest 'a picture' => sub {
    my $url = $mock->url . '/pic.png?x=1#frag';
    my $res = ask($httpd, 'gem/m', image($url));
    is $res->status, 200, 'answered' or diag $res->body;
    my ($data) = shown();
    is decode_base64($data->{data}), $png, 'the model sees it';
    is $data->{mimeType}, 'image/png', '... as what it is';
    my ($rq) = grep { $_->{path} eq '/pic.png' } $mock->requests;
    is $rq->{method}, 'GET', 'fetched';
    ok !$rq->{headers}{authorization}, '... with no key of anybody';

    $res = ask($httpd, 'gem/m', image($mock->url . '/untyped'),
               image($mock->url . '/pic.png'));
    is $res->status, 200, 'two of them' or diag $res->body;
    is_deeply [map { $_->{mimeType} } shown()], [('image/png') x 2],
        'a server that does not know what it has';
};

subtest 'a document' => sub {
    my $res = post($httpd, '/v1/messages', { model => 'gem/m',
        max_tokens => 9, messages => [{ role => 'user', content => [
            { type => 'document', source => { type => 'url',
                url => $mock->url . '/doc.pdf' } },
            { type => 'text', text => 'Read it' }] }] },
        headers => { 'anthropic-version' => '2023-06-01' });
    is $res->status, 200, 'answered' or diag $res->body;
    my ($data) = shown();
    is $data->{mimeType}, 'application/pdf', 'a PDF';
    is decode_base64($data->{data}), $pdf, '... whole';
};

subtest 'who fetches it himself' => sub {
    my $before = () = grep { $_->{path} eq '/pic.png' } $mock->requests;
    my $res = ask($httpd, 'ant/m', image($mock->url . '/pic.png'));
    is $res->status, 200, 'answered' or diag $res->body;
    is scalar(grep { $_->{path} eq '/pic.png' } $mock->requests), $before,
        'is told where it is';
};

subtest 'bytes that could not pass as they are' => sub {
    my $res = post($httpd, '/v1beta/models/gem%2Fgemini-2.0-flash:generateContent', {
        contents => [{ role => 'user', parts => [{ text => 'See:' },
            { fileData => { mimeType => 'image/png',
                            fileUri => $mock->url . '/pic.png' } }] }] });
    is $res->status, 200, "Gemini's client, a model that fetches nothing"
        or diag $res->body;
    my ($data) = shown();
    is decode_base64($data->{data} // ''), $png, 'is shown the picture';
};

subtest 'what the provider knows by itself' => sub {
    my $url = 'https://www.youtube.com/watch?v=x';
    my $res = ask($httpd, 'gem/m', { type => 'file', file => {
        file_id => $url } });
    my ($rq) = reverse $mock->requests;
    is $res->status, 200, 'is left to it' or diag $res->body;
    like $rq->{body}, qr/"fileUri":"\Q$url\E"/, '... as it stands';
};

my %bad = (
    '/page' => qr/of another type/, '/moved' => qr/redirect/,
    '/gone' => qr/answered 404/, '/empty' => qr/empty/,
    '/large' => qr/larger than the 65536 bytes/,
    '/endless' => qr/larger than the 65536 bytes/,
    '/slow' => qr/did not answer/,
);

for my $path (sort keys %bad) {
    subtest "not to be had: $path" => sub {
        my $before = () = grep { $_->{path} eq $path } $mock->requests;
        my $res = ask($httpd, 'both', image($mock->url . $path));
        is $res->status, 400, 'the client hears of it';
        like $res->json->{error}{message}, $bad{$path}, '... why';
        is $res->json->{error}{param}, 'messages[0].content[1]',
            '... and which one';
        is scalar(grep { $_->{path} eq $path } $mock->requests),
            $before + 1, 'asked once, for all deployments';
    };
}

subtest 'all of them together' => sub {
    my $res = ask($httpd, 'gem/m',
                  map { image($mock->url . "/pic.png?$_") } 1 .. 3);
    is $res->status, 200, 'small ones' or diag $res->body;
    ok ask($httpd, 'gem/m', map { image($mock->url . "/large?$_") } 1 .. 2)
        ->status == 400, 'more than may be';
};

subtest 'more than are fetched' => sub {
    my $before = () = $mock->requests;
    my $res = ask($httpd, 'gem/m',
                  map { image($mock->url . "/pic.png?$_") } 1 .. 65);
    is $res->status, 400, 'refused';
    like $res->json->{error}{message}, qr/more than the 64/, '... and why';
    is scalar(() = $mock->requests), $before, '... nobody was asked';
};

subtest 'a client who leaves' => sub {
    my $client = client($httpd);
    $client->send_request('POST', '/v1/chat/completions', body => {
        model => 'gem/m', messages => [{ role => 'user', content => [
            image($mock->url . '/slow?left')] }] });
    ok LLMux::Place::wait_until(5, sub {
        scalar grep { ($_->{query} // '') eq 'left' } $mock->requests }),
        'it is being fetched';
    $client->abort;
    is ask($httpd, 'gem/m', image($mock->url . '/pic.png'))->status, 200,
        'the next request works';
};

# Whatever leads to this machine, however it is spelled.
my $port = $mock->port;
my $closed = start('on', '');
for my $host ('127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::1]',
              '[::ffff:127.0.0.1]', '0.0.0.0', '169.254.169.254',
              '[fe80::1]') {
    my $before = () = $mock->requests;
    my $res = ask($closed, 'gem/m', image("http://$host:$port/pic.png"));
    is $res->status, 400, "$host is not asked";
    like $res->json->{error}{message}, qr/may not be asked|did not answer/,
        '... the client hears of it';
    is scalar(() = $mock->requests), $before, '... nobody was';
}

my $off = start('off', 'LLMuxMediaNetworks 127.0.0.0/8');
my $before = () = $mock->requests;
my $res = ask($off, 'gem/m', image($mock->url . '/pic.png'));
is $res->status, 400, 'not without the operator' or diag $res->body;
is scalar(() = $mock->requests), $before, '... nobody was asked';

subtest 'mistakes are found before the start' => sub {
    for my $bad ('localhost/8', '10.0.0.0', '10.0.0.0/99', 'x') {
        my ($status, $out) = conf_test("LLMuxMediaNetworks $bad");
        isnt $status, 0, $bad;
        like $out, qr/looks like 10\.20\.0\.0\/16/, '... what it should be';
    }
};

$_->stop for $closed, $off;
done_clean($httpd);
done_testing;
