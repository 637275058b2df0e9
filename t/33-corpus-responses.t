# 33-corpus-responses.t - recordings of OpenAI's Responses go in by one door
# and out by the other: requests and answers mean the same as before, and a
# client can follow each stream.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Units;
use MIME::Base64;

# Where we and a recording differ, and why that is right. One that has gone must
# go from here too.
my %exceptions = (
    'openai-error-400-11.request.json' => 'A sound in input_file, which the'
        . ' API refuses; as input_audio it is known for what it is.',
    'openai-client-builtin-tool-03.sse' => 'Its pieces and its whole text are'
        . ' not the same: it was shortened by hand.',
    'openai-image-output-03.json' => 'The picture was shortened by hand and is'
        . ' none any more.',
);

# What is refused of the recorded requests, and why: the first word that the
# refusal is about.
my @refusals = (
    [qr/^Answers in the background/, sub { $_[0]{background} }],
    [qr/^'previous_response_id'/, sub { $_[0]{previous_response_id} }],
    [qr/^Tools of type/, sub { grep { hosted($_) } @{ $_[0]{tools} || [] } }],
    [qr/^Items of type/, sub { grep { foreign($_) } items($_[0]) }],
    [qr/^Invalid 'temperature'/, sub { $_[0]{temperature} < 0 }],
);

sub hosted { return $_[0]{type} !~ /^(?:function|custom|namespace|web_search)/ }

sub items { return ref $_[0]{input} ? @{ $_[0]{input} } : () }

sub foreign
{
    return ($_[0]{type} // '')
        =~ /^(?:compaction|code_interpreter_call|tool_search_\w+|shell_\w+)$/;
}

# ---- what a request means

# Text is the same as one part, and with or without what only its maker wrote
# into it.
sub parts
{
    my ($content) = @_;

    return [{ text => $content }] if !ref $content;
    return [map { part(%$_) } @$content];
}

sub part
{
    my (%part) = @_;

    return { text => $part{text} } if $part{type} =~ /^(?:in|out)put_text$/;
    return { text => "File $part{filename}:\n\n" . decode_base64($1) }
        if ($part{file_data} // '') =~ m{^data:text/[^,]*;base64,(.*)};
    $part{detail} = 'high' if ($part{detail} // '') eq 'original';
    return \%part;
}

sub item
{
    my %item = %{ $_[0] };
    my $type = $item{type} // 'message';

    delete @item{qw(id status type)};
    $item{role} = 'system' if ($item{role} // '') eq 'developer';
    $item{content} = parts($item{content}) if $type eq 'message';
    $item{output} = parts($item{output}) if exists $item{output};
    delete $item{content} if $type eq 'reasoning';
    return { %item, type => $type };
}

# Reasoning that nobody could read, and what the model looked up by itself.
sub says_nothing
{
    my ($item) = @_;

    return $item->{type} =~ /_search_call$/
        || $item->{type} eq 'reasoning'
            && !defined $item->{encrypted_content};
}

sub without_nulls
{
    my ($value) = @_;

    return $value if ref($value) !~ /^(?:HASH|ARRAY)$/;
    return [map { without_nulls($_) } @$value] if ref $value eq 'ARRAY';
    my %all = map { ($_ => without_nulls($value->{$_})) }
        grep { defined $value->{$_} } keys %$value;
    return \%all;
}

# A tool as it is meant: whether it is strict need not be said.
sub tool
{
    my %tool = %{ $_[0] };

    $tool{strict} ||= JSON::PP::false();
    $tool{type} =~ s/^web_search.*/web_search/;
    delete @tool{qw(strict external_web_access)} if $tool{type} ne 'function';
    return \%tool;
}

sub meaning
{
    my %m = %{ without_nulls($_[0]) };
    my @items = ref $m{input} ? @{ $m{input} }
        : { role => 'user', content => $m{input} };

    unshift @items, { role => 'system', content => $m{instructions} }
        if ($m{instructions} // '') ne '';
    $m{input} = [grep { !says_nothing($_) } map { item($_) } @items];
    $m{tools} = [map { tool($_) } @{ $m{tools} || [] }];
    delete $m{tool_choice} if !@{ $m{tools} };
    delete $m{stream} if !$m{stream};
    delete $m{reasoning} if !%{ $m{reasoning} || {} };
    # nothing is kept where answers cannot be asked for again
    delete @m{qw(instructions include store)};
    return to_json(\%m);
}

# ---- what an answer means

# A source whose place is not told is one for the whole text.
sub cites
{
    my ($text, @all) = @_;

    return [map {
        [$_->{url}, $_->{title} // '', $_->{start_index} // 0,
         $_->{end_index} // length $text];
    } grep { $_->{type} eq 'url_citation' } @all];
}

sub said
{
    my ($part) = @_;

    return { refusal => $part->{refusal} } if $part->{type} eq 'refusal';
    # what stood between two messages may be in the second one
    return { text => $part->{text} =~ s/^\n\n//r,
             cites => cites($part->{text}, @{ $part->{annotations} }),
             logprobs => scalar @{ $part->{logprobs} || [] } };
}

my %output = (
    message => sub {
        return { phase => $_[0]{phase}, status => $_[0]{status},
                 said => [grep { ($_->{text} // 'x') ne '' }
                          map { said($_) } @{ $_[0]{content} }] };
    },
    reasoning => sub {
        my $raw = @{ $_[0]{summary} } ? 'summary' : 'content';
        return { id => $_[0]{id}, token => $_[0]{encrypted_content},
                 text => join "\n\n", map { $_->{text} }
                     @{ $_[0]{$raw} || [] } };
    },
    function_call => sub {
        return { map { $_ => $_[0]{$_} } qw(call_id name arguments status) };
    },
    custom_tool_call => sub {
        return { map { $_ => $_[0]{$_} } qw(call_id name input) };
    },
    image_generation_call => sub { return { image => $_[0]{result} } },
);

# Items of other types are the server's own business; reasoning without a word
# or a token is none.
sub outputs
{
    my @all = map { { type => $_->{type}, %{ $output{ $_->{type} }->($_) } } }
        grep { $output{ $_->{type} } } @_;

    return [grep {
        $_->{type} eq 'reasoning' ? $_->{text} ne '' || defined $_->{token}
            : $_->{type} ne 'message' || @{ $_->{said} };
    } @all];
}

sub usage
{
    my ($u) = @_;

    return if !$u;
    return [@$u{qw(input_tokens output_tokens)},
            $u->{input_tokens_details}{cached_tokens} // 0,
            $u->{output_tokens_details}{reasoning_tokens} // 0];
}

# A stream begins before the tier is known, and reasoning is sealed anew, by
# some servers even named anew, each time they tell of it.
sub answer_meaning
{
    my ($r, $streamed) = @_;
    my $status = $r->{status} eq 'complete' ? 'completed' : $r->{status};
    my $output = outputs(@{ $r->{output} });

    for my $item ($streamed ? @$output : ()) {
        $item->{token} = 'sealed' if defined $item->{token};
        delete $item->{id};
    }
    return to_json({
        model => $r->{model},
        # others' ids are none that OpenAI's clients know
        id => $r->{id} =~ /^resp_/ ? $r->{id} : 'resp_ours',
        $streamed ? () : (tier => $r->{service_tier}),
        created => int $r->{created_at}, status => $status,
        error => $r->{error} && $r->{error}{message},
        why => $r->{incomplete_details} && $r->{incomplete_details}{reason},
        output => $output, usage => usage($r->{usage}) });
}

# The response that a recorded stream ends in.
sub last_response
{
    my ($bytes) = @_;
    my @data = map { from_json($_) } $bytes =~ /^data: *(\{.*)$/mg;
    my ($end) = grep {
        $_->{type} =~ /^response\.(?:completed|incomplete|failed)$/
    } @data;

    return $end && $end->{response};
}

# ---- all of it

my $corpus = corpus_or_skip();
alarm patience(300);
my @cases = $corpus->cases(api => 'openai-responses');
my $program = build() . '/tools/responses';
my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
    ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
    $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(), timeout => 600);

is $status, 0, 'the program builds' or diag($out);

# One line of output for each job.
sub take
{
    my (@jobs) = @_;
    my $dir = temp_dir('responses');

    spew("$dir/jobs", join '', map { "$_->[0]\t$_->[1]\n" } @jobs);
    my ($status, $out) = run(['/bin/sh', '-c', 'exec "$1" <"$2"', 'sh',
        $program, "$dir/jobs"], timeout => 300,
        env => LLMux::Units::sanitizers());
    is $status, 0, 'it did all of its work' or diag($out);
    drop_dir($dir);
    return map { from_json($_) } grep { /^\{/ } split /\n/, $out;
}

sub same
{
    my ($file, $got, $want, $name) = @_;

    return ok($got ne $want, "$name: $exceptions{$file}")
        && delete $exceptions{$file} if $exceptions{$file};
    return is $got, $want, $name;
}

my @requests = grep { -f } map {
    $_->{path} =~ s/(?:\.error)?\.\w+$/.request.json/r
} @cases;
my @written = take(map { ['request', $_] } @requests);
my $refused = 0;

is scalar @written, scalar @requests, 'every request was taken';
for my $i (0 .. $#written) {
    my $name = $requests[$i] =~ s{.*/}{}r;
    my $request = from_json(slurp($requests[$i]));

    if (defined $written[$i]{error}) {
        my ($why) = grep { $written[$i]{error} =~ $_->[0] } @refusals;
        $refused++;
        ok($why && $why->[1]->($request), "$name is refused for a reason")
            or diag($written[$i]{error});
        next;
    }
    same($name, meaning($written[$i]{written}), meaning($request), $name);
}

my @answers = grep { $_->{kind} ne 'error' } @cases;
my @encoded = take(map {
    [$_->{kind} eq 'sse' ? 'stream' : 'whole', $_->{path}]
} @answers);
my $open = 0;

is scalar @encoded, scalar @answers, 'every answer was taken';
for my $i (0 .. $#encoded) {
    my ($case, $got) = ($answers[$i], $encoded[$i]);
    my $bytes = slurp($case->{path});
    my $want = $case->{kind} eq 'sse' ? last_response($bytes)
        : from_json($bytes);

    is $got->{wrong}, undef, "$case->{file}: a client can follow";
    if (!$want || $want->{status} =~ /^(?:failed|queued|in_progress)$/) {
        $open++;
        is $got->{response} && $got->{response}{status}, 'failed',
            '... to its failure';
        next;
    }
    same($case->{file} =~ s{.*/}{}r,
         answer_meaning($got->{response}, $case->{kind} eq 'sse'),
         answer_meaning($want, $case->{kind} eq 'sse'), '... the same');
}
is join(' ', keys %exceptions), '', 'every exception is still needed';
diag(sprintf '%d requests, %d of them refused; %d answers, %d of them without '
     . 'an end', scalar @written, $refused, scalar @answers, $open);
done_testing;
