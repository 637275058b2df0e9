# Exceptions.pm - where what comes out differs from what is known of the
# recordings, and why that is right: file, field, reason; and `to`, the client
# whom it concerns, where there are several. One that has gone must go from its
# list, too.
#
#   my $exceptions = LLMux::Exceptions->new(@list);
#   $exceptions->judge($name, $case, [$field, $got, $want], ...);
#   $exceptions->are_needed;
package LLMux::Exceptions;

use strict;
use warnings;
use JSON::PP ();
use Test::More;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub new
{
    my ($class, @list) = @_;
    return bless { excused => 0,
                   used => { map { key($_, $_->{to}, $_->{field}) => 0 }
                             @list } }, $class;
}

sub key { return join ' ', $_[0]{file}, grep { defined } @_[1, 2] }

# A result: does nothing differ but what may? $case has {file} and {to}.
sub judge
{
    my ($self, $name, $case, @differences) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @wrong = grep { !$self->excuse($case, $_->[0]) } @differences;

    $self->{excused}++ if @differences && !@wrong;
    return ok(!@wrong, $name) || diag(join "\n", map { told($_) } @wrong);
}

sub excuse
{
    my ($self, $case, $field) = @_;
    my ($known) = grep { exists $self->{used}{$_} }
        map { key($case, $_, $field) } $case->{to}, undef;

    return $known && ++$self->{used}{$known};
}

sub told
{
    my ($field, @values) = @{ $_[0] };
    my ($got, $want) = map { substr $json->encode($_), 0, 600 } @values;

    return "$field\n   got: $got\n  want: $want";
}

# How many were judged good for an exception.
sub excused { return $_[0]{excused} }

# A result: is each one met?
sub are_needed
{
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @gone = grep { !$self->{used}{$_} } sort keys %{ $self->{used} };

    return is join("\n", @gone), '', 'every exception is still needed';
}

1;
