# Held.pm - many streams open at once: what they weigh, how late their chunks
# are, and whether all of them come.
package Bench::Held;

use strict;
use warnings;
use Exporter 'import';
use POSIX ();
use Time::HiRes qw(sleep);
use Bench::Cases qw(ADDRESSES);
use Bench::Process qw(cpu_of tree_of memory_of threads_of);

our @EXPORT_OK = qw(hold descriptors children_for held_heads held_cells
                    held_verdicts held_troubles held_steps);

# What a process has beside the streams, and what a parked stream takes. The
# children do not share them quite fairly.
use constant OTHERS => 1000;
use constant EACH => 5 * 1.3;

# How many a process may have.
sub descriptors
{
    return POSIX::sysconf(POSIX::_SC_OPEN_MAX());
}

# Children of httpd for so many streams: two, or more where a process may not
# have enough descriptors; undef when the mock has not enough either.
sub children_for
{
    my ($streams, $descriptors) = @_;

    return undef if $streams + OTHERS > $descriptors;
    for my $children (2, 4, 8, 16) {
        return $children
            if EACH * $streams / $children + OTHERS <= $descriptors;
    }
    return undef;
}

sub command
{
    my ($c, $o) = @_;

    return ($o->{program}, '-a', $o->{port}, '-u', $o->{path},
            map({ ('-b', "$o->{dir}/$_->{body}") } @{ $c->{parts} }),
            '-n', $c->{streams}, '-p', $c->{chunks}, '-l', $c->{life},
            '-s', $c->{spread}, '-i', ADDRESSES, '-e', '[DONE]');
}

sub numbers_of
{
    my ($line) = @_;

    return { ($line // '') =~ /(\w+)=(\S+)/g };
}

# Lets all streams run, and looks at the server (port, pid, path) before, when
# all of them are up, and when their clients have left for $o->{settle} seconds.
sub hold
{
    my ($c, $o) = @_;
    my @tree = tree_of($o->{pid});
    my %m = (before => memory_of(@tree), cpu => -cpu_of(@tree));
    my @command = command($c, $o);

    open my $out, '-|', @command or die "hold: $!\n";
    my $up = numbers_of(scalar <$out>);
    sleep $o->{settle} / 2;
    @m{qw(peak threads)} = (memory_of(@tree), threads_of(@tree));
    my $end = numbers_of(scalar <$out>);
    close $out;
    die "hold failed: @command\n" if !defined $end->{streams};
    $m{cpu} += cpu_of(@tree);
    sleep $o->{settle};
    $m{after} = memory_of(@tree);
    @m{keys %$end} = values %$end;
    @m{qw(up steps)} = ($up->{held}, [split /,/, $end->{steps}]);
    return \%m;
}

# ---- what came of it: results have name, server and m

sub held_heads
{
    return ('held', 'server', 'streams', 'KB/stream', 'threads', 'CPU us/chunk',
            'delay p50 ms', 'p99 ms', 'max ms', 'complete', 'chunks lost',
            'MB before', 'peak', 'after');
}

sub megabytes
{
    my ($bytes) = @_;

    return defined $bytes ? sprintf '%.1f', $bytes / (1 << 20) : '-';
}

# Of one stream, or undef where nobody was measured.
sub each_kb
{
    my ($m) = @_;

    return undef if !defined $m->{before} || !$m->{up};
    return ($m->{peak} - $m->{before}) / 1024 / $m->{up};
}

# Beside nobody in between, delays alone mean something.
sub held_cells
{
    my ($r) = @_;
    my $m = $r->{m};
    my $direct = $r->{server} eq 'direct';
    my @memory = $direct ? () : @$m{qw(before peak after)};
    my $each = each_kb($m);

    return ($r->{name}, $r->{server}, $m->{up},
            defined $each ? sprintf('%.1f', $each) : '-',
            $direct ? '-' : $m->{threads},
            $direct || !$m->{chunks} ? '-'
                : sprintf('%.1f', $m->{cpu} * 1e6 / $m->{chunks}),
            map({ sprintf '%.2f', $m->{"delay_$_"} / 1000 } qw(p50 p99 max)),
            "$m->{completed} of $m->{streams}", $m->{lost},
            map { megabytes($_) } @memory[0 .. 2]);
}

# All are open at once, all come to their end, and no chunk is lost.
sub is_whole
{
    my ($m) = @_;

    return $m->{up} == $m->{streams} && $m->{completed} == $m->{streams}
        && !$m->{lost} && !$m->{errors};
}

# What is promised of each; TLS to the upstream is there to be looked at.
use constant { KB_AT_MOST => 32, DELAY_AT_MOST => 50 };

sub verdict
{
    my ($name, $good, $words) = @_;

    return sprintf '%s  %-22s %s', $good ? 'PASS' : 'MISS', $name, $words;
}

sub held_verdicts
{
    return map {
        my ($name, $m) = @$_{qw(name m)};
        my ($kb, $delay) = (each_kb($m), $m->{delay_p99} / 1000);

        (verdict($name, is_whole($m), sprintf '%d of %d streams at once, %d'
                . ' complete, %d chunks lost',
                @$m{qw(up streams completed lost)}),
         verdict($name, $delay <= DELAY_AT_MOST, sprintf 'chunks %.2f ms late'
                . ' at p99, at most %d', $delay, DELAY_AT_MOST),
         $name =~ /tls/ || !defined $kb ? () : verdict($name, $kb <= KB_AT_MOST,
                sprintf '%.1f KB a stream, at most %d', $kb, KB_AT_MOST));
    } grep { $_->{server} eq 'module' } @_;
}

# When others lose something, the machine is too small for this.
sub held_troubles
{
    return map {
        "$_->{name}: $_->{server}: $_->{m}{up} of $_->{m}{streams} streams at"
        . " once, $_->{m}{completed} complete, $_->{m}{lost} chunks lost"
    } grep { $_->{server} ne 'module' && !is_whole($_->{m}) } @_;
}

# Delays in the classes of Bench::Delays.
sub held_steps
{
    return map {
        [$_->{name}, $_->{server}, @{ $_->{m}{steps} }]
    } @_;
}

1;
