# Watch.pm - what a server of a soak has: descriptors by kind, memory, threads,
# and its own word on what is in flight.
package Soak::Watch;

use strict;
use warnings;
use Exporter 'import';
use Bench::Process qw(cpu_of memory_of threads_of);
use LLMux::Client;
use LLMux::Place qw(slurp wait_until);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(sample descriptors_by_kind status_of line_of machine_cpu);

# ---- descriptors

sub targets
{
    my ($pid) = @_;
    return map { readlink $_ // () } glob "/proc/$pid/fd/*";
}

# Sockets of this machine: inode => [local port, remote port, listens].
sub sockets
{
    my %sockets;

    for my $file (qw(tcp tcp6)) {
        for (split /\n/, slurp("/proc/net/$file")) {
            my @f = split;
            next if @f < 10 || $f[0] !~ /^\d+:$/;
            $sockets{ $f[9] } = [(map { hex((split /:/, $f[$_])[1]) } 1, 2),
                                 $f[3] eq '0A'];
        }
    }
    return \%sockets;
}

# What it is that a socket leads to.
sub kind_of_socket
{
    my ($socket, $providers) = @_;

    return 'other sockets' if !$socket;
    return 'listeners' if $socket->[2];
    return 'providers' if $providers->{ $socket->[1] };
    return 'clients';
}

my @kinds = (
    [qr/^anon_inode:\[timerfd\]/   => 'timers'],
    [qr/^anon_inode:\[eventpoll\]/ => 'epoll sets'],
    [qr/^anon_inode:\[eventfd\]/   => 'event counters'],
    [qr/^pipe:/                    => 'pipes'],
    [qr/^/                         => 'files'],
);

# $providers: their ports, as keys. How many there are of each kind.
sub descriptors_by_kind
{
    my ($pid, $providers) = @_;
    my $sockets = sockets();
    my %kinds;

    for my $target (targets($pid)) {
        my ($kind) = $target =~ /^socket:\[(\d+)\]/
            ? kind_of_socket($sockets->{$1}, $providers)
            : map { $target =~ $_->[0] ? $_->[1] : () } @kinds;
        $kinds{$kind}++;
    }
    return \%kinds;
}

# ---- what it says of itself

# One worker answers this page.
sub status_of
{
    my ($httpd) = @_;
    my $client = eval { LLMux::Client->new($httpd, timeout => 5) } or return {};
    my $res = $client->get('/server-status?auto',
                           headers => { Connection => 'close' });
    my %status = $res->body =~ /^(\w+): (\d+)$/mg;

    return \%status;
}

# ---- a sample

sub connections_to
{
    my ($ports, @pids) = @_;
    my $sum = 0;

    $sum += descriptors_by_kind($_, $ports)->{providers} || 0 for @pids;
    return $sum;
}

sub sum
{
    my $sum = 0;

    $sum += $_ for @_;
    return $sum;
}

sub count_descriptors { return scalar(() = glob "/proc/$_[0]/fd/*") }

# A child may go while it is looked at: then there is less of it.
sub sample
{
    my ($httpd, $providers, $began) = @_;
    my @children = $httpd->children;
    my $status = status_of($httpd);
    my @pss = map { memory_of($_) // 0 } @children;

    return {
        at => time - $began,
        children => \@children,
        fds => [map { count_descriptors($_) } @children],
        pss => [map { $_ / 1024 } @pss],
        threads => [map { threads_of($_) } @children],
        parent_fds => count_descriptors($httpd->pid),
        parent_pss => (memory_of($httpd->pid) // 0) / 1024,
        in_flight => $status->{LLMuxInFlight},
        parked => $status->{LLMuxParked},
        busy => $status->{BusyWorkers},
        pooled => connections_to($providers, @children),
    };
}

# As a line.
sub line_of
{
    my ($name, $s) = @_;

    return sprintf '%5.0f s %-7s fds %d (%s), PSS %.1f MB (%s), %d threads,'
        . ' %s in flight, %s parked, %s busy, %d to providers',
        $s->{at}, $name, $s->{parent_fds} + sum(@{ $s->{fds} }),
        join('+', $s->{parent_fds}, @{ $s->{fds} }),
        ($s->{parent_pss} + sum(@{ $s->{pss} })) / 1024,
        join('+', map { sprintf '%.1f', $_ / 1024 } $s->{parent_pss},
             @{ $s->{pss} }),
        sum(@{ $s->{threads} }), (map { $s->{$_} // '?' } qw(in_flight parked busy)),
        $s->{pooled};
}

# (busy, all) ticks of all processors so far.
sub machine_cpu
{
    my ($line) = slurp('/proc/stat') =~ /^cpu\s+(.*)$/m;
    my @ticks = split ' ', $line // '';

    return (0, 1) if @ticks < 5;
    my $all = sum(@ticks[0 .. ($#ticks < 7 ? $#ticks : 7)]);
    return ($all - $ticks[3] - $ticks[4], $all);
}

1;
