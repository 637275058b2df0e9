# 02-machinery.t - tests of what tests are made with: the mock provider plays
# its faults, the client sees them, the checks at the end can fail.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Layers;
use LLMux::Units;

my $mock = mock();
my $openai = '/v1/chat/completions';
my $anthropic = '/v1/messages';
my $gemini = '/v1beta/models/gem:generateContent';
my $gemini_stream = '/v1beta/models/gem:streamGenerateContent?alt=sse';

# An Anthropic or OpenAI stream of "one two three", with this misbehaviour.
sub stream
{
    my ($fault, %opt) = @_;
    my $c = client($mock);
    my $res = $c->post($opt{path} || $openai,
        chat('m', 'one two three', stream => true),
        headers => { 'X-Mock' => $fault }, %opt);
    return wantarray ? ($res, $c) : $res;
}

sub whole
{
    my ($fault, %opt) = @_;
    return post($mock, $opt{path} || $openai, chat('m', 'one two'),
                headers => { 'X-Mock' => $fault }, %opt);
}

sub openai_text
{
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json} } $_[0]->events;
}

subtest 'three dialects, whole and streamed' => sub {
    my $text = " Grüß Gott,\n  日本 🙂 ";
    my %gem = (contents => [{ role => 'user', parts => [{ text => $text }] }]);

    my $res = post($mock, $openai, chat('gpt', $text));
    is $res->json->{choices}[0]{message}{content}, $text, 'OpenAI, whole';
    is $res->json->{model}, 'gpt', 'it names the model asked for';
    $res = post($mock, $anthropic, chat('claude', $text));
    is $res->json->{content}[0]{text}, $text, 'Anthropic, whole';
    $res = post($mock, $gemini, \%gem);
    is $res->json->{candidates}[0]{content}{parts}[0]{text}, $text,
        'Gemini, whole';

    $res = post($mock, $openai, chat('gpt', $text, stream => true,
        stream_options => { include_usage => true }));
    is $res->type, 'text/event-stream', 'a stream is an event stream';
    is openai_text($res), $text, 'OpenAI, streamed';
    my @events = $res->events;
    is $events[-1]{data}, '[DONE]', 'OpenAI says when it is done';
    is $events[-2]{json}{usage}{total_tokens}, 4 + 7 + 4,
        'usage comes last, where asked for';
    $res = post($mock, $anthropic, chat('claude', $text, stream => true));
    is join('', map { $_->{json}{delta}{text} // '' } $res->events), $text,
        'Anthropic, streamed';
    is_deeply [map { $_->{event} } ($res->events)[0, 1, 2, 3, -3, -2, -1]],
        [qw(message_start content_block_start ping content_block_delta
            content_block_stop message_delta message_stop)],
        'Anthropic names its events';
    $res = post($mock, $gemini_stream, \%gem);
    is join('', map { $_->{json}{candidates}[0]{content}{parts}[0]{text} }
        $res->events), $text, 'Gemini, streamed';
    $res = post($mock, $gemini_stream =~ s/\?.*//r, \%gem);
    is ref $res->json, 'ARRAY', 'Gemini without alt=sse is an array';
    $res = post($mock, '/v1/embeddings', { model => 'e', input => ['a', 'b'] });
    is @{ $res->json->{data} }, 2, 'embeddings';
    is get($mock, '/nowhere')->status, 404, 'anything else is not found';
};

subtest 'what the mock has seen' => sub {
    my $own = mock();
    my $c = client($own);

    $c->post($openai, chat('a', 'x'), headers => { Authorization => 'Bearer s' });
    $c->post("$openai?v=1", chat('b', 'y'));
    client($own)->post($openai, chat('c', 'z'), chunked => 1, pieces => 7);
    $c->close;
    my @requests = $own->wait_requests(3, ended => 1);
    is_deeply [map { $_->{json}{model} } @requests], [qw(a b c)],
        'every request, in order';
    is_deeply [map { [@$_{qw(conn nth_on_conn)}] } @requests],
        [[1, 1], [1, 2], [2, 1]], 'connections are kept and counted';
    is $requests[0]{headers}{authorization}, 'Bearer s', 'headers';
    is $requests[1]{query}, 'v=1', 'the query';
    is $requests[2]{how}, 'done', 'how it ended';
    is_deeply from_json($requests[2]{body}), chat('c', 'z'),
        'a body in chunks and pieces is put together';
    ok wait_until(2, sub { ($own->connections)[0]{closed_at} }),
        'it sees a connection closed';
    is +($own->connections)[0]{by}, 'peer', 'and by whom';
};

subtest 'a client that leaves is noticed at once' => sub {
    my $own = mock();

    for my $way (qw(abort close)) {
        my $n = $own->requests;
        my $c = client($own);
        my $res = $c->start(POST => $openai, until_events => 2,
            body => chat('m+stall_after=2,30', 'a b c', stream => true));
        is scalar(() = $res->events), 2, 'two events have come';
        my $left = time;
        $c->$way;
        my @requests = $own->wait_requests($n + 1, ended => 1, timeout => 2);
        is $requests[-1]{how}, 'peer_closed', "$way is seen";
        cmp_ok $requests[-1]{ended_at} - $left, '<', patience(0.5), 'soon';
    }
};

subtest 'statuses and bodies' => sub {
    my @cases = (
        ['429', 429, $openai, sub { $_->json->{error}{code}
            eq 'rate_limit_exceeded' && $_->header('retry-after') eq '1' }],
        ['429=30', 429, $anthropic, sub { $_->json->{error}{type}
            eq 'rate_limit_error' && $_->header('Retry-After') eq '30' }],
        ['429', 429, $gemini, sub { $_->json->{error}{status}
            eq 'RESOURCE_EXHAUSTED' }],
        ['500', 500, $openai, sub { $_->json->{error}{type}
            eq 'server_error' }],
        ['503', 503, $gemini, sub { $_->json->{error}{code} == 503 }],
        ['529', 529, $anthropic, sub { $_->json->{error}{type}
            eq 'overloaded_error' }],
        ['html', 502, $openai, sub { $_->type eq 'text/html'
            && $_->body =~ /<html>/ }],
        ['empty', 200, $openai, sub { $_->body eq ''
            && $_->header('content-length') eq '0' }],
        ['broken', 200, $openai, sub { length $_->body && !$_->json }],
        ['chunked', 200, $openai, sub { $_->chunks && $_->json }],
        ['eof', 200, $openai, sub { !$_->header('content-length')
            && $_->header('connection') eq 'close' && $_->json }],
        ['gzip', 200, $openai, sub { $_->header('content-encoding') eq 'gzip'
            && $_->body =~ /^\x1f\x8b/ }],
        ['bomb=1', 200, $openai, sub { length $_->body < 5000 }],
    );

    for my $case (@cases) {
        my ($fault, $status, $path, $holds) = @$case;
        my $res = whole($fault, path => $path);
        is $res->status, $status, "$fault at $path: status";
        ok $res->ok, "$fault at $path: complete";
        ok((grep { $holds->() } $res), "$fault at $path: as it should be");
    }
};

subtest 'gzip can be read, and event by event' => sub {
    require IO::Uncompress::Gunzip;
    my $res = whole('gzip');
    ok IO::Uncompress::Gunzip::gunzip(\$res->body => \my $plain), 'unpacked';
    is from_json($plain)->{choices}[0]{message}{content}, 'one two', 'whole';
    $res = stream('gzip');
    is $res->header('transfer-encoding'), 'chunked', 'a stream in chunks';
    ok IO::Uncompress::Gunzip::gunzip(\$res->body => \$plain), 'unpacked';
    my @events = sse($plain);
    is $events[-1]{data}, '[DONE]', 'to the end';
};

subtest 'broken exchanges' => sub {
    my $events = scalar(() = stream('')->events);
    is stream('reset')->error, 'reset', 'reset instead of an answer';
    is stream('reset')->status, 0, 'no head at all';

    my $res = stream('reset=2');
    is $res->error, 'reset', 'reset in the middle';
    is scalar(() = $res->events), 2, 'after two events';
    like $res->body, qr/\n\ndata: \{[^\n]+\z/, 'and half of the third';

    $res = stream('cut=2');
    is $res->error, 'closed early', 'cut in the middle';
    is scalar(() = $res->events), 2, 'after two events';
    like $res->body, qr/\n\ndata: \{[^\n]+\z/, 'and half of the third';

    $res = stream('half=2');
    ok $res->ok, 'half an event in proper framing';
    like $res->body, qr/\n\ndata: \{[^\n]+\z/, 'is still half';

    $res = stream('unfinished');
    ok $res->ok, 'an unfinished stream ends properly';
    is openai_text($res), 'one two three', 'and says all';
    is scalar(() = $res->events), $events - 2, 'but not that it is over';

    $res = stream('error_event=2');
    ok $res->ok, 'an error after 200';
    ok +($res->events)[2]{json}{error}, 'comes as an event';
    $res = stream('error_event', path => $anthropic);
    is +($res->events)[-1]{event}, 'error', 'with its name at Anthropic';

    $res = whole('cut=0');
    is $res->error, 'closed early', 'a whole answer cut in half';
    is whole('long=9+close')->error, 'closed early', 'a length too long';
    $res = whole('short=9+close');
    ok $res->ok && !$res->json, 'a length too short';
    $res = whole('length=many');
    like $res->error, qr/bad length/, 'a length that is no number';
};

subtest 'timing' => sub {
    my $start = time;
    my $res = whole('stall=0.2');
    cmp_ok $res->{head_at} - $start, '>=', 0.2, 'stall before the head';

    $res = stream('stall_after=2,0.2');
    my @at = map { $_->{at} } $res->events;
    cmp_ok $at[2] - $at[1], '>=', 0.19, 'stall after two events';
    cmp_ok $at[1] - $start, '<', patience(1), 'which came at once';

    $res = stream('gap=30');
    my @chunks = $res->chunks;
    my @gaps = map { $chunks[$_][0] - $chunks[$_ - 1][0] } 1 .. $#chunks;
    ok !(grep { $_ < 0.02 } @gaps), 'a gap before each event';
    is scalar(@chunks), scalar(() = $res->events), 'a chunk is an event';

    $res = stream('dribble=40,1');
    ok $res->ok, 'dribbled bytes are put together';
    is openai_text($res), 'one two three', 'and nothing is lost';
    cmp_ok scalar(() = $res->pieces), '>', 2, 'it came in several pieces';
    is openai_text(stream('dribble')), 'one two three', 'byte by byte';
};

subtest 'floods' => sub {
    for my $path ($openai, $anthropic) {
        my $res = stream('flood=500,100', path => $path);
        ok $res->ok, "$path: complete";
        my $text = join '', map { $_->{json}{delta}{text}
            // $_->{json}{choices}[0]{delta}{content} // '' }
            grep { $_->{json} } $res->events;
        is length $text, 50_000, "$path: n events of that size";
    }
    my $res = stream('flood=50,10+reset=20');
    is scalar(() = $res->events), 20, 'and can break off in the middle';
};

subtest 'rules' => sub {
    my $own = mock(rules => [
        { model => qr/^sad$/, times => 2, do => '503' },
        { model => '^sad$', do => { text => 'better now', usage => [3, 4] } },
        { headers => { 'x-key' => 'wrong' }, do => { status => 401 } },
        { path => '/raw', do => { body => 'plain', type => 'text/plain',
            status => 203, reason => 'So', headers => { 'X-A' => 'b' } } },
        { model => 'lines', do => { sse => [{ a => 1 }, ['named', 'x y']] } },
    ]);
    my @got = map { post($own, $openai, chat('sad', 'x')) } 1 .. 3;
    is_deeply [map { $_->status } @got], [503, 503, 200],
        'a rule is used up';
    is $got[2]->json->{choices}[0]{message}{content}, 'better now', 'text';
    is $got[2]->json->{usage}{total_tokens}, 7, 'usage';
    is post($own, $openai, chat('m', 'x'), headers => { 'X-Key' => 'wrong' })
        ->status, 401, 'by header';
    my $res = get($own, '/raw');
    is "$res->{status} $res->{reason} " . $res->type . $res->header('x-a')
        . $res->body, '203 So text/plainbplain', 'anything at all';
    $res = post($own, $openai, chat('lines', 'x'));
    is_deeply [map { [@$_{qw(event data)}] } $res->events],
        [[undef, '{"a":1}'], ['named', 'x y']], 'events by hand';
    $own->rules({ do => '500' });
    is post($own, $openai, chat('m', 'x'))->status, 500, 'rules may change';
    is post($own, $openai, chat('m+529', 'x'))->status, 529,
        'the name of a model goes before a rule';
    is post($own, $own->base($openai, '429') =~ s{^http://[^/]+}{}r,
            chat('m', 'x'))->status, 429, 'and so does the base URL';
    is post($own, '/v1beta/models/g%2B503:generateContent', {})->status, 503,
        'escaped in a path, too';
};

subtest 'connections kept and dropped' => sub {
    my $own = mock(idle => 0.1);
    my $c = client($own);
    ok $c->post($openai, chat('m', 'x'))->ok, 'an answer';
    ok $c->post($openai, chat('m', 'x'))->ok, 'another';
    is $c->wait_closed, 'closed', 'hung up when idle';
    $c = client($own);
    my $res = $c->post($openai, chat('m+idle=0', 'x'));
    ok $res->ok && !$res->header('connection'), 'nothing said of closing';
    is $c->wait_closed, 'closed', 'yet it closes';
    $c = client($mock);
    $c->post($openai, chat('m', 'x'));
    is $c->wait_closed(0.05), '', 'otherwise it stays';
    $mock->drop_idle;
    is $c->wait_closed, 'closed', 'until told to go';
    $mock->deaf;
    is client($mock, timeout => 0.1)->get('/v1/models')->error, 'timeout',
        'deaf: nobody answers';
    $mock->deaf(0);
    is get($mock, '/v1/models')->status, 200, 'and hears again';
};

subtest 'many at once' => sub {
    my @clients = map { client($mock) } 1 .. 50;
    $_->send_request(POST => $openai,
        body => chat('m+gap=20', 'a b c d', stream => true)) for @clients;
    my $start = time;
    my @good = grep { $_->read->ok } @clients;
    is scalar(@good), 50, 'fifty streams';
    cmp_ok time - $start, '<', patience(2), 'side by side';
};

subtest 'recordings' => sub {
    my ($corpus, $why) = LLMux::Corpus->find;
    if (!$corpus) {
        $ENV{LLMUX_REQUIRE} ? fail($why) : plan(skip_all => $why);
        return;
    }
    my ($sse) = $corpus->cases(dialect => 'anthropic-messages',
                               streaming => 'sse');
    my ($json) = $corpus->cases(dialect => 'gemini', kind => 'json');
    my ($error) = $corpus->cases(kind => 'error', dialect => qr/^openai-chat/);
    my $own = mock(rules => [map {
        { model => "^$_->{feature}-$_->{kind}\$", do => { file => $_->{file} } }
    } $sse, $json, $error]);

    for my $case ($sse, $json, $error) {
        my $res = post($own, $openai,
                       chat("$case->{feature}-$case->{kind}", 'x'));
        my $want = $case->{kind} eq 'error' ? $corpus->error($case)->{body}
            : $corpus->bytes($case);
        ok $res->body eq $want, "$case->{file}: every byte";
        is $res->status, $case->{status}, "$case->{file}: status";
        is $res->type, $case->{kind} eq 'sse' ? 'text/event-stream'
            : 'application/json', "$case->{file}: type";
    }
    my ($tagged) = $corpus->cases(tag => 'multi-turn');
    ok $tagged, 'cases by tag';
    is $corpus->expected($sse)->{file}, $sse->{file}, 'what must come of it';
    is $corpus->exchange($sse)->{file}, $sse->{file}, 'how it was fetched';
};

subtest 'event streams are split as they are' => sub {
    my @cases = (
        ["data: a\n\ndata:b\n\n", ['a', 'b']],
        ["data: a\r\n\r\ndata: b\r\n\r\n", ['a', 'b']],
        ["data: a\r\rdata: b\r\r", ['a', 'b']],
        ["data: a\ndata: b\n\n", ["a\nb"]],
        [": hello\n\ndata: a\n\n", [undef, 'a']],
        ["\n\ndata: a\n\ndata: half", ['a']],
    );

    for my $case (@cases) {
        my ($bytes, $want) = @$case;
        my $shown = $bytes =~ s/\r/\\r/gr =~ s/\n/\\n/gr;
        is_deeply [map { $_->{data} } sse($bytes)], $want, "$shown: whole";
        is_deeply [map { $_->{data} } sse(split //, $bytes)], $want,
            "$shown: byte by byte";
    }
};

subtest 'the rules of the house can be broken' => sub {
    my $dir = temp_dir('tree');
    my %files = (
        'Makefile' => "RANKS := core:1 dialect:2 state:2 httpd:6\n",
        'include/llmux/core.h' => "#include \"llmux/dialect.h\"\n",
        'include/llmux/dialect.h' => "#include \"llmux/core.h\"\n",
        'include/llmux/state.h' => "/* fine */\n",
        'src/core/up.c' => "/* up.c - x. */\n#include \"llmux/dialect.h\"\n",
        'src/core/none.c' => "/* none.c - x. */\n#include \"llmux/no.h\"\n",
        'src/dialect/side.c' => "/* side.c - x. */\n#include \"llmux/state.h\"\n",
        'src/dialect/reach.c' => "/* reach.c - x. */\n#include \"../state/x.h\"\n",
        'src/dialect/httpd.c' => "/* httpd.c - x. */\n#include <http_log.h>\n",
        'src/dialect/fine.c' => "/* fine.c - x. */\n#include \"llmux/core.h\"\n"
            . "#include \"fine.h\"\n#include <apr_pools.h>\n"
            . "/* strcpy(a) */ char *s = \"gets(\"; apr_psprintf(p);\n",
        'src/dialect/fine.h' => "\n",
        'src/state/tab.c' => "/* tab.c - x. */\n\tint a;\n",
        'src/state/blank.c' => "/* blank.c - x. */\nint a; \n",
        'src/state/bad.c' => "/* bad.c - x. */\nint f(void)\n{\n"
            . "    return atoi(s);\n}\n",
        'src/state/long.c' => "/* long.c - x. */\nint f(void)\n{\n"
            . "    ;\n" x 121 . "}\n",
        'src/state/silent.c' => "int a;\n",
        'src/lost/x.c' => "/* x.c - x. */\n",
        'docs/x.md' => 'see /ho' . "me/me/notes, not http://x/ho" . "me\n",
    );
    my @want = (
        ['src/lost'],
        ['include/llmux/core.h', 'src/core/none.c', 'src/core/up.c',
         'src/dialect/reach.c', 'src/dialect/side.c'],
        ['src/dialect/httpd.c'], ['docs/x.md'],
        ['src/state/blank.c', 'src/state/tab.c'], ['src/state/long.c'],
        ['src/state/silent.c'], ['src/state/bad.c'],
    );

    for my $name (keys %files) {
        require File::Path;
        File::Path::make_path("$dir/" . ($name =~ s{/?[^/]+$}{}r));
        spew("$dir/$name", $files{$name});
    }
    my $tree = LLMux::Layers::read_tree($dir);
    for my $rule (LLMux::Layers::rules()) {
        my ($name, $code) = @$rule;
        is_deeply [map { s/:.*//sr } $code->($tree)], shift @want, $name;
    }
    drop_dir($dir);
};

subtest 'a unit test that goes wrong is found out' => sub {
    my $dir = temp_dir('unit');
    my @cases = (
        ['echo "ok 1 - a"; echo "1..1"', []],
        ['echo "1..0 # SKIP no way"', []],
        ['echo "not ok 1 - a"; echo "1..1"; exit 1', []],
        ['echo "ok 1 - a"; echo "1..1"; exit 1', [qr/status 1/]],
        ['echo "ok 1 - a"', [qr/no plan/]],
        ['echo "ok 1 - a"; echo "1..2"', [qr/planned 2 tests and ran 1/]],
        ['echo "ok 2 - a"; echo "1..1"', [qr/test 2 came as number 1/]],
        ['echo "1..0"', []],
        ['true', [qr/no plan/, qr/no test/]],
        ['echo "ok 1 - a"; kill -KILL $$', [qr/signal 9/, qr/no plan/]],
        ['echo "ok 1 - a"; echo 1..1; echo "x.c:1: runtime error: shift" >&2',
         [qr/runtime error/]],
    );

    for my $case (@cases) {
        my ($script, $want) = @$case;
        spew("$dir/unit", "#!/bin/sh\n$script\n");
        chmod 0755, "$dir/unit";
        my @problems = @{ LLMux::Units::run_unit("$dir/unit")->{problems} };
        my @missed = grep { my $p = $_; !grep { $_ =~ $p } @problems } @$want;
        ok(!@missed && !!@problems == !!@$want, $script)
            or diag("said: @problems");
    }
    drop_dir($dir);
};

subtest 'httpd: start, look, restart, stop' => sub {
    for my $mpm (qw(event worker prefork)) {
        my $httpd = httpd(module => 0, mpm => $mpm, modules => ['status'],
            env => { COLOUR => 'red' }, conf => <<'END');
ErrorDocument 404 "${COLOUR} on port __PORT__"
<Location "/status">
    SetHandler server-status
</Location>
END
        my $c = client($httpd);
        is $c->get('/status?auto')->status, 200, "$mpm: it serves";
        is $c->get('/none')->body, 'red on port ' . $httpd->port,
            "$mpm: by this configuration, on the same connection";
        ok $httpd->graceful("ErrorDocument 404 blue\n"), "$mpm: it restarts";
        ok wait_until(5, sub { get($httpd, '/none')->body eq 'blue' }),
            "$mpm: with another configuration";
        ok scalar(() = $httpd->children), "$mpm: has children";
        $c->close;
        ok $httpd->stop, "$mpm: it stops";
        is scalar(() = $httpd->children), 0, "$mpm: has no children";
        like $httpd->access_text, qr{"GET /none HTTP/1.1" 404}, "$mpm: its log";
        done_clean($httpd);
        ok !-e $httpd->dir, "$mpm: its directory is gone";
    }
};

subtest 'httpd: configurations that are wrong' => sub {
    my ($status, $out) = conf_test("Listen 127.0.0.1:1\n", module => 0);
    is $status, 0, 'a good one' or diag($out);
    ($status, $out) = conf_test("\nNonsense on\n", module => 0);
    is $status, 1, 'a wrong one';
    like $out, qr/Invalid command 'Nonsense'/, 'and why';
    ok !eval { httpd(module => 0, conf => "Nonsense on\n"); 1 },
        'it does not start with it';
    like $@, qr/Invalid command 'Nonsense'/, 'and says why';
};

subtest 'TLS and HTTP/2' => sub {
    module_or_skip($_) for qw(ssl http2);
    my $httpd = httpd(module => 0, tls => 1, modules => ['http2'],
        conf => "Protocols h2 h2c http/1.1\nErrorDocument 404 gone\n");
    my @trust = ('--cacert', $httpd->certificate);
    my $res = curl(@trust, '--http2', $httpd->tls_url . '/x');
    is "$res->{version} $res->{status} $res->{body}", '2 404 gone', 'h2';
    $res = curl('--http2-prior-knowledge', $httpd->url . '/x');
    is "$res->{version} $res->{status}", '2 404', 'h2c';
    $res = curl($httpd->tls_url . '/x');
    is $res->{exit}, 60, 'a certificate nobody trusts';
    ok !$res->ok, 'is no answer';
    my $c = client($httpd, tls => 1);
    is $c->get('/x')->body, 'gone', 'a raw client over TLS';
    is $c->get('/y')->status, 404, 'keeps its connection';
    done_clean($httpd);
};

# What a run has left behind that must be seen.
subtest 'an httpd that is not clean is found out' => sub {
    my %plain = (module => 0, modules => ['authz_host'],
                 conf => "<Location /no>\nRequire all denied\n</Location>\n");
    my $seen = sub {
        my ($httpd, $what, $pattern, %opt) = @_;
        my @problems = $httpd->problems(%opt);
        ok scalar(grep { $_ =~ $pattern } @problems), $what
            or diag("said: @problems");
        $httpd->remove;
    };

    my $httpd = httpd(%plain);
    is get($httpd, '/no')->status, 403, 'refused';
    $httpd->stop;
    is_deeply [$httpd->problems(allow => [qr/AH01630/])], [],
        'an error that is allowed';
    $seen->($httpd, 'an error that is not', qr/AH01630/);

    $httpd = httpd(%plain);
    wait_until(5, sub { $httpd->children });
    kill SEGV => ($httpd->children)[0];
    ok $httpd->wait_log(qr/exit signal/), 'a child crashes';
    $httpd->stop;
    $seen->($httpd, 'a crash', qr/exit signal Segmentation fault/);

    $httpd = httpd(%plain, mpm => 'prefork');
    wait_until(5, sub { $httpd->children });
    kill KILL => $httpd->pid;
    wait_until(5, sub { $httpd->gone });
    ok !$httpd->stop, 'children without a parent';
    is scalar(() = $httpd->children), 0, 'are ended';
    $seen->($httpd, 'and reported', qr/processes left/);

    $httpd = httpd(%plain);
    $httpd->stop;
    open my $log, '>>', $httpd->dir . '/error.log';
    print $log "free(): invalid pointer\n";
    close $log;
    $seen->($httpd, 'what the C library says in the log', qr/invalid pointer/);
};

subtest 'a planted bug is seen by the sanitizer' => sub {
    chomp(my $asan = `gcc -print-file-name=libasan.so`);
    plan(skip_all => 'no libasan here') if !-e $asan;
    my $dir = temp_dir('bug');
    spew("$dir/bug.c", <<'END');
#include <pthread.h>
#include <stdlib.h>
static volatile int at = 8;
static void overrun(void)
{
    char *eight = malloc(8);
    eight[at] = 1;
    free(eight);
}
__attribute__((constructor)) static void plant(void)
{
    pthread_atfork(NULL, NULL, overrun);
}
END
    my ($status, $out) = run(['gcc', '-g', '-shared', '-fPIC',
        '-fsanitize=address,undefined', '-o', "$dir/bug.so", "$dir/bug.c"]);
    is $status, 0, 'the bug builds' or diag($out);
    local $ENV{LLMUX_ASAN} = 1;
    my $httpd = httpd(module => 0, conf => "LoadFile $dir/bug.so\n");
    ok wait_until(10, sub { $httpd->sanitizer_reports }), 'a report is there';
    $httpd->stop;
    like join("\n", $httpd->problems), qr/heap-buffer-overflow/,
        'and counts as a problem';
    $httpd->remove;
    drop_dir($dir);
};

subtest 'nothing outlives a test that is killed' => sub {
    my $lib = tree() . '/t/lib';
    my $pid = open my $said, '-|', $^X, "-I$lib", '-MLLMux::Test', '-e', <<'END'
$| = 1;
my ($m, $h) = (mock(), httpd(module => 0));
print join(' ', $m->{pid}, $h->pid, $m->{dir}, $h->dir), "\n";
sleep 60;
END
        or die "$!\n";
    my ($mock_pid, $httpd_pid, @dirs) = split ' ', <$said> // '';
    ok kill(0 => $httpd_pid), 'it has started';
    kill KILL => $pid;
    close $said;
    ok wait_until(10, sub {
        return !LLMux::Httpd::group_members($mock_pid)
            && !LLMux::Httpd::group_members($httpd_pid);
    }), 'httpd and mock have gone with it';
    drop_dir($_) for @dirs;
};

subtest "use of a pool's memory after its end is found" => sub {
    plan skip_all => 'for AddressSanitizer' if !$ENV{LLMUX_ASAN};
    my $dir = temp_dir('pools');

    spew("$dir/late.c", <<'END');
#include <apr_strings.h>
#include <stdio.h>
int main(void)
{
    apr_pool_t *p;
    const char *s;

    apr_initialize();
    apr_pool_create(&p, NULL);
    s = apr_pstrdup(p, "good as long as the pool");
    puts(s);
    apr_pool_clear(p);
    puts(s);
    return 0;
}
END
    my ($status, $out) = run(['sh', '-c', "cc -g -fsanitize=address "
        . "\$(apr-1-config --includes --cppflags) -o $dir/late $dir/late.c "
        . '$(apr-1-config --link-ld)']);
    is $status, 0, 'a program that does it' or diag $out;
    ($status, $out) = run(["$dir/late"], env => {
        LD_PRELOAD => LLMux::Units::preloads(),
        ASAN_OPTIONS => 'detect_leaks=0' });
    like $out, qr/heap-use-after-free/, 'is stopped';
    drop_dir($dir);
};

subtest 'a mock that complains is not clean' => sub {
    my $own = mock();
    is post($own, $openai, chat('m+nonsense', 'x'))->error, 'closed',
        'no such behaviour';
    like join('', $own->stop), qr/unknown behaviour: nonsense/, 'it says so';
    drop_dir($own->{dir});
};

done_clean();
done_testing;
