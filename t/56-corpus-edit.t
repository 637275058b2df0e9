# 56-corpus-edit.t - every recorded request goes to a provider of its own
# dialect byte for byte but for what that provider must be told otherwise; for
# another model, the model's name is all that changes.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Jobs;

# The dialect of each API's requests.
my %dialects = (
    'openai-chat' => 'openai',
    'openai-responses' => 'responses',
    'anthropic-messages' => 'anthropic',
    'gemini-generate' => 'gemini',
    'openai-completions' => 'completions',
    'openai-embeddings' => 'embeddings',
    'gemini-embeddings' => 'gemini-batch-embed',
    'anthropic-count-tokens' => 'anthropic-count',
    'gemini-count-tokens' => 'gemini-count',
    'openai-input-tokens' => 'responses-count',
);

# Those who have the model in the path.
my %in_path = map { $_ => 1 } qw(gemini gemini-count gemini-batch-embed);

# Another model that a request may go to. Gemini's newer ones demand signatures
# of older turns, which is not what is asked here.
my %others = (gemini => 'gemini-2.5-pro', '' => 'another-model');

# What we refuse before anybody is asked, and why that is right.
my %refused = (
    'openai-chat/openai-error-400-04.request.json' =>
        ['messages', 'There are none; OpenAI refused it as well.'],
    'openai-responses/openai-background-03.request.json' =>
        ['background', 'Its answer would have to be asked for later.'],
    'openai-responses/openai-background-04.request.json' =>
        ['background', 'Its answer would have to be asked for later.'],
);

# ---- members, found by a walk through the text

# Where the name and the value of a member begin and how long they are: two
# spans, or nothing if there is no such member.
sub member
{
    my ($text, $name) = @_;
    my $string = qr/"[^"\\]*(?:\\.[^"\\]*)*"/;
    my ($depth, $before, @key) = (0, '');

    pos($text) = 0;
    while ($text =~ /\G\s*($string|[][{}:,]|[^][{}:,"\s]+)/gc) {
        my ($token, $from, $length) = ($1, $-[1], $+[1] - $-[1]);
        return (\@key, [$from, $length])
            if $depth == 1 && $before eq ':'
                && substr($text, $key[0], $key[1]) eq qq("$name");
        @key = ($from, $length) if $depth == 1 && $token =~ /^"/;
        $depth++ if $token =~ /^[[{]/;
        $depth-- if $token =~ /^[]}]/;
        $before = $token;
    }
    return;
}

sub replaced
{
    my ($text, $span, $new) = @_;

    substr $text, $span->[0], $span->[1], $new;
    return $text;
}

# ---- what is due

# A stream without its usage cannot be counted.
sub with_usage
{
    my ($bytes, $body) = @_;
    my ($name, $model) = member($bytes, 'model');

    return $bytes if !$body->{stream} || $body->{stream_options};
    return replaced($bytes, [$model->[0] + $model->[1], 0],
                    ',"stream_options":{"include_usage":true}');
}

# OpenAI's models that reason know the limit by its newer name only.
sub with_limit
{
    my ($bytes, $body, $model) = @_;
    my ($name) = member($bytes, 'max_tokens');

    return $bytes if $model !~ /^(?:o[134]|gpt-5)/ || !$name
        || defined $body->{max_completion_tokens};
    return replaced($bytes, $name, '"max_completion_tokens"');
}

# The bytes for this model. Where the path has the model, the body does not
# change with it, unless it has one for each request of a batch.
sub due
{
    my ($dialect, $bytes, $model) = @_;
    my (undef, $span) = member($bytes, 'model');
    my $body = from_json($bytes);

    return $bytes =~ s{("model": ?)"models/[^"]*"}{$1"models/$model"}gr
        if $dialect eq 'gemini-batch-embed';
    return $bytes if $in_path{$dialect};
    $bytes = $span ? replaced($bytes, $span, qq("$model"))
        : $bytes =~ s/^(\s*\{)/$1"model":"$model",/r;
    return with_usage($bytes, $body) if $dialect eq 'completions';
    return $bytes if $dialect ne 'openai';
    return with_limit(with_usage($bytes, $body), $body, $model);
}

# Google counts what is more than contents in an envelope only, which names the
# model, and there it goes to the front: the same in JSON, not in bytes. Nothing
# if the bytes are to stay.
sub enveloped
{
    my ($dialect, $bytes, $model) = @_;
    my $body = from_json($bytes);
    my $request = $body->{generateContentRequest} // $body;

    return if $dialect ne 'gemini-count'
        || join(' ', keys %$body) eq 'contents';
    return { generateContentRequest =>
             { %$request, model => "models/$model" } };
}

# ---- all of it

# Vertex has an API of its own for vectors, by which no client comes.
sub has_door
{
    my ($case) = @_;

    return $case->{provider} ne 'vertex'
        || $dialects{ $case->{api} } ne 'gemini-batch-embed';
}

# A request, and what is known of it.
sub request_of
{
    my ($dir, $case) = @_;
    my $bytes = slurp("$dir/$case->{request_file}");
    my $dialect = $dialects{ $case->{api} };
    my $model = from_json($bytes)->{model};

    return { file => $case->{request_file}, bytes => $bytes,
             dialect => $dialect, path => "$dir/$case->{request_file}",
             model => $model // ($case->{model} || 'a-model'),
             in_path => !defined $model,
             other => $others{$dialect} // $others{''} };
}

# Where they part, for people.
sub differs
{
    my ($got, $want) = @_;
    my $mask = $got ^ $want;
    my $at = $mask =~ /^\0*/ ? $+[0] : 0;
    my $from = $at > 30 ? $at - 30 : 0;

    return join "\n", map { substr $_, $from, 120 } $got, $want;
}

sub same_request
{
    my ($got, $r, $model) = @_;
    my @of = ($r->{dialect}, $r->{bytes}, $model);
    my $name = "$r->{file} for $model";
    my $want = due(@of);

    utf8::encode($got);
    if (my $enveloped = enveloped(@of)) {
        return is(to_json(from_json($got)), to_json($enveloped), $name);
    }
    return ok($got eq $want, $name) || diag(differs($got, $want));
}

my $corpus = corpus_or_skip();
alarm patience(300);
my %cases = map { ($_->{request_file} => $_) }
    grep { $_->{request_file} && has_door($_) }
    $corpus->cases(api => [sort keys %dialects]);
my @requests = map { request_of($corpus->{dir}, $cases{$_}) }
    sort keys %cases;
my @got = tool('edit')->answers(map {
    [$_->{dialect}, $_->{in_path} ? $_->{model} : '-', $_->{other}, $_->{path}]
} @requests);
my $changed = 0;

for my $i (0 .. $#got) {
    my ($r, $got) = ($requests[$i], $got[$i]);
    my $file = $r->{file};

    if (my $why = delete $refused{$file}) {
        is $got->{param}, $why->[0], "$file is refused: $why->[1]";
        next;
    }
    if (defined $got->{message}) {
        fail("$file: $got->{message}");
        next;
    }
    $changed += due($r->{dialect}, $r->{bytes}, $r->{model}) ne $r->{bytes}
        || enveloped($r->{dialect}, $r->{bytes}, $r->{model}) ? 1 : 0;
    same_request($got->{same}, $r, $r->{model});
    same_request($got->{other}, $r, $r->{other});
}
is join(' ', sort keys %refused), '', 'every refusal is still one';
diag(scalar(@got) . " requests, $changed of them told more than they said");
done_testing;
