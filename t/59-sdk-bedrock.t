# 59-sdk-bedrock.t - what we say to Bedrock is what Amazon's own client for
# JavaScript says: by its types, by its bytes and by its addresses; and what
# Bedrock says, we hear as it does.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::Jobs;
use LLMux::SDK;

my @packages = ('@aws-sdk/client-bedrock-runtime', 'typescript');
my $secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

# The dialect that each API's requests are read in.
my %dialects = (
    'openai-chat' => 'openai',
    'openai-responses' => 'responses',
    'openai-completions' => 'completions',
    'anthropic-messages' => 'anthropic',
    'bedrock-invoke-anthropic' => 'anthropic',
    'gemini-generate' => 'gemini',
);

# Those that have the model in the path.
my %in_path = map { $_ => 1 } qw(bedrock-invoke-anthropic gemini-generate);

# One of each kind that we tell apart, and one whose name tells nothing.
my @models = qw(
    us.anthropic.claude-sonnet-4-5-20250929-v1:0
    us.anthropic.claude-opus-4-7-v1:0
    anthropic.claude-3-haiku-20240307-v1:0
    us.amazon.nova-2-lite-v1:0
    amazon.nova-lite-v1:0
    openai.gpt-oss-120b-1:0
    mistral.mistral-large-2407-v1:0
    qwen.qwen3-32b-v1:0
    arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2
);

# What is refused, since Bedrock cannot serve it or it is no request: by the
# member that the error names, and by its words. One that has gone must go from
# here too.
my @refused = (
    { param => qr/^web_search_options$/, message => qr/not search the web/,
      why => 'Converse has no search.' },
    { param => qr/^tools\[\d+\]$/, message => qr/only Anthropic's own/,
      why => "Tools that run at Anthropic's." },
    { param => qr/^mcp_servers$/, message => qr/only Anthropic's own/,
      why => 'Likewise.' },
    { param => qr/^tools\[\d+\]\.\w+$/, message => qr/runs at Google/,
      why => "Tools that run at Google's." },
    { param => qr/^(?:tools|input)\[\d+\]$/, message => qr/OpenAI/,
      why => "Tools that run at OpenAI's, and what came of them." },
    { param => qr/^tools\[\d+\]\.type$/, message => qr/openrouter:/,
      why => "A tool that runs at OpenRouter's." },
    { param => qr/(?:content|output)\[\d+\]$|\.file_?data$/i,
      message => qr/fetches nothing/,
      why => 'A file that lies with another vendor.' },
    { param => qr/^cachedContent$/, message => qr/only Google has/,
      why => 'Likewise.' },
    { param => qr/^previous_response_id$/, message => qr/is not kept here/,
      why => 'An answer that lies with OpenAI.' },
    { param => qr/^background$/, message => qr/in the background/,
      why => 'It would have to be kept.' },
    { param => qr/^modalities$/, message => qr/text only/,
      why => 'Converse says words only.' },
    { param => qr/^prompt$/, message => qr/tokens/,
      why => 'Tokens of another model.' },
    { param => qr/^messages$/, message => qr/expected an array, found nothing/,
      why => 'A text completion of old, in a dialect that is none of ours.' },
    { param => qr/^messages\[\d+\]$/, message => qr/cannot continue/,
      why => 'The newest Claude does not go on with what was begun.' },
    { error => 1, param => qr/./, message => qr/^Invalid '/,
      why => 'What its own vendor refused, too.' },
);

# Bodies with a mistake each: the types must tell.
my @mistakes = (
    '"what":1',
    '"system":"Be brief."',
    '"inferenceConfig":{"temperature":"1"}',
    '"inferenceConfig":{"max_tokens":1}',
    '"messages":[{"role":"tool","content":[{"text":"a"}]}]',
    '"messages":[{"content":[{"text":"a"}]}]',
    '"messages":[{"role":"user","content":"a"}]',
    '"messages":[{"role":"user","content":[{"text":1}]}]',
    '"messages":[{"role":"user","content":[{"text":"a","cache":1}]}]',
    '"messages":[{"role":"user","content":[{"text":"a"}],"role":"user"}]',
    '"messages":[{"role":"user","content":[{"text":"a","image":{"format":'
        . '"png","source":{bytes}}}]}]',
    '"messages":[{"role":"user","content":[{"image":{"format":"bmp",'
        . '"source":{bytes}}}]}]',
    '"messages":[{"role":"user","content":[{"image":{"format":"png",'
        . '"source":{"bytes":"QQ=="}}}]}]',
    '"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"a",'
        . '"content":[{"text":"a"}],"status":"failed"}}]}]',
    '"toolConfig":{"tools":[{"toolSpec":{"name":"a"}}]}',
    '"toolConfig":{"tools":[{"toolSpec":{"name":"a","inputSchema":{"type":'
        . '"object"}}}]}',
    '"toolConfig":{"tools":[],"toolChoice":{"tool":{}}}',
    '"outputConfig":{"textFormat":{"type":"json_object"}}',
    '"serviceTier":"priority"',
);

sub spew_lines
{
    my ($path, @lines) = @_;
    spew($path, join '', map { to_json($_) . "\n" } @lines);
    return $path;
}

# ---- requests

sub type_of
{
    my ($case) = @_;
    return $case->{streaming} eq 'no' ? 'ConverseCommandInput'
                                      : 'ConverseStreamCommandInput';
}

# What is sent for each recorded request, to each of the models, stands in
# $dir/bodies.ts then. Adds {bodies}, how many of them, and {refusals}.
sub write_all
{
    my ($dir, @cases) = @_;

    tool('bodies', 'bedrock')->work("$dir/bodies", map {
        my $case = $_;
        my $in_path = $in_path{ $case->{api} } ? $case->{model} || 'm' : '-';
        my $file = $case->{path} =~ s{\Q$case->{file}\E$}{}r
            . $case->{request_file};
        map { [$dialects{ $case->{api} }, $in_path, $_, $file] } @models;
    } @cases);
    spew_lines("$dir/cases", map { +{ file => $_->{file},
        type => type_of($_) } } @cases);
    my ($status, $out) = run(['node', tree() . '/t/sdk/bedrock-types.mjs',
        $dir, scalar @models]);
    is $status, 0, 'all of them are TypeScript' or diag($out);
    my @lines = map { from_json($_) } split /\n/, $out;
    is scalar @lines, scalar @cases, '... and none is missing';
    @{ $cases[$_] }{qw(bodies refusals)} = @{ $lines[$_] }{qw(bodies refusals)}
        for 0 .. $#cases;
    return;
}

# Is it a refusal of those above?
sub reason
{
    my ($case, $refusal) = @_;
    my ($known) = grep {
        ($refusal->{param} // '') =~ $_->{param}
            && $refusal->{message} =~ $_->{message}
            && (!$_->{error} || $case->{kind} eq 'error')
    } @refused;

    $known->{used}++ if $known;
    return $known;
}

sub refusals_are_known
{
    my (@cases) = @_;

    for my $case (@cases) {
        my @new = grep { !reason($case, $_) } @{ $case->{refusals} };
        fail("$case->{file}: refused: " . to_json($_)) for @new;
    }
    is join("\n", map { $_->{why} } grep { !$_->{used} } @refused), '',
        'each reason to refuse is still needed';
    return;
}

# ---- types

my $head = 3;       # lines before the first literal

# Mistakes in the same form.
sub write_mistakes
{
    my ($dir) = @_;
    my $n = 0;

    spew("$dir/mistakes.ts", join '', map { "$_\n" }
        'import type { ConverseCommandInput }',
        "    from '\@aws-sdk/client-bedrock-runtime';",
        'const bytes = new Uint8Array();',
        map { "export const b${\ $n++}: ConverseCommandInput = "
              . "{\"modelId\":\"m\",$_};" } @mistakes);
    return;
}

# What the compiler says of the literals in each file: {file}[number], words.
sub compiled
{
    my ($dir) = @_;
    my %wrong = (bodies => [], mistakes => []);

    symlink tree() . '/t/sdk/node_modules', "$dir/node_modules";
    my ($status, $out) = run([tree() . '/t/sdk/node_modules/.bin/tsc',
        qw(--noEmit --strict --skipLibCheck --module nodenext --target es2022),
        'bodies.ts', 'mistakes.ts'], dir => $dir, timeout => patience(120));
    for my $line (grep { !/^ / } split /\n/, $out) {
        my ($file, $number, $words)
            = $line =~ /^(bodies|mistakes)\.ts\((\d+),\d+\): (.*)/;
        if (!$words || $number <= $head) {
            fail("the compiler has nothing else to say: $line");
            next;
        }
        $wrong{$file}[$number - $head - 1] //= $words;
    }
    return \%wrong;
}

# A result for each mistake, and for each recorded request.
sub types_are_right
{
    my ($wrong, @cases) = @_;
    my $at = 0;

    ok $wrong->{mistakes}[$_], "a mistake: $mistakes[$_]" for 0 .. $#mistakes;
    for my $case (grep { $_->{bodies} } @cases) {
        my @words = grep { defined }
            @{ $wrong->{bodies} }[$at .. $at + $case->{bodies} - 1];
        ok(!@words, "$case->{file}: $case->{bodies} by type")
            or diag(join "\n", @words);
        $at += $case->{bodies};
    }
    return;
}

# ---- answers

sub heard
{
    my (@cases) = @_;
    my @decoded = tool('decode', 1)->answers(
        map { ['bedrock', mode($_), $_->{path}] } @cases);

    return map { +{ file => $_->{file}, path => $_->{path},
        streaming => $_->{streaming}, decoded => shift @decoded } } @cases;
}

# ---- all of it

sdk_needs(@packages);
my $corpus = corpus_or_skip();
sdk_pinned(@packages);

my $dir = temp_dir('bedrock');
my @cases = grep { $_->{request_file} }
    $corpus->cases(api => [sort keys %dialects]);

write_all($dir, @cases);
write_mistakes($dir);
types_are_right(compiled($dir), @cases);
refusals_are_known(@cases);

my $mock = mock();
my $httpd = httpd(conf => <<"END");
LLMuxMasterKey @{[ sdk_key() ]}
LLMuxDirect on
LLMuxAttempts 1
<LLMuxProvider bedrock>
    LLMuxRegion us-east-1
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAWSKey AKIDBEDROCK $secret
</LLMuxProvider>
<LLMuxProvider bearer>
    LLMuxType bedrock
    LLMuxRegion us-east-1
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey bedrock-api-key
</LLMuxProvider>
<Location "/">
    SetHandler llmux
</Location>
END

my %files = (
    mock => $mock->url,
    secret => $secret,
    bodies => "$dir/said",
    answers => spew_lines("$dir/heard",
        heard($corpus->cases(api => 'bedrock-converse'))),
);
sdk_run('bedrock.mjs', httpd => $httpd, mock => $mock,
    orders => { files => sub { \%files } });

my @taken = grep { $_->{bodies} } @cases;
my $bodies = 0;
$bodies += $_->{bodies} for @taken;
diag(scalar(@cases) . ' requests to ' . scalar(@models) . ' models: '
     . scalar(@taken) . " taken, $bodies bodies");
drop_dir($dir);
done_clean($httpd);
done_testing;
