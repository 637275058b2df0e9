# Process.pm - what the benchmark starts, what it costs, and its end.
package Bench::Process;

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time clock_gettime);

our @EXPORT_OK = qw(start stop free_port await_port cpu_of tree_of memory_of
                    threads_of);

my %running;    # pid => name

# Starts a program, its output in a log file; returns its pid.
sub start
{
    my ($name, $log, @command) = @_;
    my $pid = fork;

    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec { $command[0] } @command; }
        print STDERR "$command[0]: $!\n";
        POSIX::_exit(127);
    }
    $running{$pid} = $name;
    return $pid;
}

sub gone
{
    my ($pid, $seconds) = @_;
    my $limit = time + $seconds;

    while (time < $limit) {
        return 1 if waitpid($pid, POSIX::WNOHANG()) != 0;
        sleep 0.02;
    }
    return 0;
}

# Asks a program to end; after ten seconds it and its children are not asked.
sub stop
{
    my ($pid) = @_;
    my @tree = tree_of($pid);

    return if !delete $running{$pid};
    kill 'TERM', $pid;
    return if gone($pid, 10);
    kill 'KILL', @tree;
    waitpid $pid, 0;
}

sub free_port
{
    my $socket = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', Listen => 1, Proto => 'tcp')
        or die "no free port: $!\n";

    return $socket->sockport;
}

# Waits until something listens, as long as the program lives.
sub await_port
{
    my ($pid, $port, $log, $seconds) = @_;
    my $limit = time + ($seconds || 20);

    while (time < $limit) {
        return if IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp');
        if (waitpid($pid, POSIX::WNOHANG()) == $pid) {
            delete $running{$pid};
            last;
        }
        sleep 0.05;
    }
    die "nothing listens on port $port; $log says:\n" . tail($log);
}

sub tail
{
    my ($file) = @_;
    open my $in, '<', $file or return "(nothing)\n";
    my @lines = <$in>;

    return join '', @lines > 20 ? @lines[-20 .. -1] : @lines;
}

sub parent_of
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return 0;
    my $line = <$in> // '';

    return $line =~ /^\d+ \(.*\) \S (\d+)/s ? $1 : 0;
}

# The process and its children.
sub tree_of
{
    my ($pid) = @_;
    opendir my $dir, '/proc' or die "/proc: $!\n";
    my @all = grep { /^\d+$/ } readdir $dir;

    return ($pid, sort { $a <=> $b } grep { parent_of($_) == $pid } @all);
}

# CPU seconds (user and system, threads that have ended too) of processes. The
# clock of another process is exact, where /proc/PID/stat counts ticks.
sub cpu_of
{
    my $sum = 0;

    for my $pid (@_) {
        my $used = clock_gettime((~$pid << 3) | 2);
        die "process $pid is gone\n" if $used < 0;
        $sum += $used;
    }
    return $sum;
}

sub slurp
{
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/;

    return <$in> // '';
}

# Bytes of memory of processes, what they share divided among its users; undef
# when the kernel does not tell us.
sub memory_of
{
    my $sum = 0;

    for my $pid (@_) {
        my ($kb) = slurp("/proc/$pid/smaps_rollup") =~ /^Pss:\s+(\d+) kB/m
            or return undef;
        $sum += $kb * 1024;
    }
    return $sum;
}

# Threads of processes, as the kernel counts them.
sub threads_of
{
    my $sum = 0;

    for my $pid (@_) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /^Threads:\s+(\d+)/m;
    }
    return $sum;
}

END {
    my $status = $?;
    local ($@, $!);
    stop($_) for keys %running;
    $? = $status;
}

1;
