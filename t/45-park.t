# 45-park.t - requests that wait without a worker: however they wait, clients
# and providers see the same, whoever leaves, fails or is silent.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use Compress::Zlib ();
use LLMux::Park;

my $mock = mock();

# The same provider behind TLS.
my $front = httpd(tls => 1, module => 0, access_log => 0,
    modules => [qw(proxy proxy_http)], conf => <<"END");
ThreadsPerChild 64
MaxRequestWorkers 128
Timeout 60
ProxyPass /v1 @{[ $mock->base('/v1') ]} flushpackets=on
END

# ---- servers

# Few threads where waiting does not take them: `auto` parks at once as soon as
# more than half of them are busy.
sub threads { return $_[0] eq 'off' ? 32 : 4 }

# Said of those who fail because they were asked to.
my $provider_failed = qr/LX0021/;
my $behind_tls = 'https://localhost:' . $front->tls_port . '/v1';
my $providers = join '',
    provider('mock', $mock->base('/v1')),
    provider('safe', $behind_tls, 'LLMuxCAFile ' . $front->certificate),
    map { provider("hasty$_->[0]", $mock->base('/v1'), "$_->[1] 700ms") }
        [1, 'LLMuxFirstByteTimeout'], [2, 'LLMuxSilenceTimeout'],
        [3, 'LLMuxTotalTimeout'];

# Options: as of park_server().
sub server
{
    my ($mode, %opt) = @_;

    return park_server($mode, threads => threads($mode),
        providers => $providers, allow => [$provider_failed], %opt,
        conf => <<'END' . ($opt{conf} // ''));
<Location "/quick">
    SetHandler llmux
    LLMuxHeartbeat 500ms
</Location>
END
}

# Connections that stand to that port of this machine.
sub links_to
{
    my $end = sprintf '0100007F:%04X', $_[0];
    return scalar grep { my @f = split; @f > 3 && $f[2] eq $end
                         && $f[3] eq '01' } split /\n/, slurp('/proc/net/tcp');
}

# ---- silences longer than Timeout: they begin now and are looked at last

my @silences;

for my $mode (@modes) {
    my $server = server($mode, modules => ['http2'], conf => <<'END');
Timeout 2
Protocols h2 http/1.1
END
    my @cases = (
        ['before the head', 'mock/m+stall=6.5', 1],
        ['whole', 'mock/m+stall=6.5', 0],
        ['in the middle', 'mock/m+stall_after=3,6.5', 1],
        ['a provider behind TLS', 'safe/m+stall_after=3,6.5', 1],
        ['whole, behind TLS', 'safe/m+stall=6.5', 0],
        ['client with TLS', 'mock/m+stall_after=3,6.5', 1, 'tls'],
        ['TLS, whole', 'mock/m+stall=6.5', 0, 'tls'],
    );
    my @waiting = map {
        my ($what, $model, $stream, $tls) = @$_;
        my $text = new_id() . ' two three four';
        my $c = client($server, tls => $tls);
        ask($c, $model, $text, $stream, at => "/quick$path");
        [$what, $stream, $c, $text];
    } @cases;
    my @h2 = ('curl', '-sS', '-q', '--http2', '--max-time', patience(30),
        '-H', 'Content-Type: application/json', '--cacert',
        $server->certificate, '-w', ' version %{http_version}', '-d',
        to_json(chat('mock/m+stall_after=3,6.5', 'over http2',
                     stream => true)), $server->tls_url . "/quick$path");
    open my $h2, '-|', @h2 or die "curl: $!\n";
    push @silences, [$mode, $server, \@waiting, $h2];
}

# ----------------------------------------------------------------------

# Four connections at the same time, so that `auto` does both; and threads
# enough for them: when all are busy, httpd closes idle connections.
sub connections
{
    my ($server) = @_;
    return map { { what => "$_->[0] to $_->[1]", model => "$_->[1]/m",
                   client => client($server, tls => $_->[0] eq 'TLS') } }
        ['plain', 'mock'], ['plain', 'safe'], ['TLS', 'mock'],
        ['TLS', 'safe'];
}

for my $mode (@modes) {
    subtest "$mode: one after the other on a connection" => sub {
        my $server = server($mode, threads => 6);
        my @connections = connections($server);
        my @flaws;

        for my $stream (1, 0, 1, 1, 0, 0) {
            $_->{text} = new_id() . ' two three four five',
                ask($_->{client}, "$_->{model}+gap=20", $_->{text}, $stream)
                for @connections;
            for my $s (@connections) {
                push @flaws, map { "$s->{what}: $_" }
                    flaw($s->{client}->read, $s->{text}, $stream);
            }
        }
        is_deeply \@flaws, [], 'streams and whole answers in turn';

        # The whole lot in one write: over TLS, in one record.
        my $began = time;
        for my $s (@connections) {
            $s->{texts} = [map { new_id() } 1 .. 4];
            $s->{client}->send(join '', map { question(
                "$s->{model}+stall=0.15", $s->{texts}[$_], $_ % 2) } 0 .. 3);
        }
        for my $s (@connections) {
            push @flaws, map { "$s->{what}: $_" } map {
                flaw($s->{client}->read, $s->{texts}[$_], $_ % 2) } 0 .. 3;
        }
        is_deeply \@flaws, [], 'four in one write, in their order';
        cmp_ok time - $began, '<', patience(1.3), '... without delay';

        # While the first is being answered.
        $_->{texts} = [new_id() . ' b c d e f', new_id()],
            ask($_->{client}, "$_->{model}+gap=60", $_->{texts}[0], 1)
            for @connections;
        for my $s (@connections) {
            $s->{client}->read(until => sub { length said($_[0]) });
            $s->{client}->send(question($s->{model}, $s->{texts}[1], 0));
        }
        $began = time;
        for my $s (@connections) {
            push @flaws, map { "$s->{what}: $_" }
                flaw($s->{client}->read, $s->{texts}[0], 1),
                flaw($s->{client}->read, $s->{texts}[1], 0);
        }
        is_deeply \@flaws, [], 'one that comes in the middle of a stream';
        cmp_ok time - $began, '<', patience(1), '... without delay';
        $_->{client}->close for @connections;
        settles($server, 'after it');
        finish($server);
    };
}

# ---- more streams than threads

subtest 'off: 60 streams on four threads' => sub {
    my $server = server('off', threads => 4);
    my @streams = crowd($server, 60, 'mock/m+stall_after=2,30', 3);

    sleep patience(1);
    is begun(0.01, @streams), 4,
        'four have begun, the others wait for a thread';
    $_->{client}->abort for @streams;
    settles($server, 'after it');
    finish($server);
};

subtest 'auto, always: 60 streams on four threads' => sub {
    my %servers = map { $_ => server($_, threads => 4) } qw(auto always);
    my $began = time;
    my %streams = map { $_ => [crowd($servers{$_}, 60,
        'mock/m+stall_after=2,2.5', 3)] } keys %servers;

    for my $mode (sort keys %servers) {
        is begun(2, @{ $streams{$mode} }), 60, "$mode: all have begun";
        is scalar(grep { $_->{client}{in} =~ /DONE/ } @{ $streams{$mode} }), 0,
            "$mode: ... before one ended";
        quickly($servers{$mode}, "$mode, meanwhile");
    }
    for my $mode (sort keys %servers) {
        my @flaws = map { flaw($_->{client}->read, $_->{text}, 1) }
            @{ $streams{$mode} };
        is_deeply \@flaws, [], "$mode: and all are complete";
    }
    cmp_ok time - $began, '<', patience(4.5), '... at the same time';
    for my $mode (sort keys %servers) {
        settles($servers{$mode}, $mode);
        finish($servers{$mode});
    }
};

subtest 'auto: a worker for a second, while there are many' => sub {
    my $server = server('auto', threads => 8);
    my $c = client($server);

    ask($c, 'mock/m+stall=2', my $id = new_id(), 0);
    sleep 0.4;
    is status($server)->{LLMuxParked}, 0, 'at first it waits in its worker';
    sleep 1;
    is status($server)->{LLMuxParked}, 1, 'then it is parked';
    is_deeply [flaw($c->read, $id)], [], 'and answered';
    finish($server);
};

# ---- clients that leave

my %leave = (
    FIN  => [sub { $_[0]->close }, sub { $_[0]->close }],
    RST  => [sub { $_[0]->abort }, sub { kill USR1 => $_[1] }],
    half => [sub { $_[0]->half_close }, sub { kill USR2 => $_[1] }],
);

for my $mode (@modes) {
    subtest "$mode: the client leaves" => sub {
        my $server = server($mode);
        my @leavers;

        for my $tls (0, 1) {
            for my $way (sort keys %leave) {
                for my $model ('m+stall=30', 'm+stall_after=3,30') {
                    my ($c, $line) = $tls ? cuttable($server)
                        : client($server);
                    my $id = new_id();
                    ask($c, "mock/$model", "$id two three", 1);
                    push @leavers, { id => $id, client => $c,
                        model => $model, what => join(' ', $tls ? 'TLS'
                            : 'plain', $way, $model),
                        leave => sub { $leave{$way}[$tls]->($c, $line) } };
                }
            }
        }
        for my $l (grep { $_->{model} =~ /after/ } @leavers) {
            $l->{client}->read(until => sub { length said($_[0]) });
        }
        my @ids = map { $_->{id} } @leavers;
        ok asked($mock, @ids), 'the provider has all requests';
        parks($server, $mode eq 'off' ? 0 : 12,
            $mode eq 'off' ? 'none is parked' : 'all are parked');
        for my $l (@leavers) {
            $l->{left} = time;
            $l->{leave}->();
            sleep 0.03;
        }
        my $ended = ended($mock, @ids);
        my @late = map {
            my $end = $ended->{ $_->{id} };
            my $took = $end ? $end->{ended_at} - $_->{left} : 99;
            $took < patience(0.25) && $end->{how} eq 'peer_closed' ? ()
                : sprintf '%s: %s after %.3f s', $_->{what},
                    $end ? $end->{how} : 'never', $took;
        } @leavers;
        is_deeply \@late, [], 'within 250 ms the provider is let go';
        settles($server, 'after it');
        my $metrics = get($server, '/metrics')->body;
        like $metrics, qr/^llmux_http_requests_in_flight 1$/m,
            '/metrics sees only who asks';
        like $metrics, qr/^llmux_http_requests_parked 0$/m,
            '... and nobody parked';
        my @lines = lines_of($server, @ids);
        is_deeply [map { join ' ', $leavers[$_]{what},
                         $lines[$_]{end} // '-', $lines[$_]{status} // '-' }
                   0 .. $#leavers],
            [map { "$_->{what} client_gone 499" } @leavers],
            'the log says so';
        finish($server);
    };
}

for my $mode (@modes) {
    subtest "$mode: the client leaves a provider behind TLS" => sub {
        my $server = server($mode);
        my $port = $front->tls_port;
        my $before = links_to($port);
        my @leavers;

        for my $way (sort keys %leave) {
            my $c = client($server);
            ask($c, 'safe/m+stall_after=3,4', new_id() . ' two three', 1);
            $c->read(until => sub { length said($_[0]) });
            push @leavers, [$way, $c];
        }
        is links_to($port), $before + 3, 'three connections to it';
        for my $i (0 .. 2) {
            my ($way, $c) = @{ $leavers[$i] };
            $leave{$way}[0]->($c);
            ok wait_until(0.25, sub {
                return links_to($port) == $before + 2 - $i;
            }), "$way: its connection is closed";
        }
        settles($server, 'after it');
        finish($server);
    };
}

# ---- providers that fail

for my $mode (@modes) {
    subtest "$mode: the provider breaks off" => sub {
        my $server = server($mode, threads => 16);
        my $text = ' two three four';
        # what, model, stream, what is said, and how it ends
        my @cases = (
            ['a reset in the middle', 'mock/m+reset=3', 1, 'broken'],
            ['a cut in the middle', 'mock/m+cut=3', 1, 'broken'],
            ['... behind TLS', 'safe/m+cut=3', 1, 'broken'],
            ['a reset after a while', 'mock/m+gap=100+reset=3', 1, 'broken'],
            ['a whole one cut', 'mock/m+cut=0', 0, 502],
            ['a reset before the head', 'mock/m+reset', 1, 502],
            ['a late one', 'mock/m+stall=0.3+reset', 0, 502],
            ['byte by byte', 'mock/m+dribble=1,1', 1, 'whole'],
            ['... behind TLS', 'safe/m+dribble=1,1', 1, 'whole'],
            ['... whole', 'mock/m+dribble=1,1', 0, 'whole'],
            ['... in chunks', 'mock/m+chunked+dribble=1,1', 0, 'whole'],
            ['... to a TLS client', 'mock/m+dribble=1,1', 1, 'whole', 'tls'],
            ['packed', 'mock/m+gzip+dribble=7,1', 1, 'whole'],
        );
        for my $case (@cases) {
            my ($what, $model, $stream, $end, $tls) = @$case;
            my $c = client($server, tls => $tls);
            my $mine = new_id() . $text;
            ask($c, $model, $mine, $stream);
            push @$case, $c, $mine;
        }
        for my $case (@cases) {
            my ($what, $model, $stream, $end) = @$case;
            my ($c, $mine) = @$case[-2, -1];
            my $res = $c->read;
            my @last = ($res->events)[-1];
            my $got = !$res->ok ? $res->error
                : $end eq 'whole' ? join('', flaw($res, $mine, $stream),
                                         'whole')
                : $res->status != 200 ? $res->status
                : $last[0] && $last[0]{json}{error}
                    && said($res) eq $mine =~ s/^(\S+ \S+).*/$1/r
                    && $res->body !~ /\[DONE\]/ ? 'broken' : $res->body;
            is $got, $end, "$what: $end";
            my $id = new_id();
            ask($c, 'mock/m', $id, 0);
            is_deeply [flaw($c->read, $id)], [],
                "$what: the connection works on";
        }
        settles($server, 'after it');
        finish($server);
    };
}

for my $mode (qw(auto always)) {
    subtest "$mode: nobody sleeps while it backs off" => sub {
        my $server = server($mode, conf => <<"END");
LLMuxBackoff 800ms
LLMuxAttempts 4
@{[ provider('moody', $mock->base('/v1'), 'LLMuxRetries 2') ]}
<LLMuxModel moody>
    LLMuxDeployment moody moody
    LLMuxFallback spare
</LLMuxModel>
<LLMuxModel spare>
    LLMuxDeployment moody spare
</LLMuxModel>
END
        # Both fail once for each, so that all come back to one of them.
        my $n = 24;
        my @waiting = map { [client($server), new_id(), $_ % 2] } 1 .. $n;
        $mock->rules(map { { model => '^(?:moody|spare)$', body => $_->[1],
                             times => 2, do => 503 } } @waiting);
        my $began = time;
        ask($_->[0], 'moody', @$_[1, 2]) for @waiting;
        # `auto` lets half of the workers wait.
        parks($server, $mode eq 'auto' ? $n - 2 : $n, 'they are parked');
        quickly($server, 'meanwhile');
        my @flaws = map { flaw($_->[0]->read, @$_[1, 2]) } @waiting;
        my $took = time - $began;
        is_deeply \@flaws, [], 'they are answered in the end';
        cmp_ok $took, '>', 0.6, 'after their pauses';
        cmp_ok $took, '<', patience(2), '... which they had together';
        my %by;
        $by{$_}++ for map { $_->{attempts} } grep { $_->{attempts} }
            $server->access_lines($n + 2);
        is_deeply \%by, { 1 => 1, 3 => $n }, 'at the third attempt';
        $mock->rules;
        settles($server, 'after it');
        finish($server);
    };
}

subtest 'a provider has its time, and no more' => sub {
    my @servers = map { [$_, server($_)] } @modes;
    my @cases = (
        ['no first byte', 'hasty1/m+stall=20', 1, 0.7],
        ['no first byte, whole', 'hasty1/m+stall=20', 0, 0.7],
        ['silent', 'hasty2/m+stall_after=3,20', 1, 0.7],
        ['in all', 'hasty3/m+gap=200', 1, 0.7],
        ['... whole', 'hasty3/m+stall=20', 0, 0.7],
    );
    my @waiting;
    for my $s (@servers) {
        for my $case (@cases) {
            my $c = client($s->[1]);
            my $id = new_id();
            ask($c, $case->[1], "$id b c d e f g h", $case->[2]);
            push @waiting, ["$s->[0]: $case->[0]", $id, $c];
        }
    }
    my @wrong;
    for my $w (@waiting) {
        my $res = $w->[2]->read(timeout => 5);
        my ($last) = reverse grep { $_->{json} } $res->events;
        my $error = ($res->json // $last->{json} // {})->{error} || {};
        my $code = $error->{code} // $res->error // 'none';
        push @wrong, "$w->[0]: $code" if $code ne 'upstream_timeout';
    }
    is_deeply \@wrong, [], 'all are told that it was the provider';
    my @ids = map { $_->[1] } @waiting;
    my $ended = ended($mock, @ids);
    my @times = map { $_ ? $_->{ended_at} - $_->{at} : 99 } @$ended{@ids};
    is scalar(grep { $_ > 0.5 && $_ < patience(1.1) } @times),
        scalar(@waiting), 'and the provider is let go in time'
        or diag "@times";
    for my $s (@servers) {
        settles($s->[1], $s->[0]);
        finish($s->[1]);
    }
};

# ---- others on the same connection

for my $mode (qw(off always)) {
    subtest "$mode: with mod_deflate in the way" => sub {
        my $server = server($mode, modules => ['deflate', 'filter'],
            conf => 'AddOutputFilterByType DEFLATE text/event-stream '
                  . 'application/json');
        my @streams = map { [client($server, tls => $_),
            new_id() . ' b c d e f'] } 0, 0, 0, 1;
        ask($_->[0], 'mock/m+gap=120', $_->[1], 1,
            headers => { 'Accept-Encoding' => 'gzip' }) for @streams;
        my $began = time;
        my %first;
        while (time - $began < patience(0.5)) {
            for my $s (@streams) {
                $s->[0]->look(0.02);
                $first{$s} //= time - $began
                    if $s->[0]{in} =~ /\r\n\r\n./s;
            }
        }
        is scalar(keys %first), 4, 'all begin before they end';
        for my $s (@streams) {
            my $res = $s->[0]->read;
            is $res->header('Content-Encoding'), 'gzip', 'it is packed';
            cmp_ok scalar($res->chunks), '>=', 5, '... event by event';
            my $plain = Compress::Zlib::memGunzip($res->body) // '';
            is said(LLMux::Response->whole(body => $plain, at => 0)),
                $s->[1], '... and complete';
        }
        my $c = client($server);
        ask($c, 'mock/m', my $id = new_id(), 0,
            headers => { 'Accept-Encoding' => 'gzip' });
        my $res = $c->read;
        is from_json(Compress::Zlib::memGunzip($res->body))
            ->{choices}[0]{message}{content}, $id, 'a whole answer, too';
        settles($server, 'after it');
        finish($server);
    };
}

for my $mode (qw(off always)) {
    subtest "$mode: other handlers, redirects, pages in pages" => sub {
        my $server = server($mode, modules => [qw(rewrite include dir)],
            conf => $site_conf);
        make_site($server);
        my @clients = map { client($server, tls => $_) } 0, 0, 1;
        my @wrong;

        for my $c (@clients) {
            ask($c, 'mock/m+gap=20', my $id = new_id() . ' b c', 1);
            push @wrong, 'stream: ' . $_ for flaw($c->read, $id, 1);
            my $res = $c->get('/server-status?auto');
            push @wrong, 'status' if $res->body !~ /^LLMuxParked: /m;
            ask($c, 'mock/m+stall=0.05', $id = new_id(), 0);
            push @wrong, "whole: $_" for flaw($c->read, $id);
            $res = $c->get('/site/plain.txt');
            push @wrong, 'file: ' . ($res->error // $res->body)
                if $res->body ne 'a file';
            $res = $c->get('/site/page.shtml');
            push @wrong, 'page: ' . ($res->error // $res->body)
                if $res->body !~ /^<p>\{.*"object":"list"/s;
            $res = $c->get('/site/nothing');
            push @wrong, 'error page: ' . $res->status . $res->body
                if $res->status != 404 || $res->body !~ /"object":"list"/;
            ask($c, 'mock/m+gap=20', $id = new_id() . ' b c', 1);
            push @wrong, "stream again: $_" for flaw($c->read, $id, 1);
        }
        is_deeply \@wrong, [], 'in turn on one connection';

        # Behind an internal redirect it waits in its worker, whatever is set.
        my @moved = map { [$_, new_id() . ' b c'] } @clients[0, 2];
        ask($_->[0], 'mock/m+gap=20+stall_after=3,0.8', $_->[1], 1,
            at => '/site/moved') for @moved;
        $_->[0]->read(until => sub { length said($_[0]) }) for @moved;
        my $status = status($server);
        is $status->{LLMuxParked}, 0, 'a redirected one is not parked';
        is $status->{LLMuxInFlight}, 2, '... but under way';
        my @flaws = map { flaw($_->[0]->read, $_->[1], 1) } @moved;
        is_deeply \@flaws, [], '... and complete';
        for my $c (@clients[0, 2]) {
            ask($c, 'mock/m+stall=0.1', my $id = new_id(), 0);
            push @flaws, flaw($c->read, $id);
        }
        is_deeply \@flaws, [], 'its connection works on';
        settles($server, 'after it');
        finish($server, qr/AH00128/);
    };
}

# ---- where nothing can be parked

sub wait_in_threads
{
    my ($mpm) = @_;
    my $server = server('always', mpm => $mpm, threads => 16,
                        conf => 'Timeout 1');
    my @cases = map { { %$_, client => client($server, tls => $_->{tls}),
                        text => new_id() . ' b c d' } }
        { model => 'mock/m+stall=3.2', stream => 1 },
        { model => 'mock/m+stall_after=3,3.2', stream => 1, tls => 1 },
        { model => 'safe/m+stall=3.2', stream => 0 },
        { model => 'mock/m+gap=20', stream => 1 };

    ask($_->{client}, @$_{qw(model text stream)}) for @cases;
    return ($server, \@cases);
}

my %others = map { $_ => [wait_in_threads($_)] } qw(worker prefork);

for my $mpm (qw(worker prefork)) {
    subtest "$mpm: LLMuxPark always" => sub {
        my ($server, $cases) = @{ $others{$mpm} };
        like $server->log_text, qr/\[llmux:info\].*LX0107: .*keep their/,
            'the log says that it cannot';
        my $gone = client($server);
        ask($gone, 'mock/m+stall_after=3,30', my $id = new_id() . ' b c', 1);
        $gone->read(until => sub { length said($_[0]) });
        is status($server)->{LLMuxParked}, 0, 'none is parked';
        my $left = time;
        $gone->abort;
        my $took = wait_until(2, sub {
            my ($r) = grep { $_->{body} =~ /$id/ } $mock->requests;
            return $r->{how} && $r->{ended_at} - $left;
        });
        cmp_ok $took || 99, '<', patience(0.25), 'who leaves is noticed';
        my @flaws = map { flaw($_->{client}->read, @$_{qw(text stream)}) }
            @$cases;
        is_deeply \@flaws, [], 'silences are waited for';

        my $c = $cases->[-1]{client};
        my @texts = map { new_id() } 1 .. 4;
        $c->send(join '', map { question('mock/m+stall=0.1', $texts[$_],
                                         $_ % 2) } 0 .. 3);
        is_deeply [map { flaw($c->read, $texts[$_], $_ % 2) } 0 .. 3], [],
            'four in one write';
        finish($server);
    };
}

# ---- the silences that began at first

for my $s (@silences) {
    my ($mode, $server, $waiting, $h2) = @$s;
    subtest "$mode: three times Timeout without a word" => sub {
        for my $w (@$waiting) {
            my ($what, $stream, $c, $text) = @$w;
            my $res = $c->read;
            is_deeply [flaw($res, $text, $stream)], [], "$what: it is there";
            my $beats = grep { defined $_->{comment} } $res->events;
            cmp_ok $beats, '>=', 8, "$what: with heartbeats" if $stream;
        }
        my $text = do { local $/; <$h2> };
        like $text, qr/over.*http2.*\[DONE\].*version 2$/s, 'HTTP/2: too';
        close $h2;
        unlike $server->log_text, qr/LX0107/,
            'the event MPM has nothing to excuse';
        settles($server, 'after it');
        my $took = (sort { $a <=> $b } map { $_->{duration_ms} // 0 }
                    grep { ($_->{path} // '') =~ /chat/ }
                    $server->access_lines)[0];
        cmp_ok $took, '>=', 6400, 'none took less than the provider'
            or diag $took;
        finish($server);
    };
}

$front->stop('TERM');
is_deeply [$front->problems(allow => [qr/proxy/])], [],
    'nothing untoward in the log of the provider behind TLS';
$front->remove;
done_clean();
done_testing;
