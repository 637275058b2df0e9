# Cases.pm - what is asked: one row each.
package Bench::Cases;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(cases held_cases models write_bodies ADDRESSES);

my @words = qw(the customer asked again whether her parcel had left the house
    on Monday and which of the two addresses the carrier had been given because
    nobody was at home before six o'clock and the neighbours were on holiday);

# Addresses of loopback that the mock listens on and clients come from when
# streams are held: one address has ports for 28,000 connections.
use constant ADDRESSES => 4;

# kind: whole and stream pass in the same dialect; cross is translated (OpenAI
# in, Anthropic out) and compared with a proxy that merely passes; low and half
# are open loops, at a low rate and at half of what the slowest server can do,
# that look at delays. setup: how the servers are configured, see
# Bench::Servers. The targets are ratios of processor time: at most so many
# times ProxyPass, at most so many times nginx.
#
#     name               kind   stream model           asked clients think
#         setup       ProxyPass nginx
my @rows = (
    [qw(whole-0ms          whole  0      b600-d0           300   64   0
        plain            0.60  2.50)],
    [qw(whole-50ms         whole  0      b600-d50          300  100   0
        plain            0.90  -   )],
    [qw(whole-in-8k        whole  0      b600-d0          8000   64   0
        plain            -     -   )],
    [qw(whole-in-64k       whole  0      b600-d0         64000   64   0
        plain            -     -   )],
    [qw(whole-out-8k       whole  0      b8000-d0          300   64   0
        plain            -     -   )],
    [qw(whole-think-20ms   whole  0      b600-d0           300   64  20
        plain            -     -   )],
    [qw(whole-linger-off   whole  0      b600-d0           300   64   0
        linger-off       -     -   )],
    [qw(whole-loops-off    whole  0      b600-d0           300   64   0
        loops-off        -     -   )],
    [qw(stream-5ms         stream 1      n50-d5-g5         300   64   0
        plain            1.00  -   )],
    [qw(stream-20ms        stream 1      n50-d20-g20       300   64   0
        plain            1.00  -   )],
    [qw(stream-0ms         stream 1      n50-d0-g0         300   64   0
        plain            -     -   )],
    [qw(stream-in-8k-5ms   stream 1      n50-d5-g5        8000   64   0
        plain            -     -   )],
    [qw(stream-loops-off-5ms stream 1    n50-d5-g5         300   64   0
        loops-off        -     -   )],
    [qw(stream-park-5ms    stream 1      n50-d5-g5         300   64   0
        park-always      -     -   )],
    [qw(tls-whole-0ms      whole  0      b600-d0           300   64   0
        tls              0.80  -   )],
    [qw(tls-stream-5ms     stream 1      n50-d5-g5         300   64   0
        tls              1.00  -   )],
    [qw(cross-whole-0ms    cross  0      b600-d0-anthropic 300   64   0
        plain            1.00  -   )],
    [qw(cross-stream-5ms   cross  1      n50-d5-g5-anthropic 300 64   0
        plain            1.50  -   )],
    [qw(delay-low-stream   low    1      n10-d20-g5-s1     300   32   0
        plain            -     -   )],
    [qw(delay-low-cross    low    1      n10-d20-g5-s1-anthropic 300 32 0
        plain            -     -   )],
    [qw(delay-low-whole-64k low   0      b8000-d20       64000   32   0
        plain            -     -   )],
    [qw(delay-half-stream  half   1      n50-d3-g3-s1      300  240   0
        plain            -     -   )],
);

# Recordings of a real provider, where they are: its bytes, its events, one
# every millisecond, and the request, where it was recorded too.
my @recorded = (
    [qw(recorded-whole     whole  0      f0-d0             300   64   0
        plain            -     -   )],
    [qw(recorded-stream    stream 1      f1-d5-g1          300   64   0
        plain            -     -   )],
);

# Streams held open, all at once: how many, a chunk every so many
# milliseconds, how many chunks, during how many milliseconds they begin, and
# for which servers.
#
#     name          setup streams   gap chunks spread servers
my @held = (
    [qw(held-2000     plain   2000  1000 12     4000 direct+module+nginx)],
    [qw(held-tls-2000 tls     2000  1000 12     4000 module)],
    [qw(held-8000     plain   8000  1000 16     8000 module)],
    [qw(held-16000    plain  16000  5000  8    16000 module)],
);

# A smoke run holds so few that a thread for each is there.
my %smoke = (streams => 200, gap => 100, chunks => 12, spread => 400);

use constant RATE => 50;    # requests a second in an open loop

sub number
{
    my ($model, $letter) = @_;

    return $model =~ /\b$letter(\d+)/ ? $1 : 0;
}

sub case_of
{
    my ($row) = @_;
    my %c;

    @c{qw(name kind stream model asked clients think setup most_proxypass
          most_nginx)} = @$row;
    $c{delay} = number($c{model}, 'd');
    $c{gap} = number($c{model}, 'g');
    $c{stamped} = number($c{model}, 's');
    $c{is_delay} = $c{kind} =~ /^(?:low|half)$/ ? 1 : 0;
    $c{rate} = RATE if $c{kind} eq 'low';
    $c{dialect} = $c{model} =~ /anthropic/ ? 'anthropic' : 'openai';
    $c{upstream} = $c{dialect} eq 'anthropic' ? '/v1/messages'
                                              : '/v1/chat/completions';
    $c{body} = "$c{name}.json";
    # All clients at once would move in step: they begin one after the other
    # during one answer.
    $c{spread} = $c{delay} + (number($c{model}, 'n') || 50) * $c{gap};
    return \%c;
}

# The cases whose names match.
sub cases
{
    my ($pattern, $has_recordings) = @_;
    my @all = map { case_of($_) } @rows, $has_recordings ? @recorded : ();

    return grep { $_->{name} =~ /$pattern/ } @all;
}

# Each address of the mock has a model of its own, and each model a body.
sub held_case
{
    my ($row, $quick) = @_;
    my %c = (stream => 1, dialect => 'openai', asked => 300,
             upstream => '/v1/chat/completions', delay => 0);

    @c{qw(name setup streams gap chunks spread servers)} = @$row;
    %c = (%c, %smoke) if $quick;
    $c{servers} = [split /\+/, $c{servers}];
    $c{parts} = [map {
        { %c, model => "n$c{chunks}-d0-g$c{gap}-s1-a$_",
          body => "$c{name}-$_.json" }
    } 1 .. ADDRESSES];
    $c{warm} = { %c, model => 'n5-d0-g0-s1-a1', body => "$c{name}-warm.json" };
    $c{life} = $c{gap} * ($c{chunks} - 1);
    return \%c;
}

sub held_cases
{
    my ($pattern, $quick) = @_;

    return grep { $_->{name} =~ /$pattern/ }
        map { held_case($_, $quick) } @held;
}

# The models of a dialect that the cases ask for.
sub models
{
    my ($dialect, @cases) = @_;
    my %seen;

    return grep { !$seen{$_}++ }
        map { $_->{model} } grep { $_->{dialect} eq $dialect } @cases;
}

sub prose
{
    my ($bytes) = @_;
    my $text = '';

    for (my $i = 0; length($text) < $bytes; $i++) {
        $text .= $words[$i % @words] . ($i % 17 == 16 ? '.\n' : ' ');
    }
    return substr($text, 0, $bytes) =~ s/\\$/./r;
}

sub body_of
{
    my ($c) = @_;
    my $head = qq({"model":"$c->{model}",)
        . ($c->{stream}
           ? '"stream":true,"stream_options":{"include_usage":true},' : '')
        . '"max_tokens":256,"temperature":0.7,"messages":[{"role":"system",'
        . '"content":"You are brief."},{"role":"user","content":"';
    my $left = $c->{asked} - length($head) - 4;

    return $head . prose($left > 20 ? $left : 20) . '"}]}';
}

# The request that was recorded with an answer, for our model; undef when there
# is none.
sub recorded_body
{
    my ($c, @recordings) = @_;
    my ($number) = $c->{model} =~ /\bf(\d+)/ or return undef;
    my $file = $recordings[$number] =~ s/\.\w+$/.request.json/r;
    open my $in, '<', $file or return undef;
    my $body = do { local $/; <$in> };

    return $body =~ s/"model"\s*:\s*"[^"]*"/"model":"$c->{model}"/ ? $body
                                                                  : undef;
}

# Writes each case's request body into a folder.
sub write_bodies
{
    my ($dir, $recordings, @cases) = @_;

    for my $c (@cases) {
        my $body = recorded_body($c, @$recordings) // body_of($c);

        open my $out, '>', "$dir/$c->{body}" or die "$c->{body}: $!\n";
        print $out $body;
        close $out or die "$c->{body}: $!\n";
    }
}

1;
