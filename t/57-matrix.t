# 57-matrix.t - the matrix: clients of five dialects, providers of nine, all
# features of each pair, what the provider gets and what the client gets. It
# is made of tables (t/lib/LLMux/Matrix*); a pair has no code of its own. With
# LLMUX_MATRIX_MARKDOWN=file it is written there as Markdown, too.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Matrix;

# How a cell was answered, for whom it surprises.
sub circumstances
{
    my ($cell) = @_;
    my $res = $cell->{res};
    my $told = $res->header('X-LLMux-Warnings') // 'no warnings';

    return join "\n", "$cell->{form}: $told",
        $res->status == 200 ? () : substr($res->body, 0, 300),
        @{ $cell->{wrong} };
}

my ($mock, $httpd) = LLMux::Matrix::start();
my @cells = LLMux::Matrix::cells($mock);
my %by_pair;

LLMux::Matrix::ask_cells($httpd, $mock, @cells);
for my $cell (@cells) {
    LLMux::Matrix::check($cell);
    push @{ $by_pair{"$cell->{door} to $cell->{provider}"}
                   { $cell->{feature}{name} } }, $cell;
}
for my $pair (sort keys %by_pair) {
    subtest $pair => sub {
        for my $feature (@LLMux::Matrix::features) {
            my @of = @{ $by_pair{$pair}{ $feature->{name} } };
            my @wrong = grep { @{ $_->{wrong} } } @of;
            ok(!@wrong, $feature->{title})
                or diag(join "\n", map { circumstances($_) } @wrong);
        }
    };
}

my $marks = LLMux::Matrix::marks(@cells);
diag($_) for LLMux::Matrix::table($marks);
is(join(', ', LLMux::Matrix::unused(@cells)), '',
   'every exception is still needed');
if (my $file = $ENV{LLMUX_MATRIX_MARKDOWN}) {
    my $text = LLMux::Matrix::markdown($marks);
    utf8::encode($text);
    spew($file, $text);
}

# The mock fails as it is told.
done_clean($httpd, allow => [qr{LX0021: }]);
done_testing;
