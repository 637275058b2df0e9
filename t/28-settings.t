# 28-settings.t - settings that must hold at every door: reasoning that is not
# shown, the model's name that is, keys of seals that change, and the places
# where a client may put his key. Doors and providers are the matrix's.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Matrix;
use LLMux::Matrix::Doors qw(%doors @doors);
use LLMux::Matrix::Providers qw(%providers);
use MIME::Base64 qw(encode_base64);

my $key = 'llmux-settings-key';
my @providers = qw(chat responses anthropic gemini bedrock cohere ollama);
my @forms = ([whole => {}], [stream => { stream => 1 }]);
my @vector = (0.25, -1, 0.5);

my $weather = { name => 'weather', description => 'of a city',
    schema => { type => 'object', required => ['city'],
                properties => { city => { type => 'string' } } } };

# Pieces of a thought are of this letter, too.
my $thought = { think => 'Z' x 25, token => 1 };
my %says = (
    talk => [{ %$thought }, { text => 'Why do you ask?' }],
    call => [{ %$thought }, { call => { id => 'call_1', name => 'weather',
                                        args => { city => 'Oslo' } } }],
    again => [{ text => 'It rains.' }],
);

# ---- what is behind the doors

sub model { return join '.', $providers{ $_[0] }{model}, @_[1 .. $#_] }

sub behaviour
{
    my ($name, $what, $stream) = @_;
    my $p = $providers{$name};
    my @blocks = map { LLMux::Matrix::spoken($name, 'rotation', $_) }
        @{ $says{$what} };
    my %say = (blocks => \@blocks,
        usage => LLMux::Matrix::folded({ input => 11, output => 5,
            ($what eq 'again' ? () : (reasoning => 7)) }, $p->{counts}),
        end => $p->{ends}{ $what eq 'call' ? 'calls' : 'stop' });

    return $p->{ $stream ? 'streamed' : 'whole' }->(\%say);
}

my @rules = (
    (map { my $name = $_;
           map { my $what = $_;
                 map { { model => '^' . quotemeta(model($name, $what, $_->[0]))
                             . '$',
                         do => behaviour($name, $what, $_->[1]{stream}) }
                 } @forms } keys %says } @providers),
    { path => ':batchEmbedContents$', do => { json => {
        embeddings => [{ values => \@vector }] } } },
    { path => ':embedContent$', do => { json => {
        embedding => { values => \@vector } } } },
    { path => '/v2/embed$', do => { json => { id => 'e1', texts => ['a'],
        embeddings => { float => [\@vector] } } } },
    { path => '/api/embed$', do => { json => { model => 'matrix',
        embeddings => [\@vector] } } },
    { path => '/responses/input_tokens$', do => { json => {
        object => 'response.input_tokens', input_tokens => 7 } } },
    { path => '/v1/completions$', do => { json => { id => 'cmpl-1',
        object => 'text_completion', created => 1, model => 'matrix',
        choices => [{ text => ' and on', index => 0, logprobs => undef,
                      finish_reason => 'stop' }] } } },
    { path => '/embeddings$', body => '"base64".*"obey"|"obey".*"base64"', do => { json => {
        object => 'list', model => 'matrix', data => [{ index => 0,
            object => 'embedding', embedding => bytes(@vector) }] } } },
    { path => '/embeddings$', do => { json => { object => 'list',
        model => 'matrix', data => [{ index => 0, object => 'embedding',
                                      embedding => \@vector }] } } },
);

sub bytes { return encode_base64(pack('f<*', @_), '') }

# Each of their models under a name of ours.
sub models
{
    my ($name) = @_;

    return map { <<"END" }
    <LLMuxModel @{[ alias($name, @$_) ]}>
        LLMuxDeployment $name @{[ model($name, @$_) ]}
    </LLMuxModel>
END
        ['plain'], map { my $what = $_; map { [$what, $_->[0]] } @forms }
        keys %says;
}

sub alias { return join '-', 'our', @_ }

my $mock = mock(rules => \@rules);

sub conf
{
    my (@seal_keys) = @_;
    my $sections = join '', map { LLMux::Matrix::section($_, $mock),
                                  models($_) } @providers;

    return join "\n", (map { "LLMuxSealKey $_" } @seal_keys), <<"END";
    LLMuxMasterKey $key
    LLMuxDirect on
    LLMuxBackoff 10ms
    AllowEncodedSlashes NoDecode
$sections
    <LLMuxProvider local>
        LLMuxType vllm
        LLMuxBaseURL @{[ $mock->base('/v1') ]}
    </LLMuxProvider>
    <LLMuxProvider broken>
        LLMuxType openai
        LLMuxBaseURL @{[ $mock->base('/v1', '500') ]}
        LLMuxAPIKey sk-broken
        LLMuxRetries 0
    </LLMuxProvider>
    <LLMuxModel our-first>
        LLMuxDeployment broken gpt-5
        LLMuxFallback our-anthropic-talk-whole
    </LLMuxModel>
    <Location "/">
        SetHandler llmux
    </Location>
    <Location "/quiet">
        SetHandler llmux
        LLMuxReasoning off
    </Location>
    <Location "/named">
        SetHandler llmux
        LLMuxResponseModel requested
    </Location>
END
}

# ---- asking

my %with_key = (Authorization => "Bearer $key");
my $httpd;

# The response, and the requests that it took.
sub ask
{
    my ($path, $body, %headers) = @_;
    my $before = () = $mock->requests;
    my $res = post($httpd, $path, $body, headers => { %with_key, %headers });
    my @seen = $mock->requests;

    return ($res, @seen[$before .. $#seen]);
}

# At this mount, through this door; what the client heard comes first.
sub knock
{
    my ($mount, $door, $q) = @_;
    my $d = $doors{$door};
    my ($res, @rq) = ask($mount . $d->{path}->($q->{model}, $q->{stream}),
                         $d->{ask}->($q), %{ $d->{headers} || {} });

    return (LLMux::Matrix::hear($door, $q, $res), $res, @rq);
}

sub question
{
    my ($name, $what, $form) = @_;
    return { %{ $form->[1] }, model => alias($name, $what, $form->[0]),
             user => [{ text => 'The weather?' }], effort => 'low',
             tools => [$weather], max => 9000 };
}

# What is left of an answer that shows no reasoning.
sub rest
{
    my ($heard) = @_;
    my @calls = map { [@$_{qw(name args)}] } @{ $heard->{calls} || [] };
    return { calls => \@calls, map { $_ => $heard->{$_} } qw(text end usage) };
}

# All that is parsed of a response.
sub documents
{
    my ($res, $stream) = @_;
    return $stream ? map { $_->{json} || () } $res->events : $res->json;
}

# ---- reasoning that is not shown

# How seals begin, for Gemini's clients in base64.
my $seals = qr/gw2\.|Z3cyL/;

# Names of what holds it, in any dialect; counts are no such thing.
my $shown = qr/ZZZ|$seals|reasoning_content|reasoning_details|summary_text|
    "thinking"|signature|encrypted_content":"|"thought"|
    "type":\s*"(?:reasoning|thinking|redacted_thinking)"/x;

# A signature of Gemini's, which says nothing: it is demanded back with a call.
# It stays wherever it can stand without a thought.
my %kept = (
    chat => qr/"extra_content":\{"google":\{"thought_signature":"[^"]+"\}\}/,
    responses => qr/\{[^{}]*"reasoning","summary":\[\],[^{}]*"gw2\.[^{}]*\}/,
    generateContent => qr/"thoughtSignature":"[^"]+"/,
);
# What the request said is said again.
my $echo = qr/"reasoning":\{"effort"[^{}]*\}|"include":\[[^\]]*\]/;

# Gemini's own clients have it on texts as well.
sub keeps
{
    my ($door, $name, $what) = @_;
    return $name eq 'gemini' && $kept{$door}
        && ($what eq 'call' || $door eq 'generateContent');
}

# Takes that away, and says whether it was there.
sub without_kept
{
    my ($door, $body) = @_;
    my $had = $kept{$door} ? $body =~ s/$kept{$door}//g : 0;

    return ($body =~ s/$echo//gr, $had ? 1 : 0);
}

sub hides
{
    my ($door, $name, $what, $form) = @_;
    my $q = question($name, $what, $form);
    my ($open, $res) = knock('', $door, $q);
    my $title = "$what, $form->[0]";
    # A text has no place for it, and no tools.
    my $said = $door eq 'completions' ? '' : 'Z' x 25;

    is $open->{thoughts} // '', $said, "$title: is shown by itself"
        or diag $res->body;
    my ($heard, $quiet) = knock('/quiet', $door, $q);
    is $quiet->status, 200, '... and asked for in silence'
        or diag $quiet->body;
    is $heard->{thoughts} // '', '', '... is not there';
    my ($body, $kept) = without_kept($door, $quiet->body);
    unlike $body, $shown, '... nor what belongs to it';
    is $kept, keeps($door, $name, $what) ? 1 : 0,
        "... but for what Gemini's calls cannot be without"
        or diag $quiet->body;
    is_deeply rest($heard), rest($open), '... all else is' or diag
        $quiet->body;
    return $heard;
}

# What follows a call that was heard, and its result.
sub second_question
{
    my ($door, $name, $form, $heard) = @_;
    my $q = question($name, again => $form);

    return { %$q, user => undef, turns => [[user => $q->{user}],
        $doors{$door}{turn}->($heard),
        [results => [{ %{ $heard->{calls}[0] }, text => '12 degrees' }]]] };
}

# Nobody can send back what he was not given: the turn goes on without it.
sub goes_on
{
    my ($door, $name, $form, $heard) = @_;
    my ($second, $res) = knock('/quiet', $door,
        second_question($door, $name, $form, $heard));

    is $second->{text}, 'It rains.', "$form->[0]: the second turn is answered"
        or diag $res->body;
}

# Claude may insist on a thought before a call, which the client never saw.
sub missed
{
    my ($door) = @_;
    my ($heard) = knock('/quiet', $door, question('anthropic', call =>
                                                $forms[0]));
    my $q = second_question($door, anthropic => $forms[0], $heard);

    $mock->rules({ path => '/messages$', times => 1, do => { status => 400,
        json => { type => 'error', error => { type => 'invalid_request_error',
            message => 'messages.1.content.0.type: Expected `thinking` or '
                . '`redacted_thinking`, but found `tool_use`.' } } } },
        @rules);
    my ($second, $res, @rq) = knock('/quiet', $door, $q);
    is $second->{text}, 'It rains.', "$door: the client does not notice"
        or diag $res->body;
    is scalar @rq, 2, '... for it is asked again';
    $mock->rules(@rules);
}

sub all_hidden
{
    for my $door (@doors) {
        for my $name (@providers) {
            subtest "LLMuxReasoning off: $door to $name" => sub {
                for my $form (@forms) {
                    hides($door, $name, talk => $form);
                    next if !$doors{$door}{turn};
                    my $heard = hides($door, $name, call => $form);
                    goes_on($door, $name, $form, $heard);
                }
            };
        }
    }
}

# ---- the model's name

# Every name of a model that stands in it, at any depth.
sub names
{
    my ($x) = @_;

    return map { names($_) } @$x if ref $x eq 'ARRAY';
    return if ref $x ne 'HASH';
    return map { /^model(?:Version)?$/ ? $x->{$_} : names($x->{$_}) }
        sort keys %$x;
}

sub only_name
{
    my ($res, $stream) = @_;
    my %seen = map { ($_ // 'null') => 1 } names([documents($res, $stream)]);

    return join ' ', sort keys %seen;
}

sub named
{
    my ($door, $name, $form) = @_;
    my $q = question($name, again => $form);
    my ($heard, $res) = knock('', $door, $q);
    my $theirs = $name =~ /^(?:bedrock|cohere)$/ ? model($name, 'again',
        $form->[0]) : 'matrix';

    is only_name($res, $q->{stream}), $theirs, "$form->[0]: the provider's";
    ($heard, $res) = knock('/named', $door, $q);
    is only_name($res, $q->{stream}), $q->{model}, '... the one asked for';
    is $heard->{text}, 'It rains.', '... and the answer' or diag $res->body;
    return $res;
}

sub all_named
{
    for my $door (@doors) {
        for my $name (@providers) {
            subtest "LLMuxResponseModel: $door to $name" => sub {
                named($door, $name, $_) for @forms;
            };
        }
    }
}

# A name in all chunks, not in some of them.
sub chunks_named
{
    my %where = (chat => 'model', completions => 'model',
                 generateContent => 'modelVersion');

    for my $door (sort keys %where) {
        for my $name (qw(chat gemini)) {
            my $q = question($name, again => $forms[1]);
            my ($heard, $res) = knock('/named', $door, $q);
            my @without = grep { ($_->{ $where{$door} } // '') ne $q->{model} }
                documents($res, 1);
            is scalar @without, 0, "$door to $name: each chunk has it"
                or diag $res->body;
        }
    }
}

# [path, body, the name that is asked for]
my @ways = (
    ['/openai/deployments/our-chat-again-whole/chat/completions',
     { messages => [{ role => 'user', content => 'Hi' }] },
     'our-chat-again-whole'],
    ['/openai/v1/responses', { model => 'our-anthropic-again-whole',
                               input => 'Hi' }, 'our-anthropic-again-whole'],
    ['/v1/chat/completions', chat('anthropic/' . model('anthropic', 'again',
        'whole'), 'Hi'), 'anthropic/' . model('anthropic', 'again', 'whole')],
    ['/v1/chat/completions', chat('our-first', 'Hi'), 'our-first'],
    ['/v1/completions', { model => 'local/m', prompt => 'Hi' }, 'local/m'],
    ['/v1beta/models/our-gemini-again-stream:streamGenerateContent',
     { contents => [{ role => 'user', parts => [{ text => 'Hi' }] }] },
     'our-gemini-again-stream'],
);

sub ways_named
{
    for my $way (@ways) {
        my ($path, $body, $want) = @$way;
        my ($res) = ask("/named$path", $body);
        is only_name($res), $want, "$path: $want" or diag $res->body;
        ($res) = ask($path, $body);
        isnt only_name($res), $want, '... only where it is wanted';
    }
}

# [format, what is asked for, the vector]; the mock obeys but for numbers.
my @spellings = (
    [float => 'obey', \@vector],
    [base64 => 'obey', bytes(@vector)],
    [base64 => 'say numbers', bytes(@vector)],
);

sub vectors_named
{
    my ($path, $model, $spelling) = @_;
    my ($format, $words, $want) = @$spelling;
    my %body = (model => $model, input => $words, encoding_format => $format);

    for my $mount ('', '/named') {
        my ($res) = ask("$mount$path", \%body);
        my ($said) = @{ $res->json->{data} || [{}] };
        my $is_ours = ($res->json->{model} // '') eq $model;

        is_deeply $said->{embedding}, $want, "$mount$path: $format, $words"
            or diag $res->body;
        is $is_ours, !!$mount, '... by the right name' or diag $res->body;
    }
}

sub all_vectors_named
{
    my ($name) = @_;
    my $model = alias($name, 'plain');

    for my $spelling (@spellings) {
        vectors_named($_, $model, $spelling)
            for '/v1/embeddings', "/openai/deployments/$model/embeddings";
    }
}

# ---- keys of seals

my %seal = (a => 'a' x 64, b => 'b' x 64, c => encode_base64('c' x 32, ''));

# Doors, and makers of tokens who are strangers to them.
my @carriers = ([chat => 'anthropic'], [responses => 'anthropic'],
                [generateContent => 'anthropic'], [messages => 'gemini'],
                [chat => 'responses'], [chat => 'gemini']);

sub title { return "$_[0][0] with a token of $_[0][1]" }

# Takes up as many conversations as there are carriers and forms.
sub first_turns
{
    my ($kid) = @_;
    my @talks;

    for my $carrier (@carriers) {
        my ($door, $name) = @$carrier;
        for my $form (@forms) {
            my ($heard, $res) = knock('', $door, question($name, call =>
                                                          $form));
            my $coded = substr encode_base64("gw2.$kid."), 0, 10;
            like $res->body, qr/gw2\.$kid\.|\Q$coded\E/, title($carrier)
                . ", $form->[0]: sealed with '$kid'" or diag $res->body;
            push @talks, [$carrier, $form, $heard];
        }
    }
    return @talks;
}

# Goes on with one. Gives the tokens that the provider saw, and the response.
sub second_turn
{
    my ($carrier, $form, $heard) = @{ $_[0] };
    my ($door, $name) = @$carrier;
    my ($second, $res, $rq) = knock('', $door,
        second_question($door, $name, $form, $heard));

    is $second->{text}, 'It rains.', title($carrier) . ", $form->[0]"
        or diag $res->body;
    unlike $rq->{body}, $seals, '... no seal goes up';
    return ([grep { defined } @{ $providers{$name}{read}->($rq)->{tokens} }],
            $res);
}

sub opens
{
    my ($talk) = @_;
    my ($tokens, $res) = second_turn($talk);

    is_deeply $tokens, [LLMux::Matrix::token($talk->[0][1], 'rotation')],
        '... opened' or diag $res->header('X-LLMux-Warnings') // '';
    return;
}

sub stays_shut
{
    my ($talk) = @_;
    my ($tokens, $res) = second_turn($talk);
    my $token = LLMux::Matrix::token($talk->[0][1], 'rotation');

    is scalar(grep { $_ eq $token } @$tokens), 0, '... not opened';
    like $res->header('X-LLMux-Warnings') // '', qr/reasoning_content/,
        '... and told';
    return;
}

sub rotation
{
    my @old = first_turns('old');

    ok $httpd->graceful(conf("new file:__DIR__/new.key", "old $seal{a}")),
        'a new key in front';
    opens($_) for @old;
    my @new = first_turns('new');
    opens($_) for @new;

    ok $httpd->graceful(conf("c env:SEAL_KEY", "new $seal{b}")),
        'the oldest taken away';
    stays_shut($_) for @old;
    opens($_) for @new;

    ok $httpd->graceful(conf("new $seal{a}")), 'another one of the same id';
    stays_shut($_) for @new;

    ok $httpd->graceful(conf("new $seal{b}", "old $seal{a}")),
        'the first ones again';
    opens($_) for @old, @new;
    return;
}

# [why it is refused, the lines]
my @bad_keys = (
    [qr/32 bytes/, 'short ' . 'a' x 62],
    [qr/32 bytes/, 'odd ' . 'g' x 64],
    [qr/two keys of the id 'a'/, "a $seal{a}", "a $seal{b}"],
    [qr/letters, digits/, "a.b $seal{a}"],
    [qr/letters, digits/, 'seventeen-letters ' . $seal{a}],
    [qr/more than 16/, map { "k$_ $seal{a}" } 1 .. 17],
    [qr/SETTINGS_NONE/, 'a env:SETTINGS_NONE'],
);

# ---- where a client may put his key

my %claude = ('anthropic-version' => '2023-06-01');
my @words = (messages => [{ role => 'user', content => 'Hi there' }]);
my $content = { parts => [{ text => 'Hi there' }] };
my $ours = 'our-gemini-plain';
my $beta = "/v1beta/models/$ours";

# [path, what is asked, more headers]
my @endpoints = (
    ['/v1/completions', { model => 'local/m', prompt => 'Hi' }],
    ['/v1/completions', { model => 'our-anthropic-plain',
                          prompt => 'Hi' }],
    ['/v1/embeddings', { model => 'our-chat-plain', input => 'a' }],
    ['/openai/deployments/local%2Fm/completions', { prompt => 'Hi' }],
    ['/openai/deployments/our-chat-plain/embeddings', { input => 'a' }],
    ['/v1/messages/count_tokens', { model => $ours, @words }, %claude],
    ['/v1/messages/count_tokens', { model => 'our-anthropic-plain',
                                    @words }, %claude],
    ['/v1/responses/input_tokens', { model => 'our-responses-plain',
                                     input => 'Hi' }],
    ["$beta:countTokens", { contents => [{ role => 'user', %$content }] }],
    ["$beta:embedContent", { content => $content }],
    ["$beta:batchEmbedContents", { requests => [{ content => $content }] }],
);

# [title, where it stands, in the query], each with the key in place of KEY
my @places = (
    ['Authorization: Bearer', { Authorization => 'Bearer KEY' }],
    ['Authorization: bearer', { Authorization => 'bearer KEY' }],
    ['Authorization', { Authorization => 'KEY' }],
    ['x-api-key', { 'x-api-key' => 'KEY' }],
    ['api-key', { 'api-key' => 'KEY' }],
    ['x-goog-api-key', { 'x-goog-api-key' => 'KEY' }],
    ['?key=', {}, '?key=KEY'],
    ["x-api-key, beside another server's password",
     { Authorization => 'Basic dTpw', 'x-api-key' => 'KEY' }],
);
my @wrong = (
    ['another key', 'llmux-settings-kez'], ['more of it', "${key}s"],
    ['less of it', substr $key, 0, -1], ['a sealed one', 'gw2.a.b'],
);

sub show
{
    my ($endpoint, $place, $shown) = @_;
    my ($path, $body, %more) = @$endpoint;
    my ($title, $headers, $query) = @$place;
    my %headers = map { $_ => $headers->{$_} =~ s/KEY/$shown/r }
        keys %$headers;
    my $before = () = $mock->requests;
    my $res = post($httpd, $path . ($query // '') =~ s/KEY/$shown/r, $body,
                   headers => { %headers, %more });
    my @seen = $mock->requests;

    return ($res, @seen[$before .. $#seen]);
}

sub lets_in
{
    my ($endpoint) = @_;

    for my $place (@places) {
        my ($res, $rq) = show($endpoint, $place, $key);
        is $res->status, 200, $place->[0] or diag $res->body;
        ok $rq, '... a provider is asked';
        unlike to_json($rq), qr/\Q$key\E|dTpw/, '... and told no key of ours';
    }
}

# In the words of its own dialect.
sub refusal_of
{
    my ($path, $body) = @_;
    my $error = $body->{error};

    return $error->{status} if $path =~ /v1beta/;
    return "$body->{type}: $error->{type}" if $path =~ /messages/;
    return $error->{code};
}

sub keeps_out
{
    my ($endpoint) = @_;
    my $path = $endpoint->[0];
    my $want = $path =~ /v1beta/ ? 'UNAUTHENTICATED'
        : $path =~ /messages/ ? 'error: authentication_error'
        : 'invalid_api_key';
    my @tries = ((map { [$_, $wrong[0][1], $_->[0]] } @places),
                 (map { [$places[3], $_->[1], $_->[0]] } @wrong[1 .. $#wrong]),
                 [['no key', {}], '', 'no key']);

    for my $try (@tries) {
        my ($place, $shown, $title) = @$try;
        my ($res, @rq) = show($endpoint, $place, $shown);
        is $res->status, 401, "$title: kept out" or diag $res->body;
        is refusal_of($path, $res->json), $want, '... in its words';
        is scalar @rq, 0, '... and nobody is asked';
    }
}

# ----------------------------------------------------------------------

$httpd = httpd(conf => conf("old $seal{a}"), env => { SEAL_KEY => $seal{c} });
spew($httpd->dir . '/new.key', "$seal{b}\n");

all_hidden();
subtest 'LLMuxReasoning off: a thought is missed' => sub {
    missed($_) for qw(chat messages responses);
};
all_named();
subtest 'LLMuxResponseModel: each chunk' => \&chunks_named;
subtest 'LLMuxResponseModel: other ways' => \&ways_named;
for my $name (qw(chat gemini cohere ollama)) {
    subtest "LLMuxResponseModel: vectors of $name" => sub {
        all_vectors_named($name);
    };
}
for my $endpoint (@endpoints) {
    my ($path, $body) = @$endpoint;
    subtest join(' ', 'keys:', $path, $body->{model} // ()) => sub {
        lets_in($endpoint);
        keeps_out($endpoint);
    };
}
unlike $httpd->access_text, qr/\Q$key\E/, 'no key is in the log';
for my $case (@bad_keys) {
    my ($why, @lines) = @$case;
    my ($status, $out) = conf_test(join "\n", map { "LLMuxSealKey $_" }
                                   @lines);
    isnt $status, 0, "LLMuxSealKey @{[ substr $lines[0], 0, 20 ]}: refused";
    like $out, $why, '... and why';
}
subtest 'LLMuxSealKey: rotation' => \&rotation;

# The mock says 500 as it is told.
done_clean($httpd, allow => [qr{LX0021: }]);
done_testing;
