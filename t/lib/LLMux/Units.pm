# Units.pm - runs a program that prints TAP and says what it said: its tests,
# and whatever is wrong with the run as a whole.
package LLMux::Units;

use strict;
use warnings;
use LLMux::Place qw(run tree build);

use Exporter 'import';
our @EXPORT_OK = qw(preloads);

# {tests => [[good, name, comments]], skip => why, problems => [...]}
sub run_unit
{
    my ($program, %opt) = @_;
    my ($status, $out) = run([$program], dir => tree(),
        timeout => $opt{timeout} || 120, env => sanitizers());
    my $result = parse($out);
    my @failed = grep { !$_->[0] } @{ $result->{tests} };

    unshift @{ $result->{problems} }, "it ended with status $status"
        if $status ne '0' && !($status eq '1' && @failed);
    return $result;
}

# What finds the use of a pool's memory after its end, behind the sanitizers'
# own libraries.
sub preloads
{
    return library('tsan') if $ENV{LLMUX_TSAN};
    return undef if !$ENV{LLMUX_ASAN};
    return join ' ', grep { -e } library('asan'), library('ubsan'),
        build() . '/pools.so';
}

sub library
{
    chomp(my $path = `gcc -print-file-name=lib$_[0].so`);
    return $path;
}

# A sanitizer's complaint must not pass as a mere note.
sub sanitizers
{
    return { LD_PRELOAD => preloads(),
             ASAN_OPTIONS => $ENV{ASAN_OPTIONS} // 'detect_leaks=1',
             UBSAN_OPTIONS => $ENV{UBSAN_OPTIONS}
                 // 'halt_on_error=1:print_stacktrace=1' };
}

sub parse
{
    my ($out) = @_;
    my (@tests, @problems, @plans, @other, $skip);

    for my $line (split /\n/, $out) {
        if ($line =~ /^(not )?ok\b *(\d*)(?: *-)? *(.*)$/) {
            my ($good, $number, $name) = (!$1, $2, $3);
            $good = 1 if $name =~ /# *(?:TODO|SKIP)\b/i;
            push @tests, [$good, $name, []];
            push @problems, "test $number came as number " . @tests
                if $number ne '' && $number != @tests;
        }
        elsif ($line =~ /^1\.\.(\d+)(?: *# *SKIP *(.*))?$/i) {
            push @plans, $1;
            $skip = $2 || 'skipped' if $1 == 0;
        }
        elsif ($line =~ /^Bail out!/) {
            push @problems, $line;
        }
        elsif (@tests && $line =~ /^#/) {
            push @{ $tests[-1][2] }, $line =~ s/^# ?//r;
        }
        else {
            push @other, $line;
        }
    }
    push @problems, @plans ? 'it printed ' . @plans . ' plans'
        : 'it printed no plan' if @plans != 1;
    push @problems, "it planned $plans[0] tests and ran " . @tests
        if @plans == 1 && $plans[0] != @tests;
    push @problems, 'it ran no test'
        if !@tests && !defined $skip;
    # What a crash or a sanitizer said is worth reading.
    push @problems, splice @other, 0, 40 if @problems
        || grep { /Sanitizer|runtime error:/ } @other;
    return { tests => \@tests, problems => \@problems, skip => $skip };
}

1;
