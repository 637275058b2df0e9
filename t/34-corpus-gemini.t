# 34-corpus-gemini.t - recorded traffic, seen from Gemini's front door: a
# request of Google's API that is read and written again says the same, and
# passes byte for byte where nothing must change; any provider's answer is one that a
# client of that API can take, whole, streamed and as an array.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;

# The dialect that each API is decoded with.
my %dialects = (
    'openai-chat' => 'openai',
    'anthropic-messages' => 'anthropic',
    'gemini-generate' => 'gemini',
);

# What is refused, since no other provider could serve it or Google itself
# does not: by the member that the error names.
my @refused = (
    [qr/^cachedContent$/ => qr/"cachedContent"/],
    [qr/^tools\[\d\]\./ => qr/code_?execution|file_?search|url_?context/i],
    [qr/^web_search_options$/ => qr/google_?search.*function_?declarations
        |function_?declarations.*google_?search/xi],
    [qr/^contents\[0\]\.role$/ => qr/"invalid_role"/],
    [qr/^generationConfig\.temperature$/ => qr/"temperature":\s*1000/],
);

# ---- one form for what means the same

# JSON in a string of characters; undef if it is none.
sub parsed
{
    my ($text) = @_;

    utf8::encode($text);
    return eval { from_json($text) };
}

# Both spellings, but not of what the client itself has named.
my %opaque = map { $_ => 1 } qw(args response parameters parametersJsonSchema
    responseSchema responseJsonSchema);

sub camel
{
    my ($v) = @_;

    return [map { camel($_) } @$v] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';
    my %new;
    for my $name (keys %$v) {
        my $new = $name =~ s/_([a-z])/\u$1/gr;
        $new{$new} = $opaque{$new} ? $v->{$name} : camel($v->{$name});
    }
    return \%new;
}

sub list
{
    my ($v) = @_;
    return ref $v eq 'ARRAY' ? @$v : defined $v ? $v : ();
}

# What was a string in one of them and a number in the other is one number.
sub number { return defined $_[0] ? 0 + $_[0] : undef }

# JSON Schema and Google's own, as far as they say the same.
sub schema
{
    my ($v) = @_;

    return [map { schema($_) } @$v] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';
    my %new;
    for my $name (keys %$v) {
        my $new = $name =~ /^(?:any|min|max|one|all)_/
            ? $name =~ s/_([a-z])/\u$1/gr : $name;
        next if $name =~ /^(?:nullable|property_?[oO]rdering|\$schema)$/;
        my $value = $v->{$name};
        if ($new eq 'type' && !ref $value) {
            $value = lc $value;
            $value = [$value, 'null'] if $v->{nullable};
        }
        $new{$new} = $new eq 'properties'
            ? { map { $_ => schema($value->{$_}) } keys %$value }
            : $new =~ /^(?:min|max)[A-Z]/ ? number($value)
            : schema($value);
    }
    return \%new;
}

# "An object" says nothing.
sub parameters
{
    my ($schema) = @_;

    return if !$schema || !grep { $_ !~ /^(?:type|title|description|properties
        |required|additionalProperties)$/x
        || ($_ eq 'properties' && %{ $schema->{properties} }) } keys %$schema;
    return schema($schema);
}

# A response as the one text that the model is told.
sub response
{
    my ($v) = @_;
    my ($name) = keys %$v == 1 ? keys %$v : '';
    my $value = $name =~ /^(?:output|error)$/ ? $v->{$name} : $v;
    my $data = ref $value ? $value : parsed("$value");

    return ($name eq 'error' ? 'error: ' : '')
        . (ref $data ? to_json($data) : $value);
}

# Either alphabet. What the bytes show counts more than what was said of them,
# and it was never said wrong by more than the format.
sub data
{
    my ($data) = @_;

    $data->{mimeType} =~ s{/.*}{} if $data->{data};
    $data->{data} =~ tr{-_}{+/} if $data->{data};
    delete $data->{displayName};
    return;
}

sub code
{
    my ($part) = @_;
    my ($code, $output) = @$part{qw(executableCode codeExecutionResult)};

    return "\n```python\n$code->{code}\n```\n" if $code;
    return $output ? "\n```\n$output->{output}\n```\n" : undef;
}

# Parts as they count. A signature that stands for none is none, and it may
# move from a part to the next.
sub parts
{
    my ($content) = @_;
    my (@parts, @signatures);

    for my $part (map { { %$_ } } list($content->{parts})) {
        my $signature = delete $part->{thoughtSignature} // '';
        push @signatures, $signature if $signature !~ /^(?:|skip_.*)$/;
        my $text = code($part) // $part->{text};
        next if $part->{thought} || $part->{toolCall} || $part->{toolResponse};
        if (defined $text) {
            next if $text eq '';
            if (@parts && $parts[-1]{text} && $content->{role} eq 'model') {
                $parts[-1]{text} .= $text;
                next;
            }
            $part = { text => $text };
        }
        delete $part->{$_}{id} for grep { $part->{$_} }
            qw(functionCall functionResponse);
        if (my $call = $part->{functionCall}) {
            $call->{args} //= {};
        }
        if (my $result = $part->{functionResponse}) {
            $result->{response} = response($result->{response});
        }
        data($part->{$_}) for grep { $part->{$_} } qw(inlineData fileData);
        push @parts, $part;
    }
    return { role => $content->{role}, parts => \@parts,
             signatures => \@signatures };
}

# Neighbours of one role are one turn.
sub contents
{
    my @turns;

    for my $content (map { parts({ role => 'user', %$_ }) } @_) {
        $content->{role} = 'user' if $content->{role} eq 'function';
        if (@turns && $turns[-1]{role} eq $content->{role}) {
            push @{ $turns[-1]{$_} }, @{ $content->{$_} }
                for qw(parts signatures);
        }
        elsif (@{ $content->{parts} }) {
            push @turns, $content;
        }
    }
    return \@turns;
}

sub config
{
    my ($v) = @_;
    my %config = %{ $v // {} };
    my $schema = delete $config{responseJsonSchema};
    my $thinking = $config{thinkingConfig};

    $schema = delete $config{responseSchema} if exists $config{responseSchema};
    $config{responseJsonSchema} = schema($schema) if $schema;
    $config{$_} = number($config{$_}) for grep { defined $config{$_} }
        qw(temperature topP topK seed maxOutputTokens candidateCount);
    delete $config{candidateCount} if ($config{candidateCount} // 1) == 1;
    delete $config{responseModalities}
        if to_json($config{responseModalities} // []) eq '["TEXT"]';
    if ($thinking) {
        $thinking->{thinkingLevel} = uc $thinking->{thinkingLevel}
            if $thinking->{thinkingLevel};
        delete $thinking->{includeThoughts} if !$thinking->{includeThoughts};
        delete $config{thinkingConfig} if !%$thinking;
    }
    return \%config;
}

sub tools
{
    my (@functions, @others);

    for my $tool (@_) {
        for my $function (list($tool->{functionDeclarations})) {
            my $schema = parameters($function->{parametersJsonSchema}
                // $function->{parameters});
            push @functions, { name => $function->{name},
                ($function->{description} // '') ne ''
                    ? (description => $function->{description}) : (),
                $schema ? (schema => $schema) : () };
        }
        push @others, grep { $_ ne 'functionDeclarations' } keys %$tool;
    }
    return { functions => \@functions, others => [sort @others] };
}

sub choice
{
    my ($v, $tools) = @_;
    my $config = ($v // {})->{functionCallingConfig};

    return if !$config || !@{ $tools->{functions} };
    return { mode => $config->{mode},
             names => [sort @{ $config->{allowedFunctionNames} // [] }] };
}

sub system_text
{
    my ($v) = @_;
    return [grep { $_ ne '' } map { $_->{text} } list(($v // {})->{parts})];
}

sub request_form
{
    my ($v) = @_;
    my $body = camel($v);
    my $tools = tools(list($body->{tools}));

    return {
        system => system_text($body->{systemInstruction}),
        contents => contents(list($body->{contents})),
        config => config($body->{generationConfig}),
        tools => $tools,
        choice => [choice($body->{toolConfig}, $tools)],
    };
}

# ---- the program

my $corpus;

sub program
{
    my $program = build() . '/tools/gemini_front';
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    return $program if ok($status eq '0', 'the program builds');
    diag($out);
    return;
}

# One answer for each job, in order; fewer if the program fell.
sub answers
{
    my ($program, @jobs) = @_;
    my $dir = temp_dir('gemini');

    spew("$dir/jobs", join '', map { join("\t", @$_) . "\n" } @jobs);
    my ($status, $out) = run(['/bin/sh', '-c', 'exec "$1" <"$2"', 'sh',
        $program, "$dir/jobs"], timeout => 300,
        env => LLMux::Units::sanitizers());
    my @answers = map { eval { from_json($_) } } split /\n/, $out;

    is $status, 0, 'it did all of its work'
        or diag(join "\n", grep { !/^\{/ } split /\n/, $out);
    drop_dir($dir);
    return @answers;
}

# ---- requests

# Models that know levels get the one that a number of tokens comes next to.
sub near
{
    my ($got, $want) = @_;
    my ($g, $w) = map { $_->{config}{thinkingConfig} } $got, $want;

    $w->{thinkingLevel} = $g->{thinkingLevel}
        if $g && $w && $g->{thinkingLevel} && delete $w->{thinkingBudget};
    return map { to_json($_) } $got, $want;
}

sub request_tests
{
    my ($program, @cases) = @_;
    my @got = answers($program, map { ['request', 'gemini',
        $_->{model} || 'gemini-2.5-flash', "$corpus->{dir}/$_->{request_file}"]
        } @cases);
    my ($said, $no) = (0, 0);

    is scalar @got, scalar @cases, 'every recorded request was read';
    for my $i (0 .. $#got) {
        my ($case, $got) = ($cases[$i], $got[$i]);
        my $bytes = $corpus->request($case);
        my $name = $case->{request_file};

        ok($got->{passes}, "$name passes byte for byte")
            if $case->{status} == 200;
        if ($got->{refused}) {
            my @why = grep { $got->{param} =~ $_->[0] && $bytes =~ /$_->[1]/s }
                @refused;
            ok(@why == 1, "$name is refused: $got->{param}")
                or diag($got->{message});
            $no++;
            next;
        }
        my ($g, $w) = near(request_form(parsed($got->{written})),
                           request_form(from_json($bytes)));
        is($g, $w, "$name says the same");
        $said++;
    }
    diag("$said requests read and written, $no refused");
    return;
}

# ---- answers

sub mode
{
    my ($case) = @_;
    return $case->{streaming} eq 'sse' ? 'stream' : 'whole';
}

# Id and model, candidates, usage, error.
sub sections { return split /\x01/, $_[0], -1 }

# What of an answer is the same in every dialect.
sub common
{
    return [grep { /^(?:text|thoughts|tokens|calls|cites|others) ?/ }
        sections($_[0])];
}

sub answer_wrong
{
    my ($dialect, $got) = @_;
    my $failed = (sections($got->{first}))[-1] ne '';
    my @forms = $failed ? qw(stream array) : qw(whole stream array);
    my ($want, @rest) = map { $got->{$_} } @forms;
    my @wrong;

    push @wrong, 'the forms differ' if grep { $_ ne $want } @rest;
    push @wrong, "an SDK finds $got->{fault}" if $got->{fault};
    return @wrong if $failed;
    push @wrong, 'it says something else'
        if to_json(common($want)) ne to_json(common($got->{first}));
    push @wrong, 'it is not the same answer' if $dialect eq 'gemini'
        && $want ne $got->{first} =~ s/^ /ours /r;
    return @wrong;
}

sub answer_tests
{
    my ($program, @cases) = @_;
    my @got = answers($program, map { [mode($_), $dialects{ $_->{api} }, 'm',
                                       $_->{path}] } @cases);

    is scalar @got, scalar @cases, 'every recorded answer was said anew';
    for my $i (0 .. $#got) {
        my @wrong = answer_wrong($dialects{ $cases[$i]{api} }, $got[$i]);

        ok(!@wrong, $cases[$i]{file})
            or diag(join "\n", @wrong, substr to_json($got[$i]), 0, 3000);
    }
    diag(scalar(@got) . ' answers decoded, encoded and decoded again');
    return;
}

# ---- all of it

$corpus = corpus_or_skip();
alarm patience(600);
my $program = program();
if ($program) {
    request_tests($program, grep { $_->{request_file} }
        $corpus->cases(api => 'gemini-generate'));
    answer_tests($program, grep { $_->{kind} ne 'error' }
        $corpus->cases(api => [sort keys %dialects]));
}
done_testing;
