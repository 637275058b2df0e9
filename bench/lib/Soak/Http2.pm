# Http2.pm - requests of one HTTP/2 connection, all at once, by curl.
package Soak::Http2;

use strict;
use warnings;
use File::Temp ();
use LLMux::Place qw(patience slurp spew);
use LLMux::Response;
use POSIX ();
use Soak::Sorts qw(http2_questions);

my %running;    # pid => 1; ours only

use constant SECONDS => 60;

# $owner is told as by a client (Client.pm).
sub new
{
    my ($class, $owner, %opt) = @_;
    my $self = bless { owner => $owner, questions => [http2_questions()],
        dir => File::Temp->newdir('llmux-XXXXXX', TMPDIR => 1) }, $class;

    $owner->asked($_) for @{ $self->{questions} };
    spew("$self->{dir}/conf", $self->conf(%opt));
    $self->{pid} = fork() // die "fork: $!\n";
    if (!$self->{pid}) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$self->{dir}/out";
        open STDERR, '>', "$self->{dir}/err";
        exec 'curl', '-q', '-K', "$self->{dir}/conf" or POSIX::_exit(127);
    }
    $running{ $self->{pid} } = 1;
    return $self;
}

# A configuration for curl: a part for each request.
sub conf
{
    my ($self, %opt) = @_;
    my $n = 0;

    return join "next\n", map {
        my $body = $_->{body} =~ s/(["\\])/\\$1/gr;
        my $file = "$self->{dir}/" . $n++;
        ($n == 1 ? "parallel\nparallel-immediate\nno-progress-meter\n" : '')
            . <<"END" } @{ $self->{questions} };
http2
noproxy = "*"
cacert = "$opt{certificate}"
max-time = @{[ patience(SECONDS) ]}
url = "$opt{url}/v1/chat/completions"
header = "Content-Type: application/json"
header = "X-Request-ID: $_->{id}"
data = "$body"
output = "$file.body"
dump-header = "$file.head"
END
}

# Has it ended? Then its answers are looked at.
sub is_over
{
    my ($self) = @_;

    return 0 if waitpid($self->{pid}, POSIX::WNOHANG()) != $self->{pid};
    delete $running{ $self->{pid} };
    my $error = $? ? 'curl: ' . slurp("$self->{dir}/err") : undef;
    my $n = 0;
    for my $rq (@{ $self->{questions} }) {
        my $file = "$self->{dir}/" . $n++;
        $self->{owner}->answered($rq, response($file, $error));
    }
    return 1;
}

sub response
{
    my ($file, $error) = @_;
    my ($first, @lines) = split /\r\n/, slurp("$file.head");
    my ($version, $status) = ($first // '') =~ m{^HTTP/([\d.]+) (\d+)};

    $error //= 'HTTP ' . ($version // '?') if ($version // '') ne '2';
    return LLMux::Response->whole(status => $status, body => slurp(
        "$file.body"), headers => [map { [split /:\s*/, $_, 2] } @lines],
        error => $error);
}

END {
    local $?;
    kill TERM => keys %running if %running;
}

1;
