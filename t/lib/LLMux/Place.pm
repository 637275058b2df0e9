# Place.pm - where things are (tree, build, temporary directories, ports) and
# how to wait for things without a fixed sleep.
package LLMux::Place;

use strict;
use warnings;
use Cwd ();
use Exporter 'import';
use File::Basename ();
use File::Path ();
use File::Spec;
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes ();

our @EXPORT_OK = qw(tree build as_root patience wait_until temp_dir drop_dir
                    free_port run slurp spew);

my $tree = Cwd::abs_path(
    File::Spec->catdir(File::Basename::dirname(__FILE__), '..', '..', '..'));

# The root of the checkout.
sub tree { return $tree }

# Where make puts things; another build (ASan) is named by LLMUX_BUILD.
sub build { return File::Spec->rel2abs($ENV{LLMUX_BUILD} || 'build', $tree) }

sub as_root { return $> == 0 }

# A deadline of $secs on a good day, in seconds for this run.
sub patience
{
    my ($secs) = @_;
    my $slow = $ENV{LLMUX_ASAN} || $ENV{LLMUX_TSAN};

    return $secs * ($ENV{LLMUX_PATIENCE} || ($slow ? 4 : 1));
}

# Asks $code every few milliseconds until it says something true, and returns
# that; '' when the deadline has passed.
sub wait_until
{
    my ($secs, $code) = @_;
    my $end = Time::HiRes::time() + patience($secs);
    my $nap = 0.002;

    while (1) {
        my $answer = $code->();
        return $answer if $answer;
        return '' if Time::HiRes::time() >= $end;
        Time::HiRes::sleep($nap);
        $nap = 0.05 if ($nap *= 1.5) > 0.05;
    }
}

# A directory that the httpd's children can reach and write into: below the
# build where its parents let them through, else in the system's place.
sub temp_dir
{
    my ($name) = @_;
    my ($base) = grep { -d && -w && traversable($_) }
                      build(), File::Spec->tmpdir;

    die "no directory that every user may enter; set TMPDIR\n" if !$base;
    my $dir = File::Temp::tempdir("$name-XXXXXX", DIR => $base);
    chmod 0755, $dir;
    if (as_root()) {
        my @owner = (getpwnam 'www-data')[2, 3];
        chown @owner, $dir if @owner;
    }
    return $dir;
}

# May somebody who is nobody go there? Only asked as root, because an
# ordinary user's children are that user.
sub traversable
{
    my ($dir) = @_;

    return 1 if !as_root();
    for (my $at = Cwd::abs_path($dir);; $at = File::Basename::dirname($at)) {
        return 0 if !((stat $at)[2] & 0001);
        return 1 if $at eq File::Spec->rootdir;
    }
}

# Removes a directory of ours, unless LLMUX_KEEP asks for a look at it.
sub drop_dir
{
    my ($dir) = @_;
    File::Path::remove_tree($dir, { error => \my $ignored })
        if !$ENV{LLMUX_KEEP};
    return;
}

# A port that was free a moment ago; whoever uses it is ready to lose the race.
sub free_port
{
    my $socket = IO::Socket::INET->new(
        Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp')
        or die "no free port: $!\n";
    return $socket->sockport;
}

# Runs a command to its end: (exit status or "signal N", output of both
# channels). Options: timeout, dir, env => {name => value or undef}.
sub run
{
    my ($command, %opt) = @_;
    my $out = File::Temp->new(TEMPLATE => 'llmux-XXXXXX', TMPDIR => 1);
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        POSIX::setpgid(0, 0);
        for my $name (keys %{ $opt{env} || {} }) {
            my $value = $opt{env}{$name};
            defined $value ? $ENV{$name} = $value : delete $ENV{$name};
        }
        chdir $opt{dir} or POSIX::_exit(126) if $opt{dir};
        open STDIN, '<', File::Spec->devnull;
        open STDOUT, '>>', $out->filename;
        open STDERR, '>&', \*STDOUT;
        exec { $command->[0] } @$command or POSIX::_exit(127);
    }
    my $status = 'timeout';
    my $done = wait_until($opt{timeout} || 60, sub {
        return waitpid($pid, POSIX::WNOHANG()) == $pid;
    });
    if ($done) {
        $status = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    }
    else {
        kill KILL => -$pid, $pid;
        waitpid $pid, 0;
    }
    return ($status, slurp($out->filename));
}

# A file's bytes; '' when there is none.
sub slurp
{
    my ($path) = @_;
    open my $fh, '<:raw', $path or return '';
    local $/;
    return <$fh> // '';
}

sub spew
{
    my ($path, $bytes) = @_;
    open my $fh, '>:raw', $path or die "$path: $!\n";
    print $fh $bytes;
    close $fh or die "$path: $!\n";
    return;
}

1;
