# Corpus.pm - the recordings of real providers, read where they lie: the folder
# in LLMUX_CORPUS, else ../shared/fixtures beside the checkout.
#
#   my $corpus = corpus_or_skip();
#   for my $case ($corpus->cases(dialect => 'gemini', streaming => 'sse')) {
#       my $bytes = $corpus->bytes($case);
#       my $want = $corpus->expected($case);
#   }
#
# A case is a line of INDEX.tsv as a hash, with {path}, {dialect} (its folder),
# {tags} as a list and {kind} (json, sse, eventstream, error).
package LLMux::Corpus;

use strict;
use warnings;
use File::Spec;
use JSON::PP ();
use LLMux::Place qw(tree slurp);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub dir
{
    return $ENV{LLMUX_CORPUS} if $ENV{LLMUX_CORPUS};
    return File::Spec->catdir(tree(), File::Spec->updir, 'shared', 'fixtures');
}

# The corpus, or undef and why there is none.
sub find
{
    my ($class) = @_;
    my $dir = dir();

    return (undef, "no recordings at $dir; LLMUX_CORPUS names their folder")
        if !-f "$dir/INDEX.tsv";
    my $self = bless { dir => $dir }, $class;
    $self->{cases} = $self->read_index;
    return (undef, "$dir/INDEX.tsv is empty") if !@{ $self->{cases} };
    return $self;
}

sub read_index
{
    my ($self) = @_;
    my ($first, @lines) = split /\n/, slurp("$self->{dir}/INDEX.tsv");
    my @names = split /\t/, $first // '';
    my @cases;

    for my $line (@lines) {
        my %case;
        @case{@names} = split /\t/, $line, -1;
        $case{path} = "$self->{dir}/$case{file}";
        $case{dialect} = $case{file} =~ m{^([^/]+)/} ? $1 : '';
        $case{tags} = [split /,/, $case{tags}];
        $case{kind} = $case{file} =~ /\.error\.json$/ ? 'error'
            : ($case{file} =~ /\.(\w+)$/)[0];
        push @cases, \%case;
    }
    return \@cases;
}

# The cases for which every condition holds: name => text, qr/.../ or a list
# of texts; tag => 'vision' asks for one tag.
sub cases
{
    my ($self, %want) = @_;
    my @cases = @{ $self->{cases} };

    for my $name (keys %want) {
        my $wanted = $want{$name};
        @cases = grep {
            my $case = $_;
            my @have = $name eq 'tag' ? @{ $case->{tags} } : $case->{$name};
            grep { fits($_, $wanted) } @have;
        } @cases;
    }
    return @cases;
}

sub fits
{
    my ($have, $wanted) = @_;

    return $have =~ $wanted if ref $wanted eq 'Regexp';
    return grep { $have eq $_ } ref $wanted ? @$wanted : $wanted;
}

# The recording as it lies on disk.
sub bytes { return slurp($_[1]{path}) }

# The request recorded with it, as bytes; '' when there is none.
sub request
{
    my ($self, $case) = @_;
    return $case->{request_file}
        ? slurp("$self->{dir}/$case->{request_file}") : '';
}

# {status, content_type, body} of an .error.json, the body as bytes.
sub error
{
    my ($self, $case) = @_;
    my $error = $json->decode($self->bytes($case));

    $error->{body} = $json->encode($error->{body}) if ref $error->{body};
    return $error;
}

# What must come out of it, and how it was fetched.
sub expected
{
    my ($self, $case) = @_;
    my $want = $self->line_of('expected', $case);

    add_up($want) if $want && ($want->{api} // '') eq 'openai-chat';
    return $want;
}

sub exchange { return $_[0]->line_of('exchanges', $_[1]) }

# Some chat answers have in their total alone what is billed, and the lines say
# what their members do: Google's thoughts, and the sound that Mistral hears.
sub add_up
{
    my ($want) = @_;
    my ($usage, $raw) = @$want{qw(usage usage_raw)};

    return if !$usage || !$usage->{total};
    my $beside = $usage->{total} - $usage->{input_total}
        - $usage->{output_total};
    return if $beside <= 0;
    my $sound = ($raw->{prompt_tokens_details} || {})->{audio_tokens} || 0;
    my @counts = $beside == $sound ? qw(input_total)
        : qw(reasoning output_total);
    $usage->{$_} = ($usage->{$_} // 0) + $beside for @counts;
    return;
}

sub line_of
{
    my ($self, $which, $case) = @_;

    $self->{$which} //= { map { $_->{file} => $_ } map { $json->decode($_) }
        split /\n/, slurp("$self->{dir}/$which.jsonl") };
    return $self->{$which}{ $case->{file} };
}

1;
