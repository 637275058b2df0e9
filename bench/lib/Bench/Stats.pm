# Stats.pm - medians, ratios and how sure they are.
package Bench::Stats;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(median percentile ratio distance difference);

use constant DRAWS => 2000;

sub percentile
{
    my ($percent, @values) = @_;
    my $rank = int($percent / 100 * @values);

    return 0 if !@values;
    @values = sort { $a <=> $b } @values;
    return $values[$rank < @values ? $rank : -1];
}

sub median
{
    my @values = sort { $a <=> $b } @_;
    my $half = int(@values / 2);

    return 0 if !@values;
    return $values[$half] if @values % 2;
    return ($values[$half - 1] + $values[$half]) / 2;
}

# The 95 % interval of a statistic of rounds, by drawing rounds with
# replacement. The same rounds give the same interval.
sub interval
{
    my ($draws, $rounds, $statistic) = @_;
    my @found;

    srand 1;
    for (1 .. $draws) {
        push @found, $statistic->(map { int rand $rounds } 1 .. $rounds);
    }
    return (percentile(2.5, @found), percentile(97.5, @found));
}

# The median of one value for each round, and its interval.
sub median_of
{
    my (@values) = @_;
    my ($low, $high) = interval(DRAWS, scalar @values,
                                sub { median(@values[@_]) });

    return { is => median(@values), low => $low, high => $high };
}

# Two servers' values, a pair for each round: the median of the pairs' ratios
# and its interval.
sub ratio
{
    my ($ours, $theirs) = @_;

    return median_of(map { $theirs->[$_] ? $ours->[$_] / $theirs->[$_] : 0 }
                     0 .. $#$ours);
}

# The same of how much higher the first one's value is.
sub distance
{
    my ($ours, $theirs) = @_;

    return median_of(map { $ours->[$_] - $theirs->[$_] } 0 .. $#$ours);
}

# Two servers' samples, a list for each round: how much higher the first one's
# percentile is, all rounds together.
sub difference
{
    my ($percent, $ours, $theirs) = @_;
    my $of = sub {
        my @at = @_;
        return percentile($percent, map { @$_ } @{$ours}[@at])
            - percentile($percent, map { @$_ } @{$theirs}[@at]);
    };
    my ($low, $high) = interval(DRAWS / 10, scalar @$ours, $of);

    return { is => $of->(0 .. $#$ours), low => $low, high => $high };
}

1;
