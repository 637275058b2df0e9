# Verdicts.pm - what must hold after a soak: each verdict is [name, good, what
# was found].
package Soak::Verdicts;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max sum0);

our @EXPORT_OK = qw(verdict flat quarters answers books rest lines_of parked
                    same_children log_lines told);

# What a mean may grow by (a part of it, and so many) without anything being
# lost: traffic comes as it comes, and threads keep some of what their largest
# request took. A leak in each connection or request is many times that.
our %tolerance = (
    'descriptors'        => [0.25, 30, ''],
    'memory'             => [0.10, 4096, ' KB'],
    'parent descriptors' => [0, 0.5, ''],
    'parent memory'      => [0, 2048, ' KB'],
    'threads'            => [0, 2, ''],
);

sub verdict
{
    my ($name, $good, $found) = @_;
    return [$name, $good ? 1 : 0, $found];
}

sub told
{
    my ($v) = @_;
    return sprintf '%s  %-34s %s', $v->[1] ? 'PASS' : 'FAIL', @$v[0, 2];
}

# ---- flat

sub mean { return @_ ? sum0(@_) / @_ : 0 }

# Means of the second and of the last quarter.
sub quarters
{
    my @values = @_;
    my $n = @values;

    return (mean(@values[int($n / 4) .. int($n / 2) - 1]),
            mean(@values[int(3 * $n / 4) .. $n - 1]));
}

# $kind: of the tolerances; $value: what of a sample. It may grow by so much.
sub flat
{
    my ($name, $kind, $samples, $value) = @_;
    my ($part, $fixed, $unit) = @{ $tolerance{$kind} };
    my ($early, $late) = quarters(map { $value->($_) } @$samples);
    my $most = $early * (1 + $part) + $fixed;

    return verdict($name, 0, 'too few samples: ' . @$samples) if @$samples < 8;
    return verdict($name, $late <= $most, sprintf
        'second quarter %.1f, last %.1f%s, at most %.1f (%s+ %s)', $early,
        $late, $unit, $most, $part ? 100 * $part . ' % ' : '', $fixed);
}

# ---- answers and log lines

sub answers
{
    my ($traffic) = @_;
    my ($right, $wrong, $left, $unread) =
        map { $traffic->total($_) } qw(right wrong left unread);
    my $open = $traffic->total('asked') - $right - $wrong - $left - $unread;

    return verdict('answers are right', $right && !$wrong && !$open, sprintf
        '%d right, %d wrong, %d without an end; %d were left on purpose, %d'
        . ' met a connection that was being closed and were asked anew',
        $right, $wrong, $open, $left, $unread);
}

sub listed
{
    my ($what, $ids) = @_;
    my $n = @$ids;

    return if !$n;
    return "; $n $what: " . join ' ', @$ids > 5 ? (@$ids[0 .. 4], '...') : @$ids;
}

sub books
{
    my ($sum) = @_;
    my $good = $sum->{begun} && $sum->{begun} == $sum->{lines}
        && !$sum->{strange} && !grep { @{ $sum->{$_} } } qw(missing twice unread);

    return verdict('a log line for each request', $good, join '',
        "$sum->{begun} begun, $sum->{lines} lines ($sum->{resets} resets"
        . ' overtook their request)', listed('without a line', $sum->{missing}),
        listed('twice', $sum->{twice}),
        listed('said to be unread', $sum->{unread}),
        $sum->{strange} ? "; $sum->{strange} lines of nobody" : ());
}

# ---- at rest

# Each child ($kinds: {pid => {kind => n}}) has what a fresh one has, beside
# connections to providers, which rest for the next request: not more than were
# needed at the same time, and some.
sub rest
{
    my ($fresh, $kinds, $needed) = @_;
    my @pooled = map { $kinds->{$_}{providers} || 0 } sort keys %$kinds;
    my $most = 2 * $needed + 20;
    my @more;

    for my $pid (sort { $a <=> $b } keys %$kinds) {
        for my $kind (sort keys %{ $kinds->{$pid} }) {
            my ($had, $has) = ($fresh->{$kind} || 0, $kinds->{$pid}{$kind});
            push @more, "child $pid has $has $kind instead of $had"
                if $kind ne 'providers' && $has > $had;
        }
    }
    push @more, sum0(@pooled) . " connections to providers, at most $most"
        if sum0(@pooled) > $most;
    return verdict('descriptors at rest', %$kinds && !@more,
        @more ? join '; ', @more
        : 'as a fresh child has, and to providers ' . join '+', @pooled);
}

sub parked
{
    my (@samples) = @_;
    my $most = max(0, map { $_->{parked} // 0 } @samples);

    return verdict('it parked', $most > 0, "$most at once, of "
        . max(0, map { $_->{in_flight} // 0 } @samples) . ' in flight');
}

# Of the samples of a quiet time: whoever is new then has replaced a child that
# died.
sub same_children
{
    my (@samples) = @_;
    my %known = map { ($_ => 1) } @samples ? @{ $samples[0]{children} } : ();
    my %new = map { ($_ => 1) } grep { !$known{$_} }
        map { @{ $_->{children} } } @samples;

    return verdict('no child was replaced', %known && !%new,
        %new ? 'new: ' . join ' ', sort keys %new
        : 'children ' . join ' ', @samples ? @{ $samples[-1]{children} } : ());
}

# ---- the log

# $problems: what LLMux::Httpd found. Children that died are among them.
sub log_lines
{
    my ($problems, $allowed) = @_;
    my $n = @$problems;

    return verdict('no child died, a clean log', !$n, $n
        ? "$n lines: " . join ' | ', map { substr $_, 0, 200 }
            @$problems[0 .. ($n > 3 ? 2 : $n - 1)]
        : 'but for ' . join ', ', sort keys %$allowed);
}

1;
