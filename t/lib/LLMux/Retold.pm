# Retold.pm - recorded answers, each said again in clients' dialects by
# t/tools/cross, and what those clients for JavaScript take from them.
#
#   my @cells = retell(corpus => $corpus, cases => [heard(@cases)],
#       dialect_of => sub { ... }, clients => [qw(openai gemini)],
#       script => ['cross.mjs']);
#   judge_cells(\@cells, @exceptions);
#
# A cell is what one client took of one answer: {file, to (the client), form,
# wrong => [[field, got, want], ...]}.
package LLMux::Retold;

use strict;
use warnings;
use Exporter 'import';
use LLMux::Exceptions;
use LLMux::Jobs;
use LLMux::Test;

our @EXPORT = qw(%decoders heard retell judge_cells);

# The dialect that each API's answers are decoded with.
our %decoders = (
    'openai-chat' => 'openai',
    'openai-responses' => 'responses',
    'anthropic-messages' => 'anthropic',
    'bedrock-invoke-anthropic' => 'anthropic',
    'bedrock-converse' => 'bedrock',
    'gemini-generate' => 'gemini',
    'openai-completions' => 'completions',
);

# What no decoder of ours reads: Anthropic's events within Amazon's.
my %unheard = map { $_ => 1 } ('bedrock-invoke-anthropic eventstream');

# Where any client sees something else than expected.jsonl says, and why that
# is right.
my @exceptions = (
    { file => 'openai-compat/snowflake-chat-tool-call-01.json',
      field => 'reasoning',
      reason => 'Its text stands in reasoning_details alone, which we read'
          . ' and the expectation does not.' },
    { file => 'openai-responses/openai-client-builtin-tool-03.sse',
      field => 'text',
      reason => 'The recording was shortened: its pieces say less than the'
          . ' whole text, and something else.' },
    { file => 'bedrock/bedrock-converse-tool-result-01.json', field => 'text',
      reason => 'All of its text has sources and stands beside them, where the'
          . ' expectation does not look.' },
    { file => 'bedrock/bedrock-invoke-stop-sequence-01.json',
      field => 'client',
      reason => 'A text completion of Anthropic\'s, whose dialect is none of'
          . ' ours: what came is no message.' },
);

sub heard { return grep { !$unheard{"$_->{api} $_->{streaming}"} } @_ }

# All cells. $of{script}: one of t/sdk, and arguments in front of the files
# {cases} and {answers}, which are line by line in step.
sub retell
{
    my (%of) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($script, @args) = @{ $of{script} };
    my $dir = temp_dir('retold');

    tool('cross', @{ $of{clients} })->work("$dir/answers",
        map { [mode($_), $of{dialect_of}->($_), $_->{path}] } @{ $of{cases} });
    spew("$dir/cases", join '', map { to_json({
        file => $_->{file}, from => $of{dialect_of}->($_),
        error => $_->{kind} eq 'error' ? true : false,
        want => $of{corpus}->expected($_),
    }) . "\n" } @{ $of{cases} });
    my ($status, $out) = run(['node', tree() . "/t/sdk/$script", @args,
        "$dir/cases", "$dir/answers"], timeout => patience(200));
    is $status, 0, 'the clients end by themselves';
    drop_dir($dir);
    return map { cell($_) } split /\n/, $out;
}

sub cell
{
    my ($line) = @_;

    return from_json($line) if $line =~ /^\{/;
    diag($line);
    return;
}

# A result for each, and for the exceptions, these beside those of all. Gives
# how many were good for an exception only.
sub judge_cells
{
    my ($cells, @more) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $exceptions = LLMux::Exceptions->new(@exceptions, @more);

    $exceptions->judge("$_->{file} for $_->{to}, $_->{form}", $_,
                       @{ $_->{wrong} }) for @$cells;
    cmp_ok $exceptions->excused, '<', @$cells / 100,
        'exceptions are under one in a hundred';
    $exceptions->are_needed;
    return $exceptions->excused;
}

1;
