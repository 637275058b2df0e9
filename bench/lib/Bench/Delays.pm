# Delays.pm - how much later first tokens and chunks come, and how often by
# 40 ms.
package Bench::Delays;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(sum0);
use Bench::Stats qw(median distance difference);

our @EXPORT_OK = qw(delay_heads delay_rows delay_verdicts step_heads step_rows
                    has_step stands_out);

my @order = qw(direct module proxypass nginx);

# What was promised for a low rate: the time to the first token at the 99th
# percentile, in ms above ProxyPass.
use constant FIRST_MOST => 1.0;

# The class of added latency that a delayed ACK falls into, and the names.
use constant STEP => 6;
my @classes = ('< 1', '1-2', '2-5', '5-10', '10-20', '20-35', '35-48',
               '48-80', '>= 80');

sub column
{
    my ($result, $server, $name) = @_;

    return [map { $_->{$name} } @{ $result->{got}{$server} || [] }];
}

# ---- rows

# The first token beyond what the mock waits before it.
sub added
{
    my ($c, $name, $value) = @_;

    return ($value - ($name =~ /^first/ ? $c->{delay} * 1000 : 0)) / 1000;
}

sub cells
{
    my ($result, $server) = @_;
    my $c = $result->{case};
    my @rate = map { $_->{seconds} > 0 ? $_->{responses} / $_->{seconds} : 0 }
        @{ $result->{got}{$server} };

    return ($c->{name}, $server, sprintf('%.0f', median(@rate)), map {
        my $usual = median(@{ column($result, $server, $_) });
        /^delay/ && !$c->{stamped} ? '-'
            : sprintf '%.2f', added($c, $_, $usual)
    } qw(first_p50 first_p99 delay_p50 delay_p99 delay_max));
}

sub delay_heads
{
    return ('delays', 'server', 'answers/s', 'first token p50 ms', 'p99 ms',
            'chunk p50 ms', 'p99 ms', 'max ms');
}

sub delay_rows
{
    return map {
        my $result = $_;
        map { [cells($result, $_)] } grep { $result->{got}{$_} } @order;
    } grep { $_->{case}{is_delay} } @_;
}

# ---- verdicts

sub in_ms
{
    my ($r) = @_;

    return { map { $_ => $r->{$_} / 1000 } keys %$r };
}

# The time to the first byte: the samples of all rounds.
sub first_later
{
    my ($result, $percent) = @_;

    return in_ms(difference($percent, column($result, 'module', 'samples'),
                            column($result, 'proxypass', 'samples')));
}

# A chunk's way: each round's percentile, in pairs.
sub chunk_later
{
    my ($result, $percent) = @_;

    return in_ms(distance(map { column($result, $_, "delay_p$percent") }
                          qw(module proxypass)));
}

sub told
{
    my ($name, $r) = @_;

    return sprintf '      %-34s %+.2f ms [%+.2f, %+.2f] to ProxyPass', $name,
        @$r{qw(is low high)};
}

sub verdict
{
    my ($name, $r) = @_;

    return sprintf '%s  %-34s %+.2f ms [%+.2f, %+.2f] to ProxyPass,'
        . ' at most %+.2f ms', $r->{low} > FIRST_MOST ? 'MISS' : 'PASS',
        $name, @$r{qw(is low high)}, FIRST_MOST;
}

# Tokens are what streams have.
sub verdicts_of
{
    my ($result) = @_;
    my $c = $result->{case};
    my ($usual, $worst) = map { first_later($result, $_) } 50, 99;
    my $promised = $c->{kind} eq 'low' && $c->{stream};
    my @lines = (told("$c->{name} first p50", $usual),
                 $promised ? verdict("$c->{name} first p99", $worst)
                           : told("$c->{name} first p99", $worst));

    return @lines if !$c->{stamped};
    return (@lines, map {
        told("$c->{name} chunk p$_", chunk_later($result, $_))
    } 50, 99);
}

# ---- steps

sub steps
{
    my ($server, @results) = @_;
    my @sum = (0) x @classes;

    for my $m (map { @{ $_->{got}{$server} || [] } } @results) {
        $sum[$_] += $m->{steps}[$_] for 0 .. $#sum;
    }
    return @sum;
}

# Waiting for a processor thins out the longer it takes; a step is a class that
# holds more than both its neighbours together.
sub stands_out
{
    my (@sum) = @_;

    return $sum[STEP] >= 3 && $sum[STEP] > $sum[STEP - 1] + $sum[STEP + 1];
}

# When the machine stalls once, that looks the same; so most rounds must show
# it.
sub has_step
{
    my ($result, $server) = @_;
    my @rounds = @{ $result->{got}{$server} || [] };

    return 2 * grep({ stands_out(@{ $_->{steps} }) } @rounds) > @rounds;
}

sub step_heads
{
    return ('added latency ms', 'server', @classes);
}

# A line for each case that looks at delays, one for all others together.
sub step_rows
{
    my (@results) = @_;
    my @alone = grep { $_->{case}{is_delay} } @results;
    my @others = grep { !$_->{case}{is_delay} } @results;
    my @groups = (@others ? ['costs', @others] : (),
                  map { [$_->{case}{name}, $_] } @alone);
    my @rows;

    for my $group (@groups) {
        my ($name, @of) = @$group;
        for my $server (@order) {
            my @sum = steps($server, @of);
            push @rows, [$name, $server, @sum] if sum0(@sum);
        }
    }
    return @rows;
}

# $held: rows of the held streams' steps, as step_rows.
sub step_verdict
{
    my ($held, @results) = @_;
    my @with = (map({ $_->{case}{name} }
                    grep { has_step($_, 'module') } @results),
                map({ $_->[0] } grep { $_->[1] eq 'module'
                    && stands_out(@$_[2 .. $#$_]) } @$held));
    my $looked = @$held || grep { $_->{got}{module} } @results;

    return () if !$looked;
    return @with ? map { "MISS  a step of 40 ms in $_" } @with
                 : 'PASS  no step of 40 ms';
}

sub delay_verdicts
{
    my ($held, @results) = @_;
    my @pairs = grep {
        $_->{case}{is_delay} && $_->{got}{module} && $_->{got}{proxypass}
    } @results;

    return ((map { verdicts_of($_) } @pairs), step_verdict($held, @results));
}

1;
