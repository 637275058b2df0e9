# 43-stop.t - a stop ends what is under way, a graceful one waits for it; and
# servers start that have little: memory, or the right to write.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $path = '/v1/chat/completions';
my $mock = mock();

sub conf
{
    return <<"END" . ($_[0] // '');
<LLMuxProvider mock>
    LLMuxType openai
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey sk-mock
    LLMuxModels m m+gap=100 m+stall=30
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END
}

my $words = 0;

# Streams that have begun, each with words of its own: [client, text].
sub open_streams
{
    my ($where, $n, $model, $count) = @_;
    my @streams = map {
        my $id = 's' . ++$words;
        my $text = join ' ', map { "$id-$_" } 1 .. $count;
        my $c = client($where);
        $c->start(POST => $path, body => chat($model, $text, stream => true),
                  until => sub { $_[0]->body =~ /$id-1\b/ });
        [$c, $text];
    } 1 .. $n;
    return @streams;
}

sub said
{
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json} } $_[0]->events;
}

sub answers
{
    my ($where, $model, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $word = 'w' . ++$words;
    my $res = post($where, $path, chat($model, $word));

    is eval { $res->json->{choices}[0]{message}{content} }, $word, $what
        or diag $res->body;
    return;
}

# One httpd of a subtest is done with.
sub no_problems
{
    my ($server, @allow) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply [$server->problems(allow => \@allow)], [],
        'nothing to complain of';
    $server->remove;
    return;
}

# ----------------------------------------------------------------------

for my $mpm (qw(event worker prefork)) {
    subtest "$mpm: a stop" => sub {
        my $server = httpd(mpm => $mpm, conf => conf());
        my $n = $mock->requests;
        my @streams = open_streams($server, 3, 'm+gap=100', 100);
        my $silent = client($server);
        $silent->send_request(POST => $path, body => chat('m+stall=30', 'x'));
        my $late = client($server);
        $late->send("POST $path HTTP/1.1\r\nHost: localhost\r\n"
            . "Content-Length: 1000\r\n\r\n{");
        ok $mock->wait_requests($n + 4), 'four are under way, one half sent';

        my $began = time;
        ok $server->stop('TERM'), 'it goes, and nothing is left';
        cmp_ok time - $began, '<', patience(3), 'soon';
        is scalar(grep { my $res = $_->[0]->read;
            $res->error && $res->body !~ /\[DONE\]/ } @streams), 3,
            'streams look broken';
        ok $silent->read->error, 'so does the answer that had not begun';
        my @asked = $mock->wait_requests($n + 4, ended => 1, timeout => 2);
        is_deeply [map { $_->{how} } @asked[$n .. $n + 3]],
            [('peer_closed') x 4], 'no provider goes on for nobody';
        no_problems($server);
    };

    subtest "$mpm: a graceful stop" => sub {
        my $server = httpd(mpm => $mpm, conf => conf());
        my @streams = open_streams($server, 3, 'm+gap=100', 20);
        ok $server->stop('WINCH'), 'it goes, and nothing is left';
        my @whole = grep {
            my $res = $_->[0]->read;
            $res->ok && said($res) eq $_->[1]
                && $res->body =~ /\ndata: \[DONE\]\n\n\z/;
        } @streams;
        is scalar(@whole), 3, 'but not before its streams were complete';
        no_problems($server);
    };
}

# ---- servers that have little

subtest 'memory for some of the deployments only' => sub {
    my @many = map { sprintf 'model-%03d', $_ } 1 .. 700;
    my $server = httpd(conf => conf(<<"END"));
LLMuxSharedMemory 4M
<LLMuxProvider many>
    LLMuxType openai
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey sk-many
    LLMuxModels @many
</LLMuxProvider>
END
    my ($uncounted) = $server->log_text =~ /LX0104: (\d+) deployments/;
    ok $uncounted, 'the log says how many are not counted' or return;
    cmp_ok $uncounted, '<', 350, 'they are the smaller part';

    answers($server, $_, "$_ is served") for @many[0, 350, 699];
    my $metrics = sub {
        my $text = get($server, '/metrics')->body;
        my %shown = map { $_ => 1 } $text =~
            /^llmux_deployment_total_requests\{model="(model-\d+)"/mg;
        my ($one) = $text =~ /^llmux_requests_total\{provider="many",
            model="model-001",status="200"\}[ ](\d+)$/mx;
        my ($other) = $text =~ /^llmux_deployment_total_requests\{
            model="other",.*[ ](\d+)$/mx;
        return [scalar(keys %shown), $one, $other];
    };
    is_deeply $metrics->(), [700 - $uncounted, 1, 1],
        'what is counted has its numbers, the rest counts as "other"';
    ok $server->graceful, 'a graceful restart';
    is_deeply $metrics->(), [700 - $uncounted, 1, 1], 'changes nothing';
    is scalar(() = $server->log_text =~ /LX0104: $uncounted deployments/g), 2,
        'and says the same';
    ok $server->stop, 'it stops';
    no_problems($server, qr/LX0104/);
};

subtest 'no memory at all' => sub {
    plan skip_all => 'ASan needs all the address space'
        if $ENV{LLMUX_ASAN};
    my $dir = temp_dir('small');
    my $real = LLMux::Httpd::binary();
    spew("$dir/httpd", "#!/bin/sh\nulimit -v 4000000\nexec $real \"\$@\"\n");
    chmod 0755, "$dir/httpd";
    local $ENV{LLMUX_HTTPD} = "$dir/httpd";

    my $server = eval { httpd(conf => conf("LLMuxSharedMemory 16G\n")) };
    ok !$server, 'it does not start';
    like $@, qr/LX0103: cannot map 17179869184 bytes.*LLMuxSharedMemory/,
        'and says why';
    drop_dir($dir);
};

subtest 'few descriptors' => sub {
    my $server = httpd(conf => conf(), files => 300);
    like $server->log_text, qr/LX0108: each process may have 300 files open/,
        'the log says so, and what to set';
    answers($server, 'm', 'it serves all the same');
    no_problems($server, qr/LX0108/);
};

subtest 'nothing may be written but logs' => sub {
    my $server = LLMux::Httpd->prepare(conf => conf());
    my $dir = $server->dir;
    my @places = ($dir, "$dir/htdocs", "$dir/state");

    $server->settle_ports;
    spew("$dir/$_.log", '') for qw(error access stderr);
    chmod 0555, @places;
    $server->launch;
    ok $server->wait_ready(1), 'it starts' or diag $server->output;
    answers($server, 'm', 'a whole answer');
    is said(post($server, $path, chat('m', 'a b', stream => true))), 'a b',
        'a stream';
    is get($server, '/metrics')->status, 200, 'metrics';
    ok $server->stop, 'it stops';
    is join(' ', sort map { s{.*/}{}r } glob "$dir/* $dir/htdocs/* $dir/state/*"),
        'access.log error.log htdocs httpd.conf run state stderr.log',
        'no other file has been made';
    chmod 0755, @places;
    no_problems($server);
};

done_clean();
done_testing;
