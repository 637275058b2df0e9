# Client.pm - an HTTP/1.1 client that can do what a good one would not: send a
# body in pieces, hang up in the middle, say nothing. It never dies of what the
# server does; the response tells.
#
#   my $c = LLMux::Client->new($httpd);
#   my $res = $c->post('/v1/chat/completions', { model => 'm', ... });
#   my $res = $c->start(POST => '/v1/...', body => $bytes, until_events => 2);
#   $c->abort;
package LLMux::Client;

use strict;
use warnings;
use Errno qw(EAGAIN EWOULDBLOCK EINTR ECONNRESET);
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use LLMux::Place qw(patience run slurp wait_until);
use LLMux::Response;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER SO_RCVBUF
              AF_UNIX SOCK_STREAM PF_UNSPEC);
use Time::HiRes qw(time sleep);

my $json = JSON::PP->new->utf8->canonical->allow_nonref->convert_blessed;

# $where: something with a port (an httpd, a mock) or a port's number.
# Options: tls => 1, timeout, receive_buffer (bytes; for slow readers).
sub new
{
    my ($class, $where, %opt) = @_;
    my $port = !ref $where ? $where
        : $opt{tls} ? $where->tls_port : $where->port;
    my $self = bless { port => $port, in => '', closed => 0,
                       timeout => $opt{timeout} || 20 }, $class;

    $opt{tls} ? $self->connect_tls : $self->connect_plain(%opt);
    $self->{socket}->blocking(0);
    return $self;
}

sub connect_plain
{
    my ($self, %opt) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'tcp')
        or die "socket: $!\n";

    # Before connecting, or the window has been announced already.
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, $opt{receive_buffer}
        if $opt{receive_buffer};
    connect $socket, Socket::pack_sockaddr_in($self->{port},
        Socket::inet_aton('127.0.0.1'))
        or die "connect to port $self->{port}: $!\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    $self->{socket} = $socket;
    return;
}

# The certificate is not looked at: curl() is there for that.
sub connect_tls
{
    my ($self) = @_;

    if (eval { require IO::Socket::SSL; 1 }) {
        $self->{socket} = IO::Socket::SSL->new(
            PeerAddr => '127.0.0.1', PeerPort => $self->{port},
            SSL_verify_mode => 0, SSL_hostname => 'localhost')
            or die "tls: " . IO::Socket::SSL::errstr() . "\n";
        return;
    }
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!\n";
    $self->{helper} = fork() // die "fork: $!\n";
    if (!$self->{helper}) {
        open STDIN, '<&', $theirs;
        open STDOUT, '>&', $theirs;
        open STDERR, '>', '/dev/null';
        exec qw(openssl s_client -quiet -servername localhost -connect),
            "127.0.0.1:$self->{port}" or POSIX::_exit(127);
    }
    CORE::close $theirs;
    $self->{socket} = IO::Socket->new_from_fd(fileno($ours), 'r+');
    $self->{keep} = $ours;
    return;
}

# ---- requests

sub get
{
    my ($self, $path, %opt) = @_;
    return $self->request(GET => $path, %opt);
}

# $data: bytes, or a structure to be sent as JSON.
sub post
{
    my ($self, $path, $data, %opt) = @_;
    return $self->request(POST => $path, body => $data, %opt);
}

# Sends and reads to the end of the response. Options: body, headers (hash or
# list of pairs in an array), chunked => 1, pieces (bytes in a piece, or a list
# of texts) and gap (seconds between pieces), version, timeout,
# until_events => n, until_bytes => n, until => sub {...} (for start).
sub request
{
    my ($self, $method, $path, %opt) = @_;

    delete @opt{qw(until until_events until_bytes)};
    return $self->start($method, $path, %opt);
}

# Same, but comes back as soon as the condition holds; read() goes on.
sub start
{
    my ($self, $method, $path, %opt) = @_;

    $self->send_request($method, $path, %opt);
    return $self->read(%opt);
}

# Only sends.
sub send_request
{
    my ($self, $method, $path, %opt) = @_;
    my $body = ref $opt{body} ? $json->encode($opt{body}) : $opt{body};
    my $head = head($self->{port}, $method, $path, $body, %opt);
    my @pieces = cut_up($body // '', $opt{pieces});

    $self->{response} = LLMux::Response->new(method => $method);
    $self->{sent_at} = time;
    if ($opt{chunked}) {
        @pieces = map { sprintf "%x\r\n%s\r\n", length, $_ }
            grep { length } @pieces;
        push @pieces, "0\r\n\r\n";
    }
    if (!$opt{gap}) {
        return $self->send(join '', $head, @pieces);
    }
    $self->send($head);
    for my $piece (@pieces) {
        sleep $opt{gap};
        $self->send($piece) or return 0;
    }
    return 1;
}

sub head
{
    my ($port, $method, $path, $body, %opt) = @_;
    my @pairs = ref $opt{headers} eq 'ARRAY' ? @{ $opt{headers} }
        : map { ($_ => $opt{headers}{$_}) } sort keys %{ $opt{headers} || {} };
    my $version = $opt{version} || '1.1';
    my (%given, @lines);

    while (my ($name, $value) = splice @pairs, 0, 2) {
        $given{ lc $name } = 1;
        push @lines, "$name: $value" if defined $value;
    }
    my @ours = (['Host', "localhost:$port"]);
    push @ours, ['Content-Type', 'application/json'] if ref $opt{body};
    push @ours, $opt{chunked} ? ['Transfer-Encoding', 'chunked']
        : ['Content-Length', length $body] if defined $body;
    unshift @lines, map { "$_->[0]: $_->[1]" }
        grep { !$given{ lc $_->[0] } } @ours;
    return join "\r\n", "$method $path HTTP/$version", @lines, '', '';
}

sub cut_up
{
    my ($body, $how) = @_;

    return $body if !$how;
    return @$how if ref $how;
    return unpack "(a$how)*", $body;
}

# Sends bytes as they are. Returns whether all of them went.
sub send
{
    my ($self, $bytes) = @_;
    my $end = time + patience($self->{timeout});
    local $SIG{PIPE} = 'IGNORE';

    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, 65536;
        if (defined $n) {
            substr $bytes, 0, $n, '';
        }
        elsif (!again() || time > $end) {
            return 0;
        }
        else {
            $self->look(0.05, 1);
        }
    }
    return 1;
}

sub again { return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR }

# ---- responses

# Reads on in the present response, or in the next one when that is done.
sub read
{
    my ($self, %opt) = @_;
    my $end = time + patience($opt{timeout} || $self->{timeout});
    my $enough = condition(%opt);
    my $res = $self->{response};

    $res = $self->{response} = LLMux::Response->new if !$res || $res->done;
    $res->{sent_at} //= $self->{sent_at};
    $res->feed(\$self->{in}, time);
    while (!$res->done && !$enough->($res)) {
        if ($self->{closed}) {
            $self->{closed} eq 'reset' ? $res->broken('reset', time)
                : $res->eof(time);
        }
        elsif (time > $end) {
            $res->broken('timeout', time);
        }
        else {
            $self->look($end - time);
            $res->feed(\$self->{in}, time);
        }
    }
    return $res;
}

sub condition
{
    my (%opt) = @_;

    return $opt{until} if $opt{until};
    return sub { $_[0]->events >= $opt{until_events} } if $opt{until_events};
    return sub { length $_[0]->body >= $opt{until_bytes} }
        if $opt{until_bytes};
    return sub { defined $_[0]{head_at} } if $opt{until_head};
    return sub { 0 };
}

# Waits for the socket, at most that long, and takes in what is there.
sub look
{
    my ($self, $secs, $for_writing) = @_;
    my $set = IO::Select->new($self->{socket});
    my $pending = $self->{socket}->can('pending') && $self->{socket}->pending;

    if (!$pending) {
        my @ready = IO::Select->select($set, $for_writing ? $set : undef,
                                       undef, $secs > 0 ? $secs : 0);
        return if !@ready || !@{ $ready[0] };
    }
    my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
    if (defined $n ? $n == 0 : !again()) {
        $self->{closed} = defined $n ? 'closed'
            : $! == ECONNRESET ? 'reset' : "$!";
    }
    return;
}

# Has the server closed, or does it within that time? What it said before is
# kept. Says how: 'closed', 'reset', or ''.
sub wait_closed
{
    my ($self, $secs) = @_;
    my $end = time + patience($secs // 5);

    $self->look($end - time) while !$self->{closed} && time < $end;
    return $self->{closed} || '';
}

# ---- endings

# "I have said all": the server may still answer.
sub half_close
{
    my ($self) = @_;
    return shutdown $self->{socket}, 1;
}

sub close
{
    my ($self) = @_;

    $self->{closed} ||= 'by us';
    CORE::close delete $self->{socket} if $self->{socket};
    CORE::close delete $self->{keep} if $self->{keep};
    if (my $helper = delete $self->{helper}) {
        kill TERM => $helper;
        waitpid $helper, 0;
    }
    return;
}

# Hangs up with a reset instead of a farewell.
sub abort
{
    my ($self) = @_;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    return $self->close;
}

sub DESTROY
{
    my ($self) = @_;
    local ($?, $!, $@);
    $self->close if $self->{socket};
    return;
}

# ---- curl, for HTTP/2 and TLS

# Runs curl with these arguments. The response has also {exit}, {complaint}
# and the version it was answered in ("2", "1.1").
sub curl
{
    my @args = @_;
    my $dir = File::Temp->newdir('llmux-XXXXXX', TMPDIR => 1);
    my ($exit, $out) = run(['curl', '-sS', '-q', '--noproxy', '*',
        '--max-time', patience(30), '-D', "$dir/head", '-o', "$dir/body",
        @args], timeout => 40);
    my @heads = split /\r\n\r\n/, slurp("$dir/head");
    my ($first, @lines) = split /\r\n/, @heads ? $heads[-1] : '';
    my ($version, $status) = ($first // '') =~ m{^HTTP/([\d.]+) (\d+)};

    return LLMux::Response->whole(exit => $exit, complaint => $out,
        status => $status, version => $version, at => time,
        body => slurp("$dir/body"),
        headers => [map { [split /:\s*/, $_, 2] } @lines],
        error => $exit eq '0' ? undef : "curl: $out");
}

1;
