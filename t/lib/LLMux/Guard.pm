# Guard.pm - no process outlives its test, not even when the test is killed.
#
# A small process per test file reads from a pipe. When the test is gone,
# however it went, the pipe closes and the guard ends what was left behind.
package LLMux::Guard;

use strict;
use warnings;
use LLMux::Place ();
use POSIX ();

my ($pipe, $guard, $owner);

# A program of its own, so that it holds nothing else of the test open.
my $program = <<'END';
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE);
while (<STDIN>) {
    /^\+(\d+)$/ ? $left{$1} = 1 : /^-(\d+)$/ && delete $left{$1};
}
if (%left) {
    my @groups = map { -$_ } keys %left;
    kill TERM => @groups;
    for (1 .. 40) {
        last if !grep { kill 0 => $_ } @groups;
        select undef, undef, undef, 0.05;
    }
    kill KILL => @groups;
}
END

# $pid leads a process group of its own; keep an eye on it.
sub watch
{
    my ($pid) = @_;
    start() if !$pipe || $owner != $$;
    syswrite $pipe, "+$pid\n";
    return;
}

# It has been ended properly.
sub forget
{
    my ($pid) = @_;
    syswrite $pipe, "-$pid\n" if $pipe && $owner == $$;
    return;
}

sub start
{
    pipe my $read, $pipe or die "pipe: $!\n";
    $owner = $$;
    $guard = fork() // die "fork: $!\n";
    return close $read if $guard;

    POSIX::setpgid(0, 0);
    open STDIN, '<&', $read;
    # Nobody waits for our copy of these: prove does until they close.
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec $^X, '-e', $program or POSIX::_exit(127);
}

# Lets the guard go home, so that a finished test leaves no process at all.
END {
    if ($guard && $owner && $owner == $$) {
        local $?;
        close $pipe;
        LLMux::Place::wait_until(1, sub {
            return waitpid($guard, POSIX::WNOHANG()) != 0;
        });
    }
}

1;
