# 32-corpus-anthropic.t - recorded traffic, seen from Anthropic's front door: a
# request of Anthropic's that is read and written again says the same; an
# answer that is decoded and encoded again is the same message; any provider's
# answer is one that a client can take, whole and streamed.
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

# Its text stands in reasoning_details alone, which the expectation does not
# read.
my %no_reasoning = (
    'openai-compat/snowflake-chat-tool-call-01.json' => 1,
);

# What is refused, since another provider could not serve it: by the member
# that the error names.
my %refused = (
    'tools[0]' => qr/"type":\s*"(?:advisor|code_execution|web_fetch)_20/,
    mcp_servers => qr/"mcp_servers"/,
);

# Members and blocks that only Anthropic's dialect has, as `lost` names them,
# and what they are in the recordings.
my %server_blocks = map { $_ => 1 } qw(server_tool_use mcp_tool_use
    mcp_tool_result web_search_tool_result web_fetch_tool_result
    code_execution_tool_result bash_code_execution_tool_result
    text_editor_code_execution_tool_result tool_search_tool_result
    advisor_tool_result fallback compaction);

# Requests that come back otherwise, and why that is right.
my %otherwise = (
    'anthropic-messages/anthropic-context-management-01.request.json' =>
        'what was compacted is text to everybody else',
    'anthropic-messages/anthropic-error-400-02.request.json' =>
        'an effort that the model has not, as its answer says: 400',
);

my $corpus;

# ---- one form for what means the same

sub text_block { return { type => 'text', text => $_[0] } }

sub marker
{
    my ($block) = @_;
    my $marker = delete $block->{cache_control} or return;

    $block->{cache_control} = ($marker->{ttl} // '5m');
    return;
}

# Blocks as they count: no blank texts, nothing of the vendor's servers.
sub blocks
{
    my ($content) = @_;
    my @blocks = ref $content ? @$content : text_block($content // '');
    my @kept;

    for my $block (map { { %$_ } } @blocks) {
        next if $server_blocks{ $block->{type} };
        next if $block->{type} eq 'text' && $block->{text} !~ /\S/;
        $block = text_block("Tool: $block->{tool_name}")
            if $block->{type} eq 'tool_reference';
        if ($block->{type} eq 'tool_result') {
            delete $block->{is_error} if !$block->{is_error};
            $block->{content} = blocks($block->{content});
            delete $block->{content} if !@{ $block->{content} };
        }
        delete @$block{qw(citations caller)};
        marker($block);
        push @kept, $block;
    }
    return \@kept;
}

sub messages
{
    my @merged;

    for my $message (@_) {
        my $blocks = blocks($message->{content});
        next if !@$blocks;
        if (@merged && $merged[-1]{role} eq $message->{role}) {
            push @{ $merged[-1]{content} }, @$blocks;
        }
        else {
            push @merged, { role => $message->{role}, content => $blocks };
        }
    }
    return \@merged;
}

sub tools
{
    my @tools = map { { %$_ } } grep { ($_->{type} // '') !~ /search/ } @_;

    for my $tool (@tools) {
        delete $tool->{type} if ($tool->{type} // '') eq 'custom';
        delete $tool->{description} if ($tool->{description} // '') eq '';
        delete $tool->{defer_loading};
        delete $tool->{strict} if !$tool->{strict};
        $tool->{input_schema}{type} //= 'object';
        $tool->{input_schema}{properties} //= {};
        marker($tool);
        $tool = { name => $tool->{name} } if $tool->{name} eq 'memory';
    }
    return \@tools;
}

# All of a request, in one form.
sub request
{
    my ($said) = @_;
    my %r = map { defined $said->{$_} ? ($_ => $said->{$_}) : () } keys %$said;

    delete $r{stream} if !$r{stream};
    $r{system} = blocks($r{system});
    $r{messages} = messages(@{ $r{messages} });
    $r{messages}[-1]{content}[-1]{cache_control} =
        delete($r{cache_control})->{ttl} // '5m' if $r{cache_control};
    my $searches = grep { ($_->{type} // '') =~ /^web_search/ }
        @{ $r{tools} || [] };
    $r{tools} = tools(@{ $r{tools} || [] });
    $r{web_search} = $searches;
    my $format = delete $r{output_format} || delete $r{output_config}{format};
    $r{output_config}{format} = { %$format, type => 'json_schema' }
        if $format;
    return \%r;
}

# What the translation may add or leave out, by what the request says.
sub excuse
{
    my ($got, $want) = @_;

    delete $got->{max_tokens} if !defined $want->{max_tokens};
    delete $want->{context_management};
    delete $want->{tool_choice} if !@{ $want->{tools} };
    # the effort that is the default anyway, and thinking by which to make it
    delete $got->{output_config}{effort}
        if ($want->{thinking}{type} // '') eq 'adaptive';
    delete $got->{thinking} if !%{ $want->{thinking} || {} };
    delete $want->{thinking} if !%{ $want->{thinking} || {} };
    return;
}

# ---- a stream as a client's SDK puts it together

sub events_of
{
    my ($stream) = @_;
    my @events;

    for my $event (split /\n\n/, $stream) {
        my ($name, $data) = $event =~ /\Aevent: (\S+)\ndata: (.*)\z/
            or return ("not an event: $event");
        my $json = $data;
        utf8::encode($json);
        $json = from_json($json);
        return "event $name has type $json->{type}" if $name ne $json->{type};
        push @events, $json;
    }
    return (undef, @events);
}

my %deltas = (
    text_delta => ['text', 'text'], thinking_delta => ['thinking', 'thinking'],
    signature_delta => ['thinking', 'signature'],
    input_json_delta => ['tool_use', 'partial_json'],
);

# The message, or what is wrong with the order of events.
sub accumulate
{
    my ($wrong, @events) = events_of($_[0]);
    my ($message, $open, $stopped);

    return $wrong if $wrong;
    for my $event (grep { $_->{type} ne 'ping' } @events) {
        my $type = $event->{type};
        if ($type eq 'message_start') {
            return 'two starts' if $message;
            $message = $event->{message};
            next;
        }
        return "$type before the start" if !$message;
        return "$type after the end" if $stopped;
        if ($type eq 'content_block_start') {
            return 'two open blocks' if $open;
            return 'wrong index'
                if $event->{index} != @{ $message->{content} };
            push @{ $message->{content} }, $open = $event->{content_block};
            $open->{json} = '' if $open->{type} eq 'tool_use';
        }
        elsif ($type eq 'content_block_delta') {
            my ($of, $name) = @{ $deltas{ $event->{delta}{type} } };
            return "$event->{delta}{type} in nothing" if !$open;
            return 'wrong index'
                if $event->{index} != $#{ $message->{content} };
            return "$event->{delta}{type} in $open->{type}"
                if $open->{type} ne $of;
            if ($name eq 'signature') {
                $open->{signature} = $event->{delta}{signature};
            }
            else {
                $open->{ $of eq 'tool_use' ? 'json' : $name }
                    .= $event->{delta}{$name};
            }
        }
        elsif ($type eq 'content_block_stop') {
            return 'nothing to stop' if !$open;
            if (defined(my $json = delete $open->{json})) {
                utf8::encode($json);
                $open->{input} = from_json($json) if $json ne '';
            }
            undef $open;
        }
        elsif ($type eq 'message_delta') {
            return 'a block is open' if $open;
            %$message = (%$message, %{ $event->{delta} });
            %{ $message->{usage} } =
                (%{ $message->{usage} }, %{ $event->{usage} });
        }
        elsif ($type eq 'message_stop') {
            $stopped = 1;
        }
        else {
            return "unknown event $type";
        }
    }
    return $stopped ? $message : 'no end';
}

# The sum is said again at the end, its parts are not.
sub parts_of_cache
{
    my ($usage) = @_;
    my $parts = $usage->{cache_creation} or return;

    $parts->{ephemeral_5m_input_tokens} =
        $usage->{cache_creation_input_tokens}
        - $parts->{ephemeral_1h_input_tokens};
    return;
}

# The same of a recorded stream, which we are not the judge of.
sub recorded
{
    my ($bytes) = @_;
    my $message;

    for my $data ($bytes =~ /^data: ?(\{.*)$/mg) {
        my $event = from_json($data =~ s/\r$//r);
        my $type = $event->{type};
        my $block = $message && defined $event->{index}
            ? $message->{content}[$event->{index}] : undef;

        if ($type eq 'message_start') {
            $message ||= $event->{message};
        }
        elsif ($type eq 'content_block_start') {
            $message->{content}[$event->{index}] = $event->{content_block};
        }
        elsif ($type eq 'content_block_delta') {
            my (undef, $name) = @{ $deltas{ $event->{delta}{type} } || [] };
            $block->{$name} .= $event->{delta}{$name} if $name;
        }
        elsif ($type eq 'message_delta') {
            %$message = (%$message, %{ $event->{delta} });
            my $usage = $event->{usage} || {};
            defined $usage->{$_} and $message->{usage}{$_} = $usage->{$_}
                for keys %$usage;
            parts_of_cache($message->{usage});
        }
    }
    for my $block (grep { $_->{type} eq 'tool_use' } @{ $message->{content} }) {
        my $json = delete $block->{partial_json} // '';
        utf8::encode($json);
        $block->{input} = from_json($json) if $json =~ /\S/;
    }
    return $message;
}

# ---- answers

# What a message says that our events can say as well.
sub message
{
    my ($said) = @_;
    my %m = map { ($_ => $said->{$_}) }
        qw(id type role model stop_reason stop_sequence);
    my %usage = %{ $said->{usage} };
    my @content = map { { %$_ } }
        grep { !$server_blocks{ $_->{type} } } @{ $said->{content} };

    delete @$_{qw(citations caller)} for @content;
    $m{content} = [grep { $_->{type} ne 'text' || $_->{text} ne '' } @content];
    $m{usage} = { map { defined $usage{$_} ? ($_ => $usage{$_}) : () }
        qw(input_tokens output_tokens cache_read_input_tokens
           cache_creation_input_tokens cache_creation service_tier
           output_tokens_details) };
    return \%m;
}

# What the recording is known to say, of any dialect.
sub says_all
{
    my ($case, $message) = @_;
    my $want = $corpus->expected($case);
    my %said = (text => '', thinking => '', calls => []);

    for my $block (@{ $message->{content} }) {
        my $type = $block->{type};
        $said{$type} .= $block->{$type} if $type =~ /^te|^thi/;
        push @{ $said{calls} }, [@$block{qw(name input)}]
            if $type eq 'tool_use';
    }
    # a refusal in words is a text, too
    is $said{text}, ($want->{text} // '') . ($want->{refusal} // ''),
        "$case->{file}: text";
    is $said{thinking}, $want->{reasoning} // '', 'thinking'
        if !$no_reasoning{ $case->{file} };
    same('calls', $said{calls}, [map { [$_->{name},
        ($_->{kind} // '') eq 'custom' ? { input => $_->{arguments} }
        : defined $_->{arguments_unparsed}
            ? { _raw => $_->{arguments_unparsed} } : $_->{arguments} // {}]
        } @{ $want->{tool_calls} || [] }]);
    return;
}

# ---- all of it

sub job
{
    my ($program, $dir, @lines) = @_;

    spew("$dir/jobs", join '', map { "$_\n" } @lines);
    my ($status, $out) = run(['/bin/sh', '-c', 'exec "$1" <"$2"', 'sh',
        $program, "$dir/jobs"], timeout => 300,
        env => LLMux::Units::sanitizers());
    is $status, 0, 'it did all of its work'
        or diag(join "\n", grep { !/^\{/ } split /\n/, $out);
    return map { eval { from_json($_) } } split /\n/, $out;
}

sub built
{
    my $program = build() . '/tools/anthropic';
    my ($status, $out) = run([$ENV{MAKE} || 'make', '-s',
        ($ENV{LLMUX_BUILD} ? "BUILD=$ENV{LLMUX_BUILD}" : ()),
        $program =~ s{^\Q@{[ tree() ]}\E/}{}r], dir => tree(),
        timeout => 600);

    return $program if ok($status eq '0', 'the program builds');
    diag($out);
    return;
}

sub same
{
    my ($name, $got, $want) = @_;
    my ($g, $w) = map { to_json($_) } $got, $want;

    ok($g eq $w, $name) or diag("   got: $g\n  want: $w");
    return;
}

$corpus = corpus_or_skip();
alarm patience(600);
my $program = built() or do { done_testing; exit };
my @cases = $corpus->cases(dialect => 'anthropic-messages');
my $dir = temp_dir('anthropic');

# requests
my %requests = map { $_->{request_file} => 1 }
    grep { $_->{request_file} } @cases;
my @requests = sort keys %requests;
my @got = job($program, $dir, map { "request\t" . $corpus->{dir} . "/$_" }
              @requests);
for my $i (0 .. $#requests) {
    my $bytes = slurp("$corpus->{dir}/$requests[$i]");
    if (my $error = $got[$i]{error}) {
        my $why = $refused{ $error->{param} // '' };
        ok($error->{kind} eq 'UNSUPPORTED' && $why && $bytes =~ $why,
           "$requests[$i]: $error->{param} is refused")
            or diag($error->{message});
        next;
    }
    my ($written, $said) = map { request($_) } $got[$i]{written},
        from_json($bytes);
    excuse($written, $said);
    if (delete $otherwise{ $requests[$i] }) {
        ok(to_json($written) ne to_json($said), "$requests[$i]: otherwise");
        next;
    }
    same($requests[$i], $written, $said);
}

# answers
my @answers = grep { $_->{kind} ne 'error' }
    $corpus->cases(api => [sort keys %dialects]);
@got = job($program, $dir, map { join("\t",
    $_->{streaming} eq 'no' ? 'whole' : 'stream', $_->{path},
    $dialects{ $_->{api} }) } @answers);
for my $i (0 .. $#answers) {
    my ($case, $got) = ($answers[$i], $got[$i]);
    if ($got->{error}) {
        my $want = $corpus->expected($case);
        ok($want->{stream_error} || !$want->{complete},
           "$case->{file}: it failed");
        like($got->{stream}, qr/event: error\ndata: \{"type":"error",.*\n\n\z/,
             'and the stream ends with that');
        next;
    }
    my $streamed = accumulate($got->{stream});
    ok(ref $streamed, "$case->{file}: a client takes the stream")
        or diag($streamed) or next;
    same("$case->{file}: whole and streamed", message($streamed),
         message($got->{whole}));
    says_all($case, $streamed);
    next if $dialects{ $case->{api} } ne 'anthropic';
    my $bytes = $corpus->bytes($case);
    my $said = $case->{streaming} eq 'no' ? from_json($bytes)
        : recorded($bytes);
    same($case->{file}, message($got->{whole}), message($said));
}
ok(!%otherwise, 'every exception is still needed')
    or diag(join "\n", sort keys %otherwise);
drop_dir($dir);
done_testing;
