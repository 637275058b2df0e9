# Report.pm - rounds become rows, rows become a table and verdicts.
package Bench::Report;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max sum0);
use Bench::Stats qw(median ratio difference);

our @EXPORT_OK = qw(rows table markdown verdicts troubles write_tsv
                    write_rounds);

my @order = qw(module proxypass nginx);

# What was promised: a ratio to ProxyPass, by kind of case.
my %most = (whole => 1.40, stream => 1.15);
# And the time to the first byte at the 99th percentile, in ms above it.
use constant FIRST_MOST => 1.0;

# The class of added latency that a delayed ACK falls into, and its name.
use constant STEP => 6;
my @classes = ('< 1', '1-2', '2-5', '5-10', '10-20', '20-35', '35-48',
               '48-80', '>= 80');

# ---- rows

sub column
{
    my ($result, $server, $name) = @_;
    my $rounds = $result->{got}{$server} or return [];

    return [map { $_->{$name} } @$rounds];
}

sub ratio_to
{
    my ($result, $server, $other) = @_;
    my $theirs = column($result, $other, 'cpu_us');

    return undef if !@$theirs;
    return ratio(column($result, $server, 'cpu_us'), $theirs);
}

sub row
{
    my ($result, $server) = @_;
    my $c = $result->{case};
    my $prefix = $c->{kind} eq 'first' ? 'first_' : '';
    my %row = (case => $c->{name}, server => $server);

    $row{cpu_us} = median(@{ column($result, $server, 'cpu_us') });
    $row{x_proxypass} = ratio_to($result, $server, 'proxypass');
    $row{x_nginx} = ratio_to($result, $server, 'nginx');
    for my $p (qw(p50 p99)) {
        $row{"${p}_ms"} =
            median(@{ column($result, $server, "$prefix$p") }) / 1000;
    }
    $row{responses} = sum0(@{ column($result, $server, 'responses') });
    return \%row;
}

# A row for each case and server.
sub rows
{
    return map {
        my $result = $_;
        map { row($result, $_) } grep { $result->{got}{$_} } @order;
    } @_;
}

# ---- tables

sub with_interval
{
    my ($r) = @_;

    return '-' if !$r;
    return sprintf '%.2f', $r->{is} if $r->{low} == $r->{high};
    return sprintf '%.2f [%.2f, %.2f]', @$r{qw(is low high)};
}

my @heads = ('case', 'server', 'CPU us', 'x ProxyPass', 'x nginx', 'p50 ms',
             'p99 ms', 'responses');

sub cells
{
    my ($row) = @_;

    return ($row->{case}, $row->{server}, sprintf('%.1f', $row->{cpu_us}),
            with_interval($row->{x_proxypass}), with_interval($row->{x_nginx}),
            sprintf('%.2f', $row->{p50_ms}), sprintf('%.2f', $row->{p99_ms}),
            $row->{responses});
}

# For a terminal.
sub table
{
    my @lines = ([@heads], map { [cells($_)] } @_);
    my @width = map { my $i = $_; max map { length $_->[$i] } @lines }
        0 .. $#heads;
    my $text = '';

    for my $line (@lines) {
        $text .= join('  ', map {
            sprintf $_ < 2 ? "%-$width[$_]s" : "%$width[$_]s", $line->[$_]
        } 0 .. $#heads) . "\n";
    }
    return $text;
}

# For docs/performance.md.
sub markdown
{
    my $text = '| ' . join(' | ', @heads) . " |\n";

    $text .= '|' . join('|', map { $_ < 2 ? '-' : '-:' } 0 .. $#heads) . "|\n";
    $text .= '| ' . join(' | ', cells($_)) . " |\n" for @_;
    return $text;
}

# ---- verdicts

sub verdict
{
    my ($name, $unit, $r, $most) = @_;
    my $word = $r->{low} > $most ? 'MISS' : 'PASS';

    return sprintf '%s  %-22s %.2f%s [%.2f, %.2f], at most %.2f%s', $word,
        $name, $r->{is}, $unit, $r->{low}, $r->{high}, $most, $unit;
}

sub cost_verdict
{
    my ($result) = @_;
    my $c = $result->{case};
    my $most = $most{ $c->{kind} } or return ();

    return verdict($c->{name}, ' x ProxyPass',
                   ratio_to($result, 'module', 'proxypass'), $most);
}

sub later
{
    my ($result, $server, $percent) = @_;
    my $d = difference($percent, column($result, $server, 'samples'),
                       column($result, 'proxypass', 'samples'));

    $_ /= 1000 for values %$d;
    return $d;
}

sub told
{
    my ($name, $r) = @_;

    return sprintf '      %-22s %+.2f ms [%+.2f, %+.2f] to ProxyPass', $name,
        @$r{qw(is low high)};
}

# The first byte: how much later than ProxyPass. Tokens are what streams have.
sub first_verdicts
{
    my ($result) = @_;
    my $name = $result->{case}{name};

    return () if $result->{case}{kind} ne 'first';
    my ($usual, $worst) = map { later($result, 'module', $_) } 50, 99;
    return ($result->{case}{stream}
                ? verdict("$name p99", ' ms', $worst, FIRST_MOST)
                : told("$name p99", $worst),
            told("$name p50", $usual));
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

sub step_verdicts
{
    my (@results) = @_;
    my @with = grep { has_step($_, 'module') } @results;
    my @lines = sprintf '%-16s%s', 'added latency ms',
        join '', map { sprintf '%9s', $_ } @classes;

    for my $server (@order) {
        my @sum = steps($server, @results);
        next if !sum0(@sum);
        push @lines, sprintf '      %-10s%s', $server,
            join '', map { sprintf '%9d', $_ } @sum;
    }
    return @lines if !grep { $_->{got}{module} } @results;
    return (@lines, @with
            ? map { "MISS  a step of 40 ms in $_->{case}{name}" } @with
            : 'PASS  no step of 40 ms');
}

# What was promised, and whether it holds: lines that begin with PASS, MISS or
# blanks.
sub verdicts
{
    my @pairs = grep { $_->{got}{module} && $_->{got}{proxypass} } @_;

    return ((map { cost_verdict($_) } @pairs),
            (map { first_verdicts($_) } @pairs),
            step_verdicts(@_));
}

# ---- what must not happen

sub sizes
{
    my ($result, $server) = @_;
    my %seen = map { ("$_->{body_min}..$_->{body_max}" => 1) }
        grep { $_->{responses} } @{ $result->{got}{$server} || [] };

    return join ' ', sort keys %seen;
}

sub trouble_of
{
    my ($result, $server) = @_;
    my $name = $result->{case}{name};
    my $errors = sum0(@{ column($result, $server, 'errors') });
    my $theirs = sizes($result, 'proxypass');
    my @lines;

    push @lines, "$name: $server: $errors errors" if $errors;
    push @lines, "$name: $server has answers of other sizes than ProxyPass: "
        . sizes($result, $server) . ", not $theirs"
        if $theirs ne '' && $result->{case}{dialect} eq 'openai'
            && sizes($result, $server) ne $theirs;
    return @lines;
}

# What makes a run worthless.
sub troubles
{
    return map {
        my $result = $_;
        map { trouble_of($result, $_) } grep { $result->{got}{$_} } @order;
    } @_;
}

# ---- files

sub plain
{
    my ($r) = @_;

    return $r ? sprintf '%.3f', $r->{is} : '-';
}

sub write_lines
{
    my ($path, @lines) = @_;
    open my $out, '>', $path or die "$path: $!\n";

    print $out map { join("\t", @$_) . "\n" } @lines;
    close $out or die "$path: $!\n";
}

sub write_tsv
{
    my ($path, @rows) = @_;

    write_lines($path,
        [qw(case server cpu_us x_proxypass x_nginx p50_ms p99_ms responses)],
        map { [@$_{qw(case server)}, sprintf('%.2f', $_->{cpu_us}),
               plain($_->{x_proxypass}), plain($_->{x_nginx}),
               sprintf('%.3f', $_->{p50_ms}), sprintf('%.3f', $_->{p99_ms}),
               $_->{responses}] } @rows);
}

# Every round as it was measured.
sub write_rounds
{
    my ($path, @results) = @_;
    my @names = qw(cpu_us responses errors reconnects seconds p50 p99 max
                   first_p50 first_p99 gap_p50 gap_p99 reads body_min body_max);
    my @lines = [qw(case round server), @names, 'steps'];

    for my $result (@results) {
        for my $server (grep { $result->{got}{$_} } @order) {
            my $round = 0;
            push @lines, map {
                [$result->{case}{name}, ++$round, $server, @$_{@names},
                 join ',', @{ $_->{steps} }]
            } @{ $result->{got}{$server} };
        }
    }
    write_lines($path, @lines);
}

1;
