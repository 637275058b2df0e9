# Mock.pm - a provider that does what it is told: answers in three dialects,
# plays recordings, stalls, dribbles, resets, lies. A process of its own on a
# free port.
#
#   my $mock = LLMux::Mock->new;
#   LLMuxBaseURL @{[ $mock->base('/v1') ]}
#
# By default the path decides the dialect (/chat/completions, /messages,
# :generateContent, ...) and it says the user's last words back, streamed or
# whole; usage is words + 7 in, words out.
#
# Behaviours have a short form, words joined by "+":
#   429=30      a status (with Retry-After); 500, 503, 529, ... in the dialect
#   html        502 with an HTML page          empty     200 without a body
#   broken      200 with half a JSON           bomb=10   10 MB of zeros, gzipped
#   gzip        though nobody asked            length=5  that Content-Length
#   long=9      9 more in it than there is     short=9   9 less
#   chunked     a whole answer in chunks       eof       ... ended by closing
#   stall=2     seconds before the head        stall_after=3,2  after 3 events
#   reset       instead of an answer           reset=3   after 3 events and half
#   cut=3       closes after 3 events and half of the next
#   half=3      same, but the framing ends properly
#   unfinished  all events but the final ones (or =3: only three)
#   error_event an error instead of the end (or =3: after three events)
#   gap=10      milliseconds between events    dribble=1,5  bytes, milliseconds
#   flood=1000,50  events of that many bytes   close     Connection: close
#   idle=0      hangs up on the idle connection after so many milliseconds
#
# It is given by a rule, by the model's name ("gpt-5+stall=2"), by the header
# X-Mock, or in the base URL: $mock->base('/v1', 'stall=2').
#
# Rules: rules => [{ model => '^gpt', path => ..., method, body, headers => {},
# times => 2, do => 'short form' or {...} }]; texts are regular expressions.
# A `do` hash may also have: text (characters), usage => [in, out], json, body, sse =>
# [data or [name, data], ...], file (a recording), status, type, reason,
# headers => {}, gzip, framing, length, ... (see Mock/Script.pm).
# Other options: port, idle (seconds).
package LLMux::Mock;

use strict;
use warnings;
use Fcntl qw(F_SETFD);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use LLMux::Corpus;
use LLMux::Guard;
use LLMux::Mock::Script;
use LLMux::Place qw(tree patience wait_until temp_dir drop_dir slurp);
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my %running;

my $json = JSON::PP->new->utf8->canonical;

sub new
{
    my ($class, %opt) = @_;
    my $listener = IO::Socket::INET->new(Listen => 1024, ReuseAddr => 1,
        LocalAddr => '127.0.0.1', LocalPort => $opt{port} || 0,
        Proto => 'tcp') or die "mock: $!\n";
    my $self = bless { port => $listener->sockport, owner => $$,
                       dir => temp_dir('mock') }, $class;

    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!\n";
    $self->{pid} = fork() // die "fork: $!\n";
    if (!$self->{pid}) {
        $self->become_server($listener, $theirs);
    }
    POSIX::setpgid($self->{pid}, $self->{pid});
    close $theirs;
    $self->{control} = $ours;
    syswrite $ours, $json->encode({ diary => "$self->{dir}/diary",
        idle => $opt{idle}, rules => plain($opt{rules} || []) }) . "\n";
    $running{ $self->{pid} } = $self;
    LLMux::Guard::watch($self->{pid});
    return $self;
}

# In the new process; never returns. A program of its own inherits nothing but
# the two sockets: what the test closes is closed.
sub become_server
{
    my ($self, $listener, $control) = @_;
    my $lib = tree() . '/t/lib';

    POSIX::setpgid(0, 0);
    fcntl $_, F_SETFD, 0 for $listener, $control;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', "$self->{dir}/complaints";
    exec $^X, "-I$lib", '-MLLMux::Mock::Server',
        '-eLLMux::Mock::Server::main()', fileno $control, fileno $listener
        or POSIX::_exit(127);
}

# Rules as data: regular expressions as texts, recordings by their full names.
sub plain
{
    my ($value) = @_;

    return [map { plain($_) } @$value] if ref $value eq 'ARRAY';
    return "$value" if ref $value eq 'Regexp';
    return $value if ref $value ne 'HASH';
    my %copy = map { $_ => plain($value->{$_}) } keys %$value;
    if (defined $copy{file} && !ref $copy{file} && $copy{file} !~ m{^/}) {
        $copy{file} = LLMux::Corpus::dir() . "/$copy{file}";
    }
    return \%copy;
}

# ---- where it is

sub port { return $_[0]{port} }
sub url { return "http://127.0.0.1:$_[0]{port}" }

# A base URL, with a behaviour for all that comes that way.
sub base
{
    my ($self, $path, $behaviour) = @_;

    LLMux::Mock::Script::behaviour($behaviour);
    return $self->url . (defined $behaviour ? "/mock/$behaviour" : '')
        . ($path // '');
}

# ---- orders

sub order
{
    my ($self, %order) = @_;
    my $control = $self->{control};

    local $SIG{PIPE} = 'IGNORE';
    syswrite $control, $json->encode(\%order) . "\n";
    IO::Select->new($control)->can_read(patience(10))
        && sysread($control, my $answer, 10)
        or die "the mock does not answer:\n" . $self->complaints;
    return $self;
}

# Other rules from now on.
sub rules
{
    my ($self, @rules) = @_;
    return $self->order(rules => plain(\@rules));
}

# Hangs up on all idle connections, now.
sub drop_idle { return $_[0]->order(drop => 1) }

# Stops (or goes on) accepting connections: they wait in the backlog.
sub deaf { return $_[0]->order(deaf => $_[1] // 1 ? 1 : 0) }

# ---- what it saw

# Every request so far, in order: {n, method, target, path, query, version,
# headers (lower case), header_list, body, length, json, model, conn,
# nth_on_conn, head_at, at}, and once the exchange is over {how (done, closed,
# reset, peer_closed), ended_at, sent}.
sub requests
{
    my ($self) = @_;
    my (@requests, %by_number);

    for my $entry ($self->diary) {
        if ($entry->{what} eq 'request') {
            # The diary holds bytes as characters.
            $entry->{json} //= eval { $json->decode($entry->{body}) };
            push @requests, $by_number{ $entry->{n} } = $entry;
        }
        elsif ($entry->{what} eq 'end') {
            @{ $by_number{ $entry->{n} } }{qw(how ended_at sent)} =
                @$entry{qw(how at sent)};
        }
    }
    return @requests;
}

# Every connection so far: {conn, opened_at, closed_at, by}.
sub connections
{
    my ($self) = @_;
    my @connections;

    for my $entry ($self->diary) {
        my $c = $connections[($entry->{conn} // 0) - 1];
        if ($entry->{what} eq 'open') {
            push @connections, { conn => $entry->{conn},
                                 opened_at => $entry->{at} };
        }
        elsif ($entry->{what} eq 'close') {
            @$c{qw(closed_at by)} = @$entry{qw(at by)};
        }
    }
    return @connections;
}

# What the server wrote so far. Whole lines only: the last one may be on its
# way.
sub diary
{
    my ($self) = @_;

    if (open my $fh, '<:raw', "$self->{dir}/diary") {
        seek $fh, $self->{read} // 0, 0;
        while (defined(my $line = <$fh>)) {
            last if $line !~ /\n\z/;
            push @{ $self->{entries} }, $json->decode($line);
            $self->{read} = tell $fh;
        }
    }
    return @{ $self->{entries} || [] };
}

# Waits until there are that many requests; with ended => 1 until they are
# over. Gives them, or nothing.
sub wait_requests
{
    my ($self, $n, %opt) = @_;
    my @requests;

    wait_until($opt{timeout} || 10, sub {
        @requests = $self->requests;
        return $n <= grep { !$opt{ended} || $_->{how} } @requests;
    }) or return;
    return @requests;
}

# What it found wrong with its orders or with the client's HTTP.
sub complaints { return slurp("$_[0]{dir}/complaints") }

# ---- the end

# Returns what was wrong, a line each.
sub stop
{
    my ($self) = @_;
    my $pid = $self->{pid};
    my @wrong;

    return if !delete $running{$pid};
    close $self->{control};
    if (!wait_until(5, sub { waitpid($pid, POSIX::WNOHANG()) == $pid })) {
        kill KILL => $pid;
        waitpid $pid, 0;
        push @wrong, 'mock: it did not stop by itself';
    }
    LLMux::Guard::forget($pid);
    push @wrong, map { "mock: $_" } split /\n/, $self->complaints;
    drop_dir($self->{dir}) if !@wrong;
    return @wrong;
}

# All that this process started.
sub stop_all
{
    return map { $_->stop } grep { $_->{owner} == $$ } values %running;
}

END {
    local $?;
    stop_all();
}

1;
