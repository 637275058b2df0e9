# 42-memory.t - memory: as much as one answer needs while it passes, nothing of
# it afterwards, nothing more with the number of requests or restarts.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

plan skip_all => 'ASan keeps what was freed: nothing here could be measured'
    if $ENV{LLMUX_ASAN};
plan skip_all => 'the kernel has no /proc/PID/clear_refs'
    if !-e "/proc/$$/clear_refs";

my $path = '/v1/chat/completions';
my $mock = mock();
my $conf = <<"END";
ServerLimit 4
MaxRequestWorkers 32
LLMuxDirect on
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
<LLMuxProvider gem>
    LLMuxType gemini
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-gem
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END
my $httpd = httpd(conf => $conf);
my @dialects = qw(oai ant gem);

# ---- what a process has

sub number
{
    my ($pid, $name) = @_;
    return slurp("/proc/$pid/status") =~ /^$name:\s+(\d+)/m ? $1 : 0;
}

sub child
{
    my @children = $httpd->children;
    die "more than one child: @children\n" if @children != 1;
    return $children[0];
}

sub resident { return number($_[0] // child(), 'VmRSS') }

# Runs the code. How much the child had at its highest, and how much it has
# kept, both in kB above what it had before. A request is cleared away a little
# later than its last byte arrives.
sub grown
{
    my ($code) = @_;
    my $pid = child();
    my $before = resident($pid);

    spew("/proc/$pid/clear_refs", '5');     # the mark of the highest
    $code->();
    my $peak = number($pid, 'VmHWM') - $before;
    my $kept;
    wait_until(1, sub {
        my $now = resident($pid) - $before;
        $kept = $now if !defined $kept || $now < $kept;
        return $kept < 100;
    });
    note "peak $peak kB, kept $kept kB";
    return ($peak, $kept);
}

# Every thread has had its share of everything, so that what comes later is
# new.
sub warm_up
{
    my @clients = map { client($httpd) } 1 .. 32;

    for my $p (@dialects, @dialects) {
        for my $stream (false, true) {
            $_->send_request(POST => $path, body => chat("$p/m+gap=5",
                'a b c d e f', stream => $stream)) for @clients;
            $_->read for @clients;
        }
    }
    return;
}

# How many letters of a flood came through; parsing takes too long.
sub flooded
{
    my $body = $_[0]->body;
    my $n = 0;
    $n += length $1 while $body =~ /"(x+)"/g;
    return $n;
}

# ----------------------------------------------------------------------

warm_up();

# Four at a time, of every sort. Half a kilobyte lost by each request would
# be seen; so early, that there is no room left by others for it to hide in.
subtest '2,000 requests' => sub {
    my @clients = map { client($httpd) } 1 .. 4;
    my (@rss, @bad);
    my @sorts = map { my $p = $_; map { [$p, @$_] }
        (["$p/m", false, 200], ["$p/m", true, 200], ["$p/m+400", true, 400],
         ['nobody', false, 404]) } @dialects;

    for my $i (0 .. 499) {
        my @now = map { $sorts[(4 * $i + $_ + $i) % @sorts] } 0 .. 3;
        $clients[$_]->send_request(POST => $path,
            body => chat($now[$_][1], "word $i", stream => $now[$_][2]))
            for 0 .. 3;
        for my $k (0 .. 3) {
            my $res = $clients[$k]->read;
            if ($res->error) {
                # 100 requests are as many as httpd takes on one connection.
                $clients[$k] = client($httpd);
                $res = $clients[$k]->post($path, chat($now[$k][1], "word $i",
                                                      stream => $now[$k][2]));
            }
            push @bad, $res->status if $res->status != $now[$k][3];
        }
        push @rss, resident() if ($i + 1) % 125 == 0;
    }
    is_deeply \@bad, [], 'all were answered as they should';
    cmp_ok $rss[3] - $rss[1], '<', 512, "kB grown in the last 1,000: @rss";
};

# A stream has one read from the provider, the event it ends in, and what this
# read has become for the client: 2 MB leave room for the threads' own pools.
# A stream whose client is slow moves from one worker to the next, and leaves
# touched pages in the stack of each.
subtest 'a stream, however long' => sub {
    my @cases = (
        [1_000, 30_000, 'of 30 MB'],
        [100_000, 8, 'of 100,000 small events'],
    );
    for my $p (@dialects) {
        for my $case (@cases) {
            my ($n, $size, $what) = @$case;
            my ($res, $so_far);
            my ($peak, $kept) = grown(sub {
                $res = post($httpd, $path, chat("$p/m+flood=$n,$size", 'x',
                    stream => true), timeout => 60);
            });
            ok $res->ok, "$p, $what: it ends well" or diag $res->error;
            is flooded($res), $n * $size, "$p, $what: nothing is lost";
            cmp_ok $peak, '<', 2000, "$p, $what: kB at its highest";
            cmp_ok $kept, '<', 1500, "$p, $what: kB kept";
        }
    }
};

# A whole answer is read to its end. Where it passes as it is, there is one of
# it; translated there are three: the provider's bytes, their text, and ours.
subtest 'a whole answer, however large' => sub {
    my %copies = (oai => 1, ant => 3, gem => 3);
    my ($n, $size) = (100, 100_000);
    my $megabytes = $n * $size / 1e6;

    for my $p (@dialects) {
        my ($res, @kept);
        my ($peak, $kept) = grown(sub {
            $res = post($httpd, $path, chat("$p/m+flood=$n,$size", 'x'));
        });
        is flooded($res), $n * $size, "$p: all of it comes";
        cmp_ok $peak, '<', $copies{$p} * $megabytes * 1024 + 2000,
            "$p: kB at its highest, for $copies{$p} times $megabytes MB";
        cmp_ok $kept, '<', 1000, "$p: kB kept";
        (undef, $kept) = grown(sub {
            post($httpd, $path, chat("$p/m+flood=$n,$size", 'x')) for 1 .. 15;
        });
        cmp_ok $kept, '<', 3000, "$p: kB kept after 15 more";
    }
};

# The client's bytes, and what goes to the provider.
subtest 'a question, however large' => sub {
    my $megabytes = 8;
    my $body = to_json(chat('MODEL', 'x' x ($megabytes << 20)));

    for my $p (@dialects) {
        my $mine = $body =~ s/MODEL/$p\/m+flood=1,10/r;
        my ($peak, $kept) = grown(sub {
            is flooded(post($httpd, $path, $mine)), 10, "$p: it is answered";
        });
        cmp_ok $peak, '<', 2 * $megabytes * 1024 + 3000,
            "$p: kB at its highest, for 2 times $megabytes MB";
        (undef, $kept) = grown(sub { post($httpd, $path, $mine) for 1 .. 9 });
        cmp_ok $kept, '<', 3000, "$p: kB kept after 9 more";
    }
};

subtest '20 graceful restarts' => sub {
    my $pid = $httpd->pid;
    my $state = sub {
        my @maps = split /\n/, slurp("/proc/$pid/maps");
        return {
            descriptors => scalar(() = glob "/proc/$pid/fd/*"),
            shared => scalar(grep { /^\S+ \S*s / } @maps),
            maps => scalar @maps, rss => resident($pid),
        };
    };
    my $restart = sub {
        my ($n) = @_;
        for (1 .. $n) {
            $httpd->graceful or return 0;
            post($httpd, $path, chat('oai/m', 'x'))->status == 200 or return 0;
        }
        return 1;
    };
    ok $restart->(3), 'the first three';
    my $before = $state->();
    ok $restart->(20), 'twenty more, each followed by an answer';
    my $after = $state->();

    is $after->{$_}, $before->{$_}, "the parent's $_"
        for qw(descriptors shared);
    cmp_ok $after->{maps} - $before->{maps}, '<=', 2, "the parent's maps";
    cmp_ok $after->{rss} - $before->{rss}, '<', 1000, 'kB it has grown';
    ok wait_until(5, sub { 1 == $httpd->children }), 'one child';
};

done_clean($httpd);
done_testing;
