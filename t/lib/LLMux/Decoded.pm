# Decoded.pm - recorded answers, decoded, beside what they are known to say.
# What differs is a list of [field, got, want].
package LLMux::Decoded;

use strict;
use warnings;
use Exporter 'import';
use LLMux::Jobs;
use LLMux::Test;

our @EXPORT = qw(decode differ cuts_differ calls_differ usage_differs
                 error_differs kind_of sum);

# Streams are cut at every byte, at several a time that are so far apart.
my $apart = $ENV{LLMUX_ASAN} ? 512 : 2048;

# What t/tools/decode makes of each case; $dialect_of gives its dialect.
sub decode
{
    my ($dialect_of, @cases) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return tool('decode', $apart)->answers(
        map { [$dialect_of->($_), mode($_), $_->{path}] } @cases);
}

# Nothing, or the one difference. undef and '' are different things on the
# wire, but say the same.
sub differ
{
    my ($field, $got, $want) = @_;
    my ($g, $w) = map { text_of($_) } $got, $want;

    return $g eq $w ? () : [$field, $g, $w];
}

sub text_of
{
    my ($value) = @_;
    return !defined $value ? '' : ref $value ? to_json($value) : "$value";
}

# A stream must bring the same events wherever it is cut.
sub cuts_differ
{
    my ($case, $got) = @_;
    my $due = -s $case->{path};

    return if mode($case) ne 'stream';
    return differ('number of cuts', $got->{cuts}, $due)
        if !defined $got->{differs};
    return differ('cut', "other events when cut at $got->{differs}", undef);
}

sub calls_differ
{
    my ($got, $want) = @_;
    my @all = differ('number of calls', scalar @$got, scalar @$want);

    return @all if @all;
    for my $i (0 .. $#$want) {
        my ($g, $w) = ($got->[$i], $want->[$i]);
        my $custom = ($w->{kind} // '') eq 'custom';
        push @all,
            differ("call $i name", $g->{name}, $w->{name}),
            differ("call $i id", call_id($g->{id}, $w->{id}), $w->{id}),
            differ("call $i custom", $g->{custom} ? 1 : 0, $custom ? 1 : 0),
            arguments_differ("call $i arguments", $g->{arguments}, $w);
    }
    return @all;
}

# A call that came without an id got one of ours.
sub call_id
{
    my ($got, $want) = @_;
    return $got if ($want // '') ne '';
    return ($got // '') =~ /^call_\w{24}$/ ? $want : "no id: '$got'";
}

sub arguments_differ
{
    my ($field, $got, $want) = @_;
    my $text = ($got // '') =~ /\S/ ? $got : '{}';

    return differ($field, $got, $want->{arguments_unparsed})
        if defined $want->{arguments_unparsed};
    return differ($field, $got, $want->{arguments})
        if ($want->{kind} // '') eq 'custom';
    utf8::encode($text);
    my $data = eval { from_json($text) };
    return differ($field, defined $data ? $data : "no JSON: $got",
                  $want->{arguments} // {});
}

# Of those that are known; nothing if none is.
sub sum
{
    my @known = grep { defined } @_;
    my $sum = 0;

    $sum += $_ for @known;
    return @known ? $sum : undef;
}

# Our counters share nothing; the provider's are put together from them.
sub usage_differs
{
    my ($got, $want) = @_;
    my %ours = (
        input_total => sum(map { $got->{$_} }
                           qw(input cache_read cache_write tool_input)),
        output_total => sum(map { $got->{$_} } qw(output reasoning)),
        cached => $got->{cache_read},
        cache_write => $got->{cache_write},
        reasoning => $got->{reasoning},
    );

    return differ('usage', %$got ? $got : undef, undef) if !$want;
    return map { differ("usage $_", $ours{$_}, $want->{$_}) }
        grep { defined $want->{$_} } sort keys %ours;
}

# What an error is to us: by its words if they are listed, else by its status.
sub kind_of
{
    my ($want, $by_status, @by_words) = @_;
    my ($listed) = grep { $want->{error}{message} =~ $_->[0] } @by_words;

    return $listed ? $listed->[1]
        : $by_status->{ $want->{http_status} } // 'not listed';
}

# $kind is the one that it should be.
sub error_differs
{
    my ($got, $want, $kind) = @_;
    my ($g, $w) = map { $_->{error} } $got, $want;

    return (
        differ('kind', $g->{kind}, $kind),
        (map { differ($_, $g->{$_}, $w->{$_}) } qw(message param)),
        # A code that is a word, and that no kind of ours has another word for.
        $kind eq 'INVALID' && ($w->{code} // '') =~ /^[a-z_]+$/
            ? differ('code', $g->{code}, $w->{code}) : ());
}

1;
