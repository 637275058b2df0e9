# Response.pm - an HTTP/1.1 response as it arrives: fed with bytes and the time
# they came, it knows what it has and whether that is all.
#
#   status, reason, version, body, error (undef, or a word why it broke)
#   pieces   [time, bytes] for each arrival of body bytes
#   chunks   [time, bytes] for each chunk, once it is complete
#   interim  statuses of 1xx answers before it
package LLMux::Response;

use strict;
use warnings;
use JSON::PP ();

sub new
{
    my ($class, %opt) = @_;
    return bless {
        phase => 'head', head => '', headers => [], body => '', pieces => [],
        chunks => [], interim => [], left => 0, chunk => '',
        bodiless => ($opt{method} || '') eq 'HEAD', error => undef
    }, $class;
}

# One that is already here, such as curl's.
sub whole
{
    my ($class, %have) = @_;
    my $self = $class->new;

    %$self = (%$self, %have, phase => 'done');
    $self->{pieces} = [[$have{at} || 0, $self->{body}]];
    return $self;
}

# Takes what belongs to this response off the front of $$in.
sub feed
{
    my ($self, $in, $now) = @_;
    my $body_before = length $self->{body};
    my %step = (head => \&feed_head, length => \&feed_length,
                close => \&feed_close, size => \&feed_size,
                chunk => \&feed_chunk, trailer => \&feed_trailer);

    while (my $code = $step{ $self->{phase} }) {
        last if !$code->($self, $in, $now);
    }
    if (length $self->{body} > $body_before) {
        push @{ $self->{pieces} }, [$now, substr $self->{body}, $body_before];
    }
    return;
}

# The peer has sent all it will send.
sub eof
{
    my ($self, $now) = @_;

    return if $self->done;
    return $self->finish($now) if $self->{phase} eq 'close';
    return $self->broken($self->{phase} eq 'head' && $self->{head} eq ''
        ? 'closed' : 'closed early', $now);
}

sub broken
{
    my ($self, $why, $now) = @_;
    $self->{error} //= $why;
    return $self->finish($now);
}

sub finish
{
    my ($self, $now) = @_;
    @$self{qw(phase done_at)} = ('done', $now);
    return 0;
}

sub feed_head
{
    my ($self, $in, $now) = @_;

    if ($$in !~ s/\A(.*?\r\n)\r\n//s) {
        $self->{head} = $$in;
        return 0;
    }
    my ($first, @lines) = split /\r\n/, $1;
    if ($first !~ m{^HTTP/(\d\.\d) (\d{3}) ?(.*)$}) {
        return $self->broken("bad status line: $first", $now);
    }
    @$self{qw(version status reason)} = ($1, $2, $3);
    if ($2 < 200) {
        push @{ $self->{interim} }, $2;
        return 1;
    }
    $self->{head_at} = $now;
    for (@lines) {
        my ($name, $value) = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/
            or return $self->broken("bad header line: $_", $now);
        push @{ $self->{headers} }, [$name, $value];
    }
    return $self->choose_framing($now);
}

sub choose_framing
{
    my ($self, $now) = @_;
    my $length = $self->header('content-length');

    if ($self->{bodiless} || $self->{status} =~ /^(?:204|304)$/) {
        return $self->finish($now);
    }
    if (lc($self->header('transfer-encoding') // '') eq 'chunked') {
        $self->{phase} = 'size';
    }
    elsif (defined $length) {
        return $self->broken("bad length: $length", $now)
            if $length !~ /^\d+$/;
        @$self{qw(phase left)} = ('length', $length);
        return $self->finish($now) if !$length;
    }
    else {
        $self->{phase} = 'close';
    }
    return 1;
}

sub take
{
    my ($self, $in) = @_;
    my $bytes = substr $$in, 0, $self->{left}, '';
    $self->{left} -= length $bytes;
    $self->{body} .= $bytes;
    return $bytes;
}

sub feed_length
{
    my ($self, $in, $now) = @_;
    $self->take($in);
    return $self->{left} ? 0 : $self->finish($now);
}

sub feed_close
{
    my ($self, $in) = @_;
    $self->{body} .= $$in;
    $$in = '';
    return 0;
}

sub feed_size
{
    my ($self, $in, $now) = @_;

    if ($$in !~ s/\A([^\r\n]*)\r\n//) {
        return length $$in > 1000 ? $self->broken('bad chunk', $now) : 0;
    }
    my $line = $1;
    return $self->broken("bad chunk size: $line", $now)
        if $line !~ /^([0-9A-Fa-f]{1,8})(?:;.*)?$/;
    @$self{qw(left chunk)} = (hex $1, '');
    $self->{phase} = $self->{left} ? 'chunk' : 'trailer';
    return 1;
}

sub feed_chunk
{
    my ($self, $in, $now) = @_;

    $self->{chunk} .= $self->take($in);
    return 0 if $self->{left} || length $$in < 2;
    return $self->broken('chunk without its end', $now)
        if $$in !~ s/\A\r\n//;
    push @{ $self->{chunks} }, [$now, $self->{chunk}];
    $self->{phase} = 'size';
    return 1;
}

sub feed_trailer
{
    my ($self, $in, $now) = @_;
    return 0 if $$in !~ s/\A([^\r\n]*)\r\n//;
    return $1 eq '' ? $self->finish($now) : 1;
}

# ---- what it says

sub done { return $_[0]{phase} eq 'done' }
sub ok { return $_[0]->done && !defined $_[0]{error} }
sub status { return $_[0]{status} // 0 }
sub body { return $_[0]{body} }
sub error { return $_[0]{error} }
sub chunks { return @{ $_[0]{chunks} } }
sub pieces { return @{ $_[0]{pieces} } }

# All values of a header, joined as HTTP allows; undef when there is none.
sub header
{
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
        @{ $self->{headers} };
    return @values ? join ', ', @values : undef;
}

sub type { return ($_[0]->header('content-type') // '') =~ s/;.*//sr }

# The body as data; undef when it is no JSON.
sub json
{
    my ($self) = @_;
    return scalar eval { JSON::PP->new->utf8->allow_nonref->decode(
        $self->{body}) };
}

# The events of a stream: {event, data, json, comment, raw, at}, where `at` is
# when the event's last byte came.
sub events
{
    my ($self) = @_;
    return sse(@{ $self->{pieces} });
}

# Splits an event stream given as [time, bytes] pieces. What follows the last
# blank line is no event.
sub sse
{
    my @pieces = @_;
    my ($rest, @events) = ('');

    for my $piece (@pieces) {
        $rest .= $piece->[1];
        while ($rest =~ s/\A(.*?(?:\r\n|\n|\r(?!\n|\z)))(\r\n|\n|\r)//s
               || $rest =~ s/\A()((?:\r\n|\n))//s) {
            my $event = sse_event($1 . $2, $piece->[0]);
            push @events, $event if $event;
        }
    }
    return @events;
}

sub sse_event
{
    my ($raw, $at) = @_;
    my (%field, @comment);

    for (split /\r\n|\n|\r/, $raw =~ s/\A\xEF\xBB\xBF//r) {
        my ($name, $value) = /^([^:]*)(?::[ ]?(.*))?$/s;
        if ($name eq '' && defined $value) {
            push @comment, $value;
        }
        elsif ($name ne '') {
            push @{ $field{$name} }, $value // '';
        }
    }
    return if !%field && !@comment;
    my %event = (raw => $raw, at => $at);
    $event{comment} = join "\n", @comment if @comment;
    $event{data} = join "\n", @{ $field{data} } if $field{data};
    $event{$_} = $field{$_}[-1] for grep { $field{$_} } qw(event id retry);
    $event{json} = eval { JSON::PP->new->utf8->decode($event{data}) }
        if defined $event{data};
    return \%event;
}

1;
