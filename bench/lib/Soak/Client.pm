# Client.pm - one client of a soak: a connection, a list of requests, and what
# it does besides asking. It never waits: whoever has the loop calls readable()
# when there are bytes and due() when its time has come.
#
# A plan is {sort, requests => [...], tls, receive_buffer, pipelined,
#  think (seconds between requests), stop_at (bytes of the body after which it
#  pauses), pause, slow (seconds at 1 KB/s), leave => {after, how}}.
#
# The owner is told: asked($rq), answered($rq, $res), left($rq, $surely_read),
# unread($rq) when the server closed an idle connection upon it, follow($plan)
# for what is to be asked anew, lost($client).
package Soak::Client;

use strict;
use warnings;
use LLMux::Client;
use LLMux::Place qw(patience);
use LLMux::Response;
use Time::HiRes qw(time);

use constant SLOW => 1024;      # bytes a second
use constant PATIENCE => 60;    # seconds without a byte

sub new
{
    my ($class, $owner, $port, $plan) = @_;
    my $self = bless { owner => $owner, port => $port, plan => $plan,
        ahead => [@{ $plan->{requests} }], waiting => [], answered => 0,
        due => undef, heard => time, over => 0 }, $class;

    $self->{line} = eval { LLMux::Client->new($port, tls => $plan->{tls},
        receive_buffer => $plan->{receive_buffer}) };
    return $self;
}

sub socket { return $_[0]{line}{socket} }

# Is it to be told of bytes? A slow one looks when it wants to.
sub listens { return !$_[0]{slowly} }

sub later
{
    my ($self, $secs, $what) = @_;

    @$self{qw(due what)} = (time + $secs, $what);
    return;
}

sub due
{
    my ($self) = @_;
    my $what = $self->{what};

    $self->{due} = undef;
    $self->$what;
    return;
}

# ---- asking

sub begin
{
    my ($self) = @_;
    my $plan = $self->{plan};

    if (!$self->{line}) {
        $self->{owner}->asked($self->{ahead}[0]);
        $self->{owner}->failed($self->{ahead}[0], "connect: $@");
        return $self->end;
    }
    if ($plan->{pipelined}) {
        my @all = splice @{ $self->{ahead} };
        $self->{owner}->asked($_) for @all;
        push @{ $self->{waiting} }, @all;
        return $self->say(join '', map { $_->{bytes} } @all);
    }
    $self->ask_next;
    if ($plan->{slow}) {
        $self->{slowly} = time + $plan->{slow};
        $self->later(1, 'sip');
    }
    return;
}

sub ask_next
{
    my ($self) = @_;
    my $plan = $self->{plan};
    my $rq = shift @{ $self->{ahead} } or return $self->end;

    push @{ $self->{waiting} }, $rq;
    $self->{owner}->asked($rq);
    if ($plan->{stop_at}) {
        $self->{rest} = substr $rq->{bytes}, -$plan->{stop_at};
        $self->say(substr $rq->{bytes}, 0, -$plan->{stop_at});
        return $self->later($plan->{pause}, 'go_on');
    }
    $self->say($rq->{bytes});
    $self->later($plan->{leave}{after}, 'leave') if $plan->{leave};
    return;
}

# A connection that is gone is told by the next read.
sub say
{
    my ($self, $bytes) = @_;

    $self->{heard} = time;
    $self->{line}->send($bytes);
    return;
}

# The rest of the body, or not.
sub go_on
{
    my ($self) = @_;

    return $self->leave if $self->{plan}{leave};
    return $self->say(delete $self->{rest});
}

# ---- reading

sub readable
{
    my ($self) = @_;

    $self->{line}->look(0);
    $self->{heard} = time;
    return $self->take;
}

# A kilobyte a second; at the end of it all the rest, or not.
sub sip
{
    my ($self) = @_;
    my $line = $self->{line};

    if (time >= $self->{slowly}) {
        return $self->leave if $self->{plan}{leave};
        return $self->hurry;
    }
    my $n = sysread $line->{socket}, $line->{in}, SLOW, length $line->{in};
    if (defined $n ? $n == 0 : !LLMux::Client::again()) {
        $line->{closed} = defined $n ? 'closed' : 'reset';
    }
    $self->{heard} = time;
    $self->later(1, 'sip');
    return $self->take;
}

sub hurry
{
    my ($self) = @_;

    return if !delete $self->{slowly};
    $self->{due} = undef;
    $self->{owner}->listen($self);
    return;
}

# Answers, in the order of the requests.
sub take
{
    my ($self) = @_;
    my $line = $self->{line};

    while (!$self->{over} && @{ $self->{waiting} }) {
        my $rq = $self->{waiting}[0];
        my $res = $rq->{res} //= LLMux::Response->new;

        $res->feed(\$line->{in}, time);
        if (!$res->done && $line->{closed}) {
            $line->{closed} eq 'closed' ? $res->eof(time)
                : $res->broken($line->{closed}, time);
        }
        return if !$res->done;
        return $self->move if $self->was_unread($res);
        shift @{ $self->{waiting} };
        $self->answered($rq, $res);
    }
    $self->move if !$self->{over} && $line->{closed};
    return;
}

sub answered
{
    my ($self, $rq, $res) = @_;
    my $plan = $self->{plan};

    delete $rq->{res};
    $self->{answered}++;
    $self->{due} = undef if !@{ $self->{ahead} };
    $self->{owner}->answered($rq, $res);
    return if @{ $self->{waiting} };
    return $self->end if !@{ $self->{ahead} };
    return $self->move if ($res->header('connection') // '') =~ /close/i;
    $self->later($plan->{think} ? rand 2 * $plan->{think} : 0, 'ask_next');
    return;
}

# A server may close a connection that rests, at the moment at which a request
# is on its way to it. Nobody has read that then.
sub was_unread
{
    my ($self, $res) = @_;

    return $self->{answered} && defined $res->error
        && !defined $res->{status} && $res->{head} eq '';
}

# What is left is asked over another connection, under other names.
sub move
{
    my ($self) = @_;
    my @unread = @{ $self->{waiting} };
    my @rest = (@unread, @{ $self->{ahead} });

    $self->{owner}->unread($_) for @unread;
    $self->end;
    $self->{owner}->follow({ %{ $self->{plan} }, requests => \@rest })
        if @rest;
    return;
}

# ---- endings

# What had its answer has not been left.
sub leave
{
    my ($self) = @_;
    my $how = $self->{plan}{leave}{how};

    $self->{line}->look(0);
    $self->take;
    return if $self->{over};
    for my $rq (@{ $self->{waiting} }) {
        my $heard = $rq->{res} && (defined $rq->{res}{status}
                                   || $rq->{res}{head} ne '');
        $self->{owner}->left($rq, $heard
                             || ($how ne 'rst' && !$self->{plan}{tls}));
    }
    if ($how eq 'half') {
        $self->{line}->half_close;
        $self->{due} = time + 0.5;
        $self->{what} = 'end';
        $self->{waiting} = [];
        $self->{gone} = 1;
        return;
    }
    $self->{line}->abort if $how eq 'rst';
    return $self->end;
}

sub end
{
    my ($self) = @_;

    return if $self->{over}++;
    $self->{owner}->lost($self);
    $self->{line}->close if $self->{line};
    return;
}

# Whoever waits for too long has not been answered.
sub check
{
    my ($self, $now) = @_;

    return if $self->{over} || $now - $self->{heard} < patience(PATIENCE);
    $self->{owner}->failed($_, 'no answer came') for @{ $self->{waiting} };
    return $self->end;
}

1;
