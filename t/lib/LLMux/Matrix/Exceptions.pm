# Exceptions.pm - cells of the matrix that cannot be what the others are, by
# the section of dialects.md that says so, and what happens in them. It is
# asserted like everything else.
#
# A row is for all cells that fit client, provider and feature (words with
# blanks between them; none: all); the first that fits counts. It says section,
# reason, and one or more of
#   refused => status, says => pattern   nobody is asked; the client learns why
#   told => words     of X-LLMux-Warnings; told_again: of the second turn
#   without => [...]  what does not arrive, at the provider or at the client
#   once => 1         there is no second turn
package LLMux::Matrix::Exceptions;

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(exception @exceptions);

my $others = 'chat anthropic gemini bedrock vertex vertex-claude azure cohere'
    . ' ollama';

our @exceptions = (
    { client => 'completions', feature => 'tools parallel', section => '1.4',
      reason => 'a prompt offers no tools, a text calls none',
      told => 'tools', without => [qw(tools calls end)] },
    { client => 'completions', feature => 'results', section => '1.4',
      reason => 'a prompt is no conversation', told => 'tools messages',
      without => [qw(tools calls results)] },
    { client => 'completions', feature => 'images pdf', section => '1.4',
      reason => 'a prompt is text', refused => 400, says => qr/'prompt'/ },
    { client => 'completions', feature => 'structured', section => '1.4',
      reason => 'a text has no format', told => 'response_format',
      without => ['schema'] },
    { client => 'completions', feature => 'reasoning', section => '1.4',
      reason => 'a text has no thoughts, and no second turn',
      told => 'reasoning_effort tools', once => 1,
      without => [qw(effort thoughts calls end)] },

    { client => 'responses', provider => $others, feature => 'stop',
      section => '1.3', reason => 'Responses has no stop sequences',
      told => 'stop', without => ['stop'] },
    { client => 'responses', provider => 'responses', feature => 'stop',
      section => '1.3', reason => 'Responses has no stop sequences; what a'
          . ' client says passes as it is' },
    { client => 'chat completions messages generateContent',
      provider => 'responses', feature => 'stop', section => '5.1',
      reason => 'Responses has no stop sequences', refused => 400,
      says => qr/knows no stop sequences/ },

    { provider => 'cohere ollama', feature => 'pdf', section => '0.3',
      reason => 'it takes no documents', refused => 400,
      says => qr/\w+\[0\]\.\w+\[1\][.\w]*' holds a PDF document/ },

    { provider => 'ollama', feature => 'refusal', section => '5.5',
      reason => 'it has no word for a refusal: the answer is empty' },
    { client => 'responses messages generateContent', provider => 'azure',
      feature => 'reasoning', section => '5.1',
      reason => 'chat completions have no token, and thoughts go back where'
          . ' a server takes them', told_again => 'reasoning_content' },
);

sub exception
{
    my ($door, $provider, $feature) = @_;
    my %is = (client => $door, provider => $provider, feature => $feature);

    for my $row (@exceptions) {
        next if grep { my $what = $_;
            defined $row->{$what}
                && !grep { $_ eq $is{$what} } split ' ', $row->{$what}
        } keys %is;
        return $row;
    }
    return;
}

1;
