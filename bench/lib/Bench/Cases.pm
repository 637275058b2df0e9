# Cases.pm - what is asked: one row each.
package Bench::Cases;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(cases models write_bodies);

my @words = qw(the customer asked again whether her parcel had left the house
    on Monday and which of the two addresses the carrier had been given because
    nobody was at home before six o'clock and the neighbours were on holiday);

# kind: whole and stream have a target against ProxyPass; cross is translated
# (OpenAI in, Anthropic out) and compared with a proxy that merely passes;
# first is an open loop at a low rate that looks at the time to the first byte.
#
#     name                kind  stream model            asked clients think
my @rows = (
    [qw(whole-0ms          whole  0      b600-d0           300   64   0)],
    [qw(whole-50ms         whole  0      b600-d50          300  100   0)],
    [qw(whole-in-8k        whole  0      b600-d0          8000   64   0)],
    [qw(whole-in-64k       whole  0      b600-d0         64000   64   0)],
    [qw(whole-out-8k       whole  0      b8000-d0          300   64   0)],
    [qw(whole-think-20ms   whole  0      b600-d0           300   64  20)],
    [qw(stream-5ms         stream 1      n50-d5-g5         300   64   0)],
    [qw(stream-0ms         stream 1      n50-d0-g0         300   64   0)],
    [qw(stream-in-8k-5ms   stream 1      n50-d5-g5        8000   64   0)],
    [qw(cross-whole-0ms    cross  0      b600-d0-anthropic 300   64   0)],
    [qw(cross-stream-5ms   cross  1      n50-d5-g5-anthropic 300 64   0)],
    [qw(first-stream-20ms  first  1      n10-d20-g5        300   32   0)],
    [qw(first-cross-20ms   first  1      n10-d20-g5-anthropic 300 32   0)],
    [qw(first-whole-64k-8k first  0      b8000-d20       64000   32   0)],
);

# Recordings of a real provider, where they are: its bytes, its events, one
# every millisecond, and the request, where it was recorded too.
my @recorded = (
    [qw(recorded-whole     whole  0      f0-d0             300   64   0)],
    [qw(recorded-stream    stream 1      f1-d5-g1          300   64   0)],
);

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

    @c{qw(name kind stream model asked clients think)} = @$row;
    $c{delay} = number($c{model}, 'd');
    $c{gap} = number($c{model}, 'g');
    $c{rate} = RATE if $c{kind} eq 'first';
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
