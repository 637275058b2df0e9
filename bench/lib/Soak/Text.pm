# Text.pm - what an answer says, read without a parser: a soak asks for
# hundreds of them a second, and some are a megabyte long.
package Soak::Text;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(text_of flaw_of words);

my %plain = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f");

sub unescape
{
    my ($text) = @_;

    $text =~ s{\\(?:u([0-9a-fA-F]{4})|(.))}
              {defined $1 ? chr hex $1 : $plain{$2} // $2}ges
        if index($text, '\\') >= 0;
    return $text;
}

# All content together: OpenAI's member, or Anthropic's deltas and blocks.
sub text_of
{
    my ($body) = @_;
    my $name = $body =~ /"type":"(?:text_delta|message)"/ ? 'text' : 'content';

    return unescape(join '',
        $body =~ /"$name":\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)"/gs);
}

# Words that no other answer has.
sub words
{
    my ($id, $count) = @_;

    return join ' ', map { "$id-$_" } 1 .. $count;
}

# ---- is it right?

sub short { return length $_[0] > 60 ? substr($_[0], 0, 60) . '...' : $_[0] }

sub wrong_text
{
    my ($got, $want) = @_;

    return '' if $got eq $want;
    return sprintf 'text: %d characters instead of %d: "%s"', length $got,
        length $want, short($got);
}

sub flaw_of_stream
{
    my ($rq, $body) = @_;
    my $ends = () = $body =~ /^data: \[DONE\]$/mg;

    return "$ends ends" if $ends != 1 || $body !~ /\ndata: \[DONE\]\n\n\z/;
    return 'an error in it' if $body =~ /"error":/;
    return wrong_text(text_of($body), $rq->{text});
}

# Some of the words, then a word on what went wrong.
sub flaw_of_broken
{
    my ($rq, $body) = @_;
    my $got = text_of($body);
    my $errors = () = $body =~ /"error":/g;

    return "$errors errors in it" if $errors != 1;
    return 'words that were not said'
        if $got ne substr $rq->{text}, 0, length $got;
    return '';
}

# %$rq: stream, text (what it is to say), status (other than 200), broken (it
# ends with an error), like (a pattern instead of all that). '' when the
# response is as it should be, else why not.
sub flaw_of
{
    my ($rq, $res) = @_;
    my $id = $res->header('x-request-id') // '';
    my $want = $rq->{status} || 200;

    return $res->error if defined $res->error;
    return 'status ' . $res->status . ": " . short($res->body)
        if $res->status !~ /^(?:$want)$/;
    return "another request's answer ($id)"
        if $id ne $rq->{id} && !$rq->{anonymous};
    return $res->body =~ $rq->{like} ? '' : 'not what was asked for'
        if $rq->{like};
    return flaw_of_broken($rq, $res->body) if $rq->{broken};
    return $rq->{stream} ? flaw_of_stream($rq, $res->body)
        : wrong_text(text_of($res->body), $rq->{text});
}

1;
