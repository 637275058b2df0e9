# Report.pm - rounds become rows and verdicts on what a response costs.
package Bench::Report;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(sum0);
use Bench::Stats qw(median ratio);
use Bench::Table qw(with_interval plain write_lines);

our @EXPORT_OK = qw(row_heads row_cells cost_rows cost_verdicts troubles
                    write_tsv write_rounds);

my @order = qw(module proxypass nginx);

# Who the module is compared with: a column each, and a target.
my @others = (
    [proxypass => 'ProxyPass'],
    [nginx     => 'nginx'],
);

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

# What the module was promised to cost in this case: lists of the other server,
# its name, the target and the ratio (undef where the other was not asked).
sub targets
{
    my ($result) = @_;
    my $c = $result->{case};

    return () if !$result->{got}{module};
    return map { [@$_, $c->{"most_$_->[0]"},
                  ratio_to($result, 'module', $_->[0])] }
        grep { $c->{"most_$_->[0]"} ne '-' } @others;
}

# A target is missed when the whole interval lies above it.
sub word
{
    my ($most, $ratio) = @_;

    return '-' if !$ratio;
    return $ratio->{low} > $most ? 'MISS' : 'PASS';
}

sub row
{
    my ($result, $server) = @_;
    my $c = $result->{case};
    my $prefix = $c->{is_delay} ? 'first_' : '';
    my @targets = $server eq 'module' ? targets($result) : ();
    my %row = (case => $c->{name}, server => $server);

    $row{cpu_us} = median(@{ column($result, $server, 'cpu_us') });
    $row{"x_$_"} = ratio_to($result, $server, $_) for qw(proxypass nginx);
    for my $p (qw(p50 p99)) {
        $row{"${p}_ms"} =
            median(@{ column($result, $server, "$prefix$p") }) / 1000;
    }
    $row{responses} = sum0(@{ column($result, $server, 'responses') });
    $row{at_most} = join(', ', map { "$_->[2] x $_->[1]" } @targets) || '-';
    $row{verdict} = join(', ', map { word(@$_[2, 3]) } @targets) || '-';
    return \%row;
}

# A row for each case and server.
sub cost_rows
{
    return map {
        my $result = $_;
        map { row($result, $_) } grep { $result->{got}{$_} } @order;
    } @_;
}

sub row_heads
{
    return ('case', 'server', 'CPU us', 'x ProxyPass', 'x nginx', 'at most',
            'verdict', 'p50 ms', 'p99 ms', 'responses');
}

sub row_cells
{
    my ($row) = @_;

    return [$row->{case}, $row->{server}, sprintf('%.1f', $row->{cpu_us}),
            with_interval($row->{x_proxypass}), with_interval($row->{x_nginx}),
            @$row{qw(at_most verdict)}, sprintf('%.2f', $row->{p50_ms}),
            sprintf('%.2f', $row->{p99_ms}), $row->{responses}];
}

# ---- verdicts

# What was promised, and whether it holds: lines that begin with PASS or MISS.
sub cost_verdicts
{
    return map {
        my $name = $_->{case}{name};
        map {
            my (undef, $other, $most, $r) = @$_;
            sprintf '%s  %-22s %.2f x %s [%.2f, %.2f], at most %.2f x %s',
                word($most, $r), $name, $r->{is}, $other, @$r{qw(low high)},
                $most, $other;
        } grep { $_->[3] } targets($_);
    } @_;
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

sub write_tsv
{
    my ($path, @rows) = @_;

    write_lines($path,
        [qw(case server cpu_us x_proxypass x_nginx p50_ms p99_ms responses
            at_most verdict)],
        map { [@$_{qw(case server)}, sprintf('%.2f', $_->{cpu_us}),
               plain($_->{x_proxypass}), plain($_->{x_nginx}),
               sprintf('%.3f', $_->{p50_ms}), sprintf('%.3f', $_->{p99_ms}),
               @$_{qw(responses at_most verdict)}] } @rows);
}

# Every round as it was measured.
sub write_rounds
{
    my ($path, @results) = @_;
    my @names = qw(cpu_us responses errors reconnects seconds p50 p99 max
                   first_p50 first_p99 gap_p50 gap_p99 delays delay_p50
                   delay_p99 delay_max reads body_min body_max);
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
