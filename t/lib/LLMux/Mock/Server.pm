# Server.pm - the mock provider's process: one loop, many connections, and a
# diary of what came in and how each exchange ended.
package LLMux::Mock::Server;

use strict;
use warnings;
use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Handle;
use IO::Socket::INET;
use JSON::PP ();
use LLMux::Mock::Script;
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

my $body_kept = 1 << 18;    # of each request, in the diary
my $out_full = 1 << 16;     # no more is made while so much waits to be sent

my $json = JSON::PP->new->utf8->canonical;

sub new
{
    my ($class, %opt) = @_;
    my $self = bless { connections => {}, accepted => 0, asked => 0,
                       rules => [], %opt }, $class;

    open $self->{diary_fh}, '>>:raw', $self->{diary}
        or die "$self->{diary}: $!\n";
    return $self;
}

# The whole program: what to do is a line of JSON on the first argument's
# descriptor, the sockets are inherited.
sub main
{
    my ($control_fd, $listener_fd) = @ARGV;
    my $control = IO::Handle->new_from_fd($control_fd, 'r+');
    my $listener = IO::Socket::INET->new_from_fd($listener_fd, 'r+');
    my $line = '';

    while ($line !~ /\n\z/) {
        sysread $control, $line, 1, length $line or exit 0;
    }
    __PACKAGE__->new(%{ $json->decode($line) }, control => $control,
                     listener => $listener)->run;
    exit 0;
}

# Until the test lets go of the control socket.
sub run
{
    my ($self) = @_;

    $SIG{PIPE} = 'IGNORE';
    $_->blocking(0) for $self->{listener}, $self->{control};
    while (1) {
        my ($readable, $writable) = $self->poll;
        if ($readable->($self->{control})) {
            $self->obey or return;
        }
        $self->greet if $readable->($self->{listener});
        for my $c (values %{ $self->{connections} }) {
            $self->take_in($c) if $readable->($c->{fh});
            $self->advance($c) if !$c->{gone};
            $self->put_out($c) if !$c->{gone};
        }
    }
}

# Waits for something to do. Gives two functions that tell what is ready.
sub poll
{
    my ($self) = @_;
    my ($r, $w) = ('', '');
    my ($now, $until) = (time, time + 60);

    vec($r, fileno $_, 1) = 1 for $self->{control},
        $self->{deaf} ? () : $self->{listener};
    for my $c (values %{ $self->{connections} }) {
        vec($r, fileno $c->{fh}, 1) = 1;
        vec($w, fileno $c->{fh}, 1) = 1 if length $c->{out};
        $until = $c->{wake} if $c->{wake} && $c->{wake} < $until;
    }
    my $n = select $r, $w, undef, $until > $now ? $until - $now : 0;
    ($r, $w) = ('', '') if $n < 0;
    return (sub { vec($r, fileno $_[0], 1) }, sub { vec($w, fileno $_[0], 1) });
}

# A line of JSON from the test, answered with a line. False at its end.
sub obey
{
    my ($self) = @_;
    my $n = sysread $self->{control}, $self->{order}, 65536,
        length($self->{order} // '');

    return 1 if !defined $n;
    return 0 if !$n;
    while ($self->{order} =~ s/\A(.*)\n//) {
        my $order = $json->decode($1);
        $self->{rules} = $order->{rules} if $order->{rules};
        $self->{deaf} = $order->{deaf} if exists $order->{deaf};
        if ($order->{drop}) {
            $self->hang_up($_, 'mock') for grep { !$_->{rq} }
                values %{ $self->{connections} };
        }
        syswrite $self->{control}, "ok\n";
    }
    return 1;
}

sub note
{
    my ($self, %entry) = @_;
    syswrite $self->{diary_fh}, $json->encode({ %entry, at => time }) . "\n";
    return;
}

# ---- connections

sub greet
{
    my ($self) = @_;

    while (my $fh = $self->{listener}->accept) {
        my $id = ++$self->{accepted};
        $fh->blocking(0);
        setsockopt $fh, IPPROTO_TCP, TCP_NODELAY, 1;
        $self->{connections}{$id} = { id => $id, fh => $fh, in => '',
            out => '', steps => [], requests => 0, sent => 0 };
        $self->note(what => 'open', conn => $id);
    }
    return;
}

# $by: who ended it, peer or mock.
sub hang_up
{
    my ($self, $c, $by) = @_;

    $self->over($c, $by eq 'peer' ? 'peer_closed' : 'closed') if $c->{rq};
    $c->{gone} = 1;
    $self->note(what => 'close', conn => $c->{id}, by => $by);
    close $c->{fh};
    delete $self->{connections}{ $c->{id} };
    return;
}

# The present exchange has ended: done, closed, reset, peer_closed.
sub over
{
    my ($self, $c, $how) = @_;
    my $rq = delete $c->{rq};

    $self->note(what => 'end', n => $rq->{n}, how => $how,
                sent => $c->{sent} - length $c->{out});
    $c->{steps} = [];
    return;
}

sub take_in
{
    my ($self, $c) = @_;
    my $n = sysread $c->{fh}, $c->{in}, 65536, length $c->{in};

    if (defined $n ? $n == 0 : !again()) {
        $self->hang_up($c, 'peer');
    }
    return;
}

sub again { return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR }

sub put_out
{
    my ($self, $c) = @_;

    return if !length $c->{out};
    my $n = syswrite $c->{fh}, $c->{out};
    if (defined $n) {
        substr $c->{out}, 0, $n, '';
    }
    elsif (!again()) {
        $self->hang_up($c, 'peer');
    }
    # Before the peer, who has it all now, can close: that is no hang-up.
    $self->advance($c) if !$c->{gone} && !length $c->{out};
    return;
}

# Goes as far as it can without waiting.
sub advance
{
    my ($self, $c) = @_;

    delete @$c{qw(wake resting)} if $c->{resting} && $c->{in} ne '';
    return if $c->{wake} && $c->{wake} > time;
    return $self->hang_up($c, 'mock') if $c->{resting};
    delete $c->{wake};
    while (!$c->{gone} && !$c->{wake}) {
        if (!$c->{rq}) {
            $self->next_request($c) or return;
        }
        my $step = $c->{steps}[0];
        return if length $c->{out} >= $out_full;
        return if length $c->{out} && $step->[0] !~ /^(?:send|repeat)$/;
        shift @{ $c->{steps} };
        $self->do_step($c, @$step);
    }
    return;
}

sub do_step
{
    my ($self, $c, $what, @args) = @_;

    if ($what eq 'send') {
        $self->say($c, $args[0]);
    }
    elsif ($what eq 'repeat') {
        my ($times, $bytes, $gap) = @args;
        $self->say($c, $bytes) if $times > 0;
        unshift @{ $c->{steps} }, [repeat => $times - 1, $bytes, $gap]
            if $times > 1;
        unshift @{ $c->{steps} }, [wait => $gap] if $times > 1 && $gap;
    }
    elsif ($what eq 'wait') {
        $c->{wake} = time + $args[0] if $args[0];
    }
    elsif ($what eq 'reset') {
        setsockopt $c->{fh}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        $self->over($c, 'reset');
        $self->hang_up($c, 'mock');
    }
    elsif ($what eq 'close') {
        $self->hang_up($c, 'mock');
    }
    else {
        $self->finish($c, @args);
    }
    return;
}

sub say
{
    my ($self, $c, $bytes) = @_;
    $c->{out} .= $bytes;
    $c->{sent} += length $bytes;
    return;
}

# A response is complete, and the connection stays for a while or not.
sub finish
{
    my ($self, $c, $closes) = @_;
    my $idle = $closes ? 0 : $c->{do}{idle} // $self->{idle};

    $self->over($c, 'done');
    if (defined $idle) {
        return $self->hang_up($c, 'mock') if !$idle;
        @$c{qw(resting wake)} = (1, time + $idle);
    }
    return;
}

# ---- requests

# Takes a whole request out of what came in. False when there is none yet.
sub next_request
{
    my ($self, $c) = @_;
    my $rq = $c->{reading} //= $self->read_head($c) or return 0;

    if (!$self->read_body($c, $rq)) {
        if (delete $rq->{expects}) {
            $self->say($c, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        return 0;
    }
    delete $c->{reading};
    $rq->{n} = ++$self->{asked};
    $c->{sent} = 0;
    $self->understand($rq);
    $c->{rq} = $rq;
    $c->{do} = eval { $self->choose($rq) };
    $c->{steps} = [eval { LLMux::Mock::Script::steps($rq, $c->{do}) }]
        if $c->{do};
    if ($@) {
        warn "request $rq->{n} ($rq->{path}): $@";
        @$c{qw(do steps)} = ({}, [['close']]);
    }
    $self->note(what => 'request', conn => $c->{id},
        nth_on_conn => ++$c->{requests}, length => length $rq->{body},
        body => substr($rq->{body}, 0, $body_kept),
        map { $_ => $rq->{$_} } qw(n method target path query version headers
                                   header_list model head_at));
    return 1;
}

sub read_head
{
    my ($self, $c) = @_;

    $c->{in} =~ s/\A(?:\r\n)+//;
    return if $c->{in} !~ s/\A(.*?)\r\n\r\n//s;
    my ($first, @lines) = split /\r\n/, $1;
    my ($method, $target, $version) =
        $first =~ m{^([A-Z]+) (\S+) HTTP/(1\.[01])$};
    my (%headers, @list);

    if (!$method) {
        warn "connection $c->{id}: bad request line: $first\n";
        $self->hang_up($c, 'mock');
        return;
    }
    for (@lines) {
        my ($name, $value) = /^([^:\s]+):\s*(.*?)\s*$/ or next;
        push @list, [$name, $value];
        $name = lc $name;
        $headers{$name} = defined $headers{$name}
            ? "$headers{$name}, $value" : $value;
    }
    return { method => $method, target => $target, version => $version,
             headers => \%headers, header_list => \@list, body => '',
             head_at => time,
             expects => ($headers{expect} || '') =~ /100-continue/i ? 1 : 0 };
}

# By length or in chunks. False when some of it is still to come.
sub read_body
{
    my ($self, $c, $rq) = @_;
    my $length = $rq->{headers}{'content-length'} || 0;

    if (($rq->{headers}{'transfer-encoding'} || '') !~ /chunked/i) {
        return 0 if length $c->{in} < $length;
        $rq->{body} = substr $c->{in}, 0, $length, '';
        return 1;
    }
    while ($c->{in} =~ /\A([0-9A-Fa-f]+)[^\r\n]*\r\n/) {
        my ($size, $skip) = (hex $1, $+[0]);
        return 0 if length $c->{in} < $skip + $size + 2;
        $rq->{body} .= substr $c->{in}, $skip, $size;
        substr $c->{in}, 0, $skip + $size + 2, '';
        return 1 if !$size;
    }
    return 0;
}

# Path, model and behaviour that the request itself names.
sub understand
{
    my ($self, $rq) = @_;
    my ($path, $query) = split /\?/, $rq->{target}, 2;

    $path =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    my @asked = $path =~ s{^/mock/([^/]*)}{} ? $1 : ();
    push @asked, $rq->{headers}{'x-mock'} // ();
    @$rq{qw(path query)} = ($path, $query // '');
    $rq->{json} = length $rq->{body} > $body_kept ? glance($rq->{body})
        : eval { $json->decode($rq->{body}) };
    $rq->{json} = {} if ref $rq->{json} ne 'HASH';
    $rq->{model} = $path =~ m{/models/([^/]+):\w+$} ? $1
        : $path =~ m{/deployments/([^/]+)/} ? $1
        : $path =~ m{^/model/([^/]+)/} ? $1 : $rq->{json}{model} // '';
    push @asked, $1 if !ref $rq->{model} && $rq->{model} =~ /\+(.+)$/;
    $rq->{asked} = join '+', grep { $_ ne '' } @asked;
    return;
}

# The least one must know of a body that takes too long to parse.
sub glance
{
    my ($body) = @_;
    my ($model) = $body =~ /"model"\s*:\s*"([^"]*)"/;
    return { model => $model,
             stream => $body =~ /"stream"\s*:\s*true/ ? 1 : 0 };
}

# The first rule that fits and is not used up, under what the request asks.
sub choose
{
    my ($self, $rq) = @_;
    my %do;

    for my $rule (@{ $self->{rules} }) {
        next if defined $rule->{times} && $rule->{times} <= 0;
        next if !fits($rq, $rule);
        $rule->{times}-- if defined $rule->{times};
        %do = ref $rule->{do} ? %{ $rule->{do} }
            : %{ LLMux::Mock::Script::behaviour($rule->{do}) };
        last;
    }
    return { %do, %{ LLMux::Mock::Script::behaviour($rq->{asked}) } };
}

sub fits
{
    my ($rq, $rule) = @_;
    my %headers = %{ $rule->{headers} || {} };

    for my $what (qw(model path method body)) {
        next if !defined $rule->{$what};
        return 0 if $rq->{$what} !~ $rule->{$what};
    }
    for my $name (keys %headers) {
        return 0 if ($rq->{headers}{ lc $name } // '') !~ $headers{$name};
    }
    return 1;
}

1;
