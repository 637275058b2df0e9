# Park.pm - requests that wait without a worker: servers whose requests do,
# what such a server says of itself, and crowds of clients, some of whose lines
# can be cut.
#
#   my $server = park_server('auto', threads => 4,
#       providers => provider('mock', $mock->base('/v1')));
#   my $c = client($server);
#   ask($c, 'mock/m+stall=2', my $id = new_id(), 0);
#   parks($server, 1, 'it is parked');
#   is_deeply [flaw($c->read, $id)], [], 'and answered';
#   settles($server, 'after it');
#   finish($server);
package LLMux::Park;

use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(F_SETFD);
use IO::Socket::INET;
use LLMux::Test;
use POSIX ();

our @EXPORT = qw($path @modes provider park_server finish no_problems outcome
                 status parks parks_at_least settles resident descriptors
                 settled new_id question ask said flaw quickly crowd begun
                 read_together play asked ended lines_of cuttable $site_conf
                 make_site);

our $path = '/v1/chat/completions';
our @modes = qw(off auto always);

# ---- servers

sub provider
{
    my ($name, $base, @more) = @_;
    return join "\n", "<LLMuxProvider $name>", 'LLMuxType openai',
        "LLMuxBaseURL $base", 'LLMuxAPIKey sk-x',
        (grep { /LLMuxRetries/ } @more) ? () : 'LLMuxRetries 0', @more,
        "</LLMuxProvider>\n";
}

# Options: threads of each child, children (1), providers, conf, modules; and
# mpm, tls (1), env as of httpd(); allow, what its log may say beside the usual.
sub park_server
{
    my ($mode, %opt) = @_;
    my %more = map { $_ => $opt{$_} } grep { defined $opt{$_} }
        qw(mpm tls env allow);

    return httpd(tls => 1, %more,
        modules => ['status', @{ $opt{modules} || [] }],
        conf => mpm_conf(%opt) . <<"END");
LLMuxPark $mode
LLMuxDirect on
$opt{providers}
<Location "/">
    SetHandler llmux
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
@{[ $opt{conf} // '' ]}
END
}

sub mpm_conf
{
    my (%opt) = @_;
    my $mpm = $opt{mpm} // 'event';
    my $children = $opt{children} // 1;

    return '' if $mpm eq 'prefork';
    return join "\n", "ServerLimit $children",
        "ThreadsPerChild $opt{threads}",
        'MaxRequestWorkers ' . $opt{threads} * $children,
        $mpm eq 'event' ? 'AsyncRequestWorkerFactor 100' : (), '';
}

# Other handlers beside ours: files below /site, pages in pages, redirects,
# and an error page of our own.
our $site_conf = <<'END';
<Location "/site">
    SetHandler none
    ErrorDocument 404 /v1/models
</Location>
<Directory "__DIR__/htdocs">
    Options +Includes
    RewriteEngine on
    RewriteBase /site
    RewriteRule ^site/moved$ /v1/chat/completions [L]
</Directory>
<LocationMatch "^/site/.*\.shtml$">
    SetOutputFilter INCLUDES
</LocationMatch>
END

sub make_site
{
    my ($server) = @_;
    my $docs = $server->dir . '/htdocs/site';

    mkdir $docs;
    spew("$docs/plain.txt", 'a file');
    spew("$docs/page.shtml", '<p><!--#include virtual="/v1/models" -->');
    return;
}

sub finish
{
    my ($server, @allow) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    # Gracefully takes seconds, for the sake of idle clients. Not while a
    # worker closes a connection: httpd's own race ends in a crash then.
    sleep 0.1;
    $server->stop('TERM');
    no_problems($server, @allow);
    return;
}

# What a full child is told.
my $full = qr/AH00484|AH00485|AH10159|AH03490/;

sub no_problems
{
    my ($server, @allow) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @problems = $server->problems(
        allow => [$full, @{ $server->{allow} || [] }, @allow]);

    is_deeply \@problems, [], 'nothing untoward in its log';
    $server->remove if !@problems;
    return;
}

# ---- what became of a question

# How an answer ended, in a word: whole, broken (the stream says it), the
# status, or what the client noticed.
sub outcome
{
    my ($res, $text, $stream) = @_;
    my ($last) = reverse grep { $_->{json} } $res->events;

    return $res->error if defined $res->error;
    return $res->status if $res->status != 200;
    return 'broken' if $last && $last->{json}{error}
        && $res->body !~ /\[DONE\]/;
    return join '; ', flaw($res, $text, $stream), 'whole';
}

# ---- what a server says of itself

sub status
{
    my ($server) = @_;
    my %status = get($server, '/server-status?auto')->body
        =~ /^(\w+): (\d+)$/mg;
    return \%status;
}

sub parks
{
    my ($server, $n, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return parked($server, $what, $n, sub { $_[0] == $n });
}

sub parks_at_least
{
    my ($server, $n, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return parked($server, $what, $n, sub { $_[0] >= $n });
}

sub parked
{
    my ($server, $what, $n, $good) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $parked;

    return ok(wait_until(4, sub {
        $parked = status($server)->{LLMuxParked} // -1;
        return $good->($parked);
    }), $what) || diag("parked: $parked of $n");
}

# Its own page is the one request that works.
sub settles
{
    my ($server, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $want = 'LLMuxInFlight=0 LLMuxParked=0 BusyWorkers=1';
    my $now;

    wait_until(5, sub {
        my $status = status($server);
        $now = join ' ', map { "$_=" . ($status->{$_} // '?') }
            qw(LLMuxInFlight LLMuxParked BusyWorkers);
        return $now eq $want;
    });
    is $now, $want, "$what: nothing is left";
    return;
}

# Of all its children, in kB.
sub resident
{
    my ($server) = @_;
    my $sum = 0;
    slurp("/proc/$_/status") =~ /^VmRSS:\s+(\d+)/m and $sum += $1
        for $server->children;
    return $sum;
}

sub descriptors
{
    my ($server) = @_;
    my $n = 0;
    $n += () = glob "/proc/$_/fd/*" for $server->children;
    return $n;
}

# Once it has been the same for half a second, and at the longest.
sub settled
{
    my ($code) = @_;
    my ($last, $since) = (-1, 0);

    wait_until(4, sub {
        my $now = $code->();
        ($last, $since) = ($now, time) if $now != $last;
        return time - $since > 0.5;
    });
    return $last;
}

# ---- questions and answers

# A question begins with its id.
my $so_far = 0;
my $id = qr/q\d+q/;

sub new_id { return 'q' . ++$so_far . 'q' }

# A question as bytes, for those who send several at once.
sub question
{
    my ($model, $text, $stream) = @_;
    my $body = to_json(chat($model, $text, $stream ? (stream => true) : ()));

    return "POST $path HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        . "application/json\r\nContent-Length: " . length($body)
        . "\r\n\r\n$body";
}

# Options: at (another path), headers.
sub ask
{
    my ($c, $model, $text, $stream, %opt) = @_;
    return $c->send_request(POST => $opt{at} // $path,
        headers => { 'X-Request-ID' => $text =~ s/ .*//sr,
                     %{ $opt{headers} || {} } },
        body => chat($model, $text, $stream ? (stream => true) : ()));
}

sub said
{
    return join '', map { $_->{json}{choices}[0]{delta}{content} // '' }
        grep { $_->{json} && $_->{json}{choices} } $_[0]->events;
}

# Everything that was to be said, and a proper end. Gives what is wrong.
sub flaw
{
    my ($res, $text, $stream) = @_;

    return $res->error if defined $res->error;
    return 'status ' . $res->status if $res->status != 200;
    if (!$stream) {
        my $got = eval { $res->json->{choices}[0]{message}{content} } // '';
        return $got eq $text ? () : "whole: '$got'";
    }
    return 'no end' if $res->body !~ /\ndata: \[DONE\]\n\n\z/;
    return said($res) eq $text ? () : "stream: '" . said($res) . "'";
}

sub quickly
{
    my ($server, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($mine, $began) = (new_id(), time);
    my @flaws = flaw(post($server, $path, chat('mock/m', $mine)), $mine);

    is_deeply \@flaws, [], "$what: another request is answered";
    cmp_ok time - $began, '<', patience(0.5), "$what: ... at once";
    return;
}

# ---- crowds

# n streams, each with words of its own: {client, id, text}.
sub crowd
{
    my ($server, $n, $model, $words) = @_;

    return map {
        my $mine = new_id();
        my $text = join ' ', $mine, map { "w$_" } 2 .. $words;
        my $c = client($server);
        ask($c, $model, $text, 1);
        { client => $c, id => $mine, text => $text };
    } 1 .. $n;
}

# How many of them have their first word, after that time at the latest.
sub begun
{
    my ($secs, @crowd) = @_;
    my $n;

    wait_until($secs, sub {
        $_->{client}->look(0) for @crowd;
        $n = grep { $_->{client}{in} =~ /$_->{id}/ } @crowd;
        return $n == @crowd;
    });
    return $n;
}

# Several at the same time, so that none is kept waiting and each is told when
# it came. Gives their responses.
sub read_together
{
    my @clients = @_;
    my %left = map { $_ => $_ } @clients;
    my $end = time + patience(20);

    while (%left && time < $end) {
        for my $c (values %left) {
            $c->look(0);
            $c->{response}->feed(\$c->{in}, time);
            delete $left{$c} if $c->{response}->done || $c->{closed};
        }
        sleep 0.005;
    }
    return map { $_->{response}->done ? $_->{response} : $_->read } @clients;
}

# Steps, each [seconds from now, code].
sub play
{
    my @plan = @_;
    my $start = time;

    for my $step (sort { $a->[0] <=> $b->[0] } @plan) {
        my $ahead = $start + $step->[0] - time;
        sleep $ahead if $ahead > 0;
        $step->[1]->();
    }
    return;
}

# ---- what others saw of questions with these ids

# Does the provider have all of them? Waits for it.
sub asked
{
    my ($mock, @ids) = @_;

    return wait_until(5, sub {
        my %asked = map { $_->{body} =~ /($id)/ ? ($1 => 1) : () }
            $mock->requests;
        return !grep { !$asked{$_} } @ids;
    });
}

# The provider's requests by their ids, once all of these are over; those that
# are over, if not all are in time.
sub ended
{
    my ($mock, @ids) = @_;
    my %ended;

    wait_until(5, sub {
        %ended = map { $_->{body} =~ /($id)/ && $_->{how} ? ($1 => $_) : () }
            $mock->requests;
        return !grep { !$ended{$_} } @ids;
    });
    return \%ended;
}

# Their lines in the access log, in this order; {} for one that is missing.
sub lines_of
{
    my ($server, @ids) = @_;
    my %line;

    wait_until(5, sub {
        %line = map { $_->{request_id} ? ($_->{request_id} => $_) : () }
            $server->access_lines;
        return !grep { !$line{$_} } @ids;
    });
    return map { $line{$_} // {} } @ids;
}

# ---- lines that can be cut like a plain one, though a TLS client uses them

my $line_program = <<'END';
use Socket;
my ($fd, $port, $size, $pace) = map { $_ + 0 } @ARGV;
open my $listener, '+<&=', $fd or die;
accept my $near, $listener or die;
close $listener;
socket my $far, PF_INET, SOCK_STREAM, 0 or die;
setsockopt $far, SOL_SOCKET, SO_RCVBUF, $size and
    setsockopt $near, SOL_SOCKET, SO_SNDBUF, $size if $size;
connect $far, sockaddr_in($port, INADDR_LOOPBACK) or die;
$SIG{PIPE} = 'IGNORE';
$SIG{USR1} = sub {
    setsockopt $far, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    exit;
};
$SIG{USR2} = sub { shutdown $far, 1 };
$SIG{HUP} = sub { $pace = 0 };
while (1) {
    my ($r, $n) = '';
    vec($r, fileno $_, 1) = 1 for $near, $far;
    next if select($r, undef, undef, undef) < 0;
    for ([$near, $far], [$far, $near]) {
        my ($from, $to) = @$_;
        next if !vec $r, fileno $from, 1;
        my $n = sysread $from, my $bytes, $size || 16384;
        next if !defined $n;
        select undef, undef, undef, $pace if $pace && $from == $far;
        exit if !$n;
        while (length $bytes) {
            my $n = syswrite $to, $bytes;
            exit if !defined $n && !$!{EINTR};
            substr $bytes, 0, $n // 0, '';
        }
    }
}
END

my @lines;

# A TLS client behind one of them, and the line's process: USR1 resets it,
# USR2 half closes it, STOP stops all. With a size its buffers are small; with
# a pace it takes as many bytes in so many seconds, until HUP.
sub cuttable
{
    my ($server, $size, $pace) = @_;
    my $listener = IO::Socket::INET->new(Listen => 1,
        LocalAddr => '127.0.0.1') or die "listen: $!\n";
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        fcntl $listener, F_SETFD, 0;
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec $^X, '-e', $line_program, fileno $listener, $server->tls_port,
            $size // 0, $pace // 0 or POSIX::_exit(127);
    }
    push @lines, $pid;
    return (client($listener->sockport, tls => 1), $pid);
}

END {
    local $?;
    kill $_ => @lines for qw(TERM CONT);
    waitpid $_, 0 for @lines;
}

1;
