# 23-doors.t - clients of every dialect, providers of every dialect: the
# matrix. A door is a row, a provider is a row; a pair has no code of its own.
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;

my $text = "grüß dich, Welt \"\\\" \x{1F680}";
my $tool = { name => 'weather', description => 'of a city',
             schema => { type => 'object', required => ['city'],
                         properties => { city => { type => 'string' } } } };
my @call = ({ name => 'weather', args => { city => 'Köln' } });

my $mock = mock(rules => [
    { model => 'calls', do => { calls => \@call, usage => [20, 10] } },
    { model => 'cut', do => 'length=5' },
]);

my $httpd = httpd(conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    AllowEncodedSlashes NoDecode
    <LLMuxProvider oai>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
        LLMuxAPIKey sk-oai
        LLMuxModels one two
    </LLMuxProvider>
    <LLMuxProvider ant>
        LLMuxType anthropic
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-ant
    </LLMuxProvider>
    <LLMuxProvider gem>
        LLMuxType gemini
        LLMuxBaseURL @{[ $mock->base ]}
        LLMuxAPIKey sk-gem
    </LLMuxProvider>
    <Location "/">
        SetHandler llmux
    </Location>
END
my @providers = qw(oai ant gem);

# ---- doors: how a client asks, and how it reads what comes

sub text_of { return join '', map { $_ // '' } @_ }


sub escaped { return $_[0] =~ s{/}{%2F}gr }

my %door = (
    chat => {
        path => sub { '/v1/chat/completions' },
        body => sub {
            my ($model, $words, $stream) = @_;
            return { model => $model, stream => $stream,
                     messages => [{ role => 'user', content => $words }] };
        },
        whole => sub { $_[0]{choices}[0]{message}{content} },
        streamed => sub {
            text_of(map { $_->{choices}[0]{delta}{content} } @_)
        },
        error => sub { $_[0]{error}{message} },
    },
    azure => {
        path => sub {
            '/openai/deployments/' . escaped($_[0])
                . '/chat/completions?api-version=2024-10-21'
        },
        body => sub {
            my (undef, $words, $stream) = @_;
            return { stream => $stream,
                     messages => [{ role => 'user', content => $words }] };
        },
    },
);
$door{azure}{$_} = $door{chat}{$_} for qw(whole streamed error);

sub ask
{
    my ($name, $model, $words, $stream) = @_;
    my $d = $door{$name};

    return post($httpd, $d->{path}->($model, $stream),
        $d->{body}->($model, $words, $stream ? true : false),
        headers => $d->{headers} || {});
}

# ----------------------------------------------------------------------

for my $name (sort keys %door) {
    my $d = $door{$name};

    for my $provider (@providers) {
        subtest "$name to $provider" => sub {
            my $res = ask($name, "$provider/m", $text, 0);
            ok $res->ok && $res->status == 200, 'a whole answer'
                or diag $res->status, ' ', $res->body;
            is $d->{whole}->($res->json), $text, '... says it';

            $res = ask($name, "$provider/m", $text, 1);
            ok $res->ok && $res->status == 200, 'a stream'
                or diag $res->status, ' ', $res->body;
            is $d->{streamed}->(map { $_->{json} || () } $res->events), $text,
                '... says it';

            for my $stream (0, 1) {
                $res = ask($name, "$provider/m+429=7", $text, $stream);
                is $res->status, 429, 'a refusal';
                like $d->{error}->($res->json) // '', qr/\w/, '... in words';
            }
        };
    }
}

subtest 'models in the shape of who asks' => sub {
    my $openai = get($httpd, '/v1/models')->json;
    is_deeply [map { $_->{id} } @{ $openai->{data} }], [qw(one two)],
        "OpenAI's";
    is $openai->{object}, 'list', '... a list';

    my %claude = (headers => { 'anthropic-version' => '2023-06-01' });
    my $anthropic = get($httpd, '/v1/models', %claude)->json;
    is_deeply [map { "$_->{type} $_->{id}" } @{ $anthropic->{data} }],
        ['model one', 'model two'], "Anthropic's";
    is_deeply [@$anthropic{qw(first_id last_id)}], [qw(one two)],
        '... from where to where';
    like $anthropic->{data}[0]{created_at}, qr/^\d{4}-\d\d-\d\dT[\d:]+Z$/,
        '... with a date';
    is get($httpd, '/v1/models/two', %claude)->json->{display_name}, 'two',
        'one of them';
};

# The mock says 429 as it is told.
done_clean($httpd, allow => [qr{LX0021: }]);
done_testing;
