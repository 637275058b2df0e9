# Table.pm - rows of cells as text, as Markdown and in a file.
package Bench::Table;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max);

our @EXPORT_OK = qw(text markdown write_lines with_interval plain);

# The first two columns are names, the others numbers.
use constant NAMES => 2;

# For a terminal.
sub text
{
    my (@lines) = @_;
    my @width = map { my $i = $_; max map { length $_->[$i] } @lines }
        0 .. $#{ $lines[0] };
    my $text = '';

    for my $line (@lines) {
        $text .= join('  ', map {
            sprintf $_ < NAMES ? "%-$width[$_]s" : "%$width[$_]s", $line->[$_]
        } 0 .. $#width) =~ s/ +$//r . "\n";
    }
    return $text;
}

# For docs/performance.md.
sub markdown
{
    my ($heads, @lines) = @_;
    my $rule = join '|', map { $_ < NAMES ? '-' : '-:' } 0 .. $#$heads;

    return join '', map { "$_\n" } '| ' . join(' | ', @$heads) . ' |',
        "|$rule|", map { '| ' . join(' | ', @$_) . ' |' } @lines;
}

sub write_lines
{
    my ($path, @lines) = @_;
    open my $out, '>', $path or die "$path: $!\n";

    print $out map { join("\t", @$_) . "\n" } @lines;
    close $out or die "$path: $!\n";
}

sub with_interval
{
    my ($r) = @_;

    return '-' if !$r;
    return sprintf '%.2f', $r->{is} if $r->{low} == $r->{high};
    return sprintf '%.2f [%.2f, %.2f]', @$r{qw(is low high)};
}

sub plain
{
    my ($r) = @_;

    return $r ? sprintf '%.3f', $r->{is} : '-';
}

1;
