# Traffic.pm - all clients of a soak in one loop that never waits for any of
# them, and the books on what they asked and got.
package Soak::Traffic;

use strict;
use warnings;
use LLMux::Place qw(spew);
use Soak::Client;
use Soak::Http2;
use Soak::Sorts qw(sorts plan renew);
use Soak::Text qw(flaw_of);
use Time::HiRes qw(time sleep);

use constant NAP => 0.004;      # that many bytes and clients come together
use constant CLIENTS_MAX => 250;    # of one server; more are not let in
use constant WRONG_MAX => 200;  # remembered

# What becomes of a request, and how many lines of the access log it has.
use constant { OPEN => 0, READ => 1, LEFT => 2, UNREAD => 3 };

# port, tls_port; rate (a factor); http2 => {url, certificate} or undef; dir, for
# answers that were wrong.
sub new
{
    my ($class, %opt) = @_;
    my $self = bless { %opt, clients => {}, bits => '', ids => {},
        count => {}, wrong => [], unread_at => [],
        full => 0, stopped => 0 }, $class;
    my $now = time;

    $self->{next} = { map { $_->[0] => $now + rand(1 / $_->[1]) } sorts() };
    $self->{count}{ $_->[0] } = {} for sorts();
    $self->{http2_next} = $now;
    return $self;
}

# ---- what clients tell

sub count { return $_[0]{count}{ $_[1] }{ $_[2] }++ }

sub asked
{
    my ($self, $rq) = @_;

    $self->{ids}{ $rq->{id} } = [OPEN, 0];
    $self->count($rq->{sort}, 'asked');
    return;
}

sub answered
{
    my ($self, $rq, $res) = @_;
    my $why = flaw_of($rq, $res);

    return $self->failed($rq, $why, $res) if $why ne '';
    $self->{ids}{ $rq->{id} }[0] = READ;
    $self->count($rq->{sort}, 'right');
    return;
}

sub failed
{
    my ($self, $rq, $why, $res) = @_;

    $self->{ids}{ $rq->{id} }[0] = READ;
    $self->count($rq->{sort}, 'wrong');
    return if @{ $self->{wrong} } >= WRONG_MAX;
    push @{ $self->{wrong} }, sprintf '%s: %s (%s, %s): %s',
        $rq->{sort}, $rq->{id}, $rq->{model} // $rq->{get},
        $rq->{stream} ? 'stream' : 'whole', $why =~ s/\s+/ /gr;
    spew("$self->{dir}/wrong-$rq->{id}", join "\n", $why, $rq->{bytes}, '',
         (map { "$_->[0]: $_->[1]" } @{ $res->{headers} }), '', $res->body)
        if $res;
    return;
}

# On purpose. A reset may overtake the request.
sub left
{
    my ($self, $rq, $surely_read) = @_;

    $self->{ids}{ $rq->{id} }[0] = $surely_read ? READ : LEFT;
    $self->count($rq->{sort}, 'left');
    return;
}

sub unread
{
    my ($self, $rq) = @_;

    $self->{ids}{ $rq->{id} }[0] = UNREAD;
    $self->count($rq->{sort}, 'unread');
    push @{ $self->{unread_at} }, time;
    return;
}

sub follow
{
    my ($self, $plan) = @_;

    renew($_) for grep { $self->{ids}{ $_->{id} } } @{ $plan->{requests} };
    $self->admit($plan);
    return;
}

# ---- clients come and go

sub admit
{
    my ($self, $plan) = @_;
    my $port = $plan->{tls} ? $self->{tls_port} : $self->{port};
    my $client = Soak::Client->new($self, $port, $plan);

    if ($client->socket) {
        my $fd = $client->{fd} = fileno $client->socket;
        $self->{clients}{$fd} = $client;
        vec($self->{bits}, $fd, 1) = 1 if !$plan->{slow};
    }
    $client->begin;
    return;
}

sub listen
{
    my ($self, $client) = @_;
    vec($self->{bits}, $client->{fd}, 1) = 1;
    return;
}

sub lost
{
    my ($self, $client) = @_;

    return if !defined $client->{fd};
    vec($self->{bits}, $client->{fd}, 1) = 0;
    delete $self->{clients}{ $client->{fd} };
    return;
}

sub come
{
    my ($self, $now) = @_;

    for my $sort (sorts()) {
        my ($name, $rate) = @$sort;
        while ($self->{next}{$name} <= $now) {
            # As they come in life: some of them together.
            $self->{next}{$name} -= log(1 - rand) / ($rate * $self->{rate});
            if (keys %{ $self->{clients} } >= CLIENTS_MAX) {
                $self->{full}++;
                next;
            }
            $self->admit(plan($name));
        }
    }
    $self->come_http2($now) if $self->{http2};
    return;
}

sub come_http2
{
    my ($self, $now) = @_;

    return if $now < $self->{http2_next};
    $self->{http2_next} = $now + 2 * rand() / (0.4 * $self->{rate});
    push @{ $self->{curls} }, Soak::Http2->new($self, %{ $self->{http2} });
    return;
}

# ---- the loop's turn

sub clients { return values %{ $_[0]{clients} } }

# Nobody comes any more, and nobody is slow.
sub stop
{
    my ($self) = @_;

    $self->{stopped} = 1;
    $_->hurry for $self->clients;
    return;
}

sub is_over
{
    my ($self) = @_;
    return !%{ $self->{clients} } && !@{ $self->{curls} || [] };
}

sub turn
{
    my ($self, $readable, $now) = @_;

    for my $c ($self->clients) {
        $c->readable if $c->listens && vec $readable, $c->{fd}, 1;
        $c->due if !$c->{over} && defined $c->{due} && $c->{due} <= $now;
        $c->check($now);
    }
    @{ $self->{curls} } = grep { !$_->is_over } @{ $self->{curls} || [] };
    $self->come($now) if !$self->{stopped};
    return;
}

# One turn for all of them.
sub turns
{
    my (@all) = @_;
    my $bits = '';

    sleep NAP;
    $bits |= $_->{bits} for @all;
    my $n = select $bits, undef, undef, 0.01;
    $bits = '' if $n <= 0;
    $_->turn($bits, time) for @all;
    return;
}

# ---- the books

# Lines of the access log, by the names that they bear.
sub logged
{
    my ($self, @ids) = @_;

    for my $id (@ids) {
        if ($self->{ids}{$id}) {
            $self->{ids}{$id}[1]++;
        }
        else {
            $self->{strange}++;
        }
    }
    return;
}

# {begun, lines, missing => [ids], twice => [ids], unread => [ids], resets}.
# Begun is what was certainly read, and what was reset and is in the log.
sub settle
{
    my ($self) = @_;
    my %sum = (begun => 0, lines => $self->{strange} || 0, resets => 0,
               strange => $self->{strange} || 0, missing => [], twice => [],
               unread => []);

    for my $id (sort keys %{ $self->{ids} }) {
        my ($what, $lines) = @{ $self->{ids}{$id} };
        my $begun = $what == READ || $what == OPEN || ($what == LEFT && $lines);
        $sum{lines} += $lines;
        $sum{begun}++ if $begun;
        $sum{resets}++ if $what == LEFT && !$lines;
        push @{ $sum{missing} }, $id if $begun && !$lines;
        push @{ $sum{twice} }, $id if $lines > 1;
        push @{ $sum{unread} }, $id if $what == UNREAD && $lines;
    }
    return \%sum;
}

sub total
{
    my ($self, $what) = @_;
    my $sum = 0;

    $sum += $_->{$what} || 0 for values %{ $self->{count} };
    return $sum;
}

1;
