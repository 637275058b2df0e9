# Jobs.pm - has a program of t/tools do jobs: lines of its input, words with
# tabs between them; for each it answers a line of JSON.
#
#   my $edit = tool('edit');
#   my @answers = $edit->answers(['openai', '-', 'other', $path], ...);
#
#   tool('cross', qw(openai gemini))->work("$dir/answers", @jobs);
#
# Each step is a result of the test: that it builds, that it did all of its
# work, that there is an answer for each job.
package LLMux::Jobs;

use strict;
use warnings;
use Exporter 'import';
use JSON::PP ();
use LLMux::Place qw(tree build run slurp spew temp_dir drop_dir);
use LLMux::Units;
use Test::More;

our @EXPORT = qw(tool mode);

my $json = JSON::PP->new->utf8->allow_nonref;

# A program of t/tools, built, with its arguments. Without it there is nothing
# to see.
sub tool
{
    my ($name, @args) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $program = build() . "/tools/$name";
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    is $status, 0, "the program $name builds" or die $out;
    return bless { name => $name, command => [$program, @args] };
}

# Its answers stand in the file $path then.
sub work
{
    my ($self, $path, @jobs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    spew("$path.jobs", join '', map { join("\t", @$_) . "\n" } @jobs);
    my ($status, $said) = run(['/bin/sh', '-c',
        'exec "$@" <"$ANSWERS.jobs" >"$ANSWERS"', 'sh',
        @{ $self->{command} }], timeout => 900,
        env => { %{ LLMux::Units::sanitizers() }, ANSWERS => $path });
    return is($status, 0, "$self->{name} did all of its work") || diag($said);
}

# One for each job, in their order; fewer if the program fell.
sub answers
{
    my ($self, @jobs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $dir = temp_dir($self->{name});

    $self->work("$dir/answers", @jobs);
    my @answers = map { eval { $json->decode($_) } }
        split /\n/, slurp("$dir/answers");
    drop_dir($dir);
    is scalar @answers, scalar @jobs, '... every job';
    return @answers;
}

# How a recorded answer is read. An array is what a stream is without events.
sub mode
{
    my ($case) = @_;
    return $case->{kind} eq 'error' ? 'error'
        : $case->{streaming} eq 'no' ? 'whole' : 'stream';
}

1;
