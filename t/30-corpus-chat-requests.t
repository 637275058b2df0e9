# 30-corpus-chat-requests.t - every recorded request of chat completions, read
# and written in its own dialect, says the same.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use JSON::PP ();
use LLMux::Jobs;

my $corpus = corpus_or_skip();
my @cases = grep { $corpus->request($_) =~ /"messages"/ }
    $corpus->cases(api => 'openai-chat');
my @answers = tool('edit')->answers(map { ['openai', '-', 'other',
    "$corpus->{dir}/$_->{request_file}"] } @cases);

# ---- the same, said otherwise

# Older names, and those of servers that are nearly OpenAI.
my %effort = (enabled => 'medium');

sub modern
{
    my ($rq) = @_;
    my ($thinking, $reasoning) = map { $_ || {} }
        delete @$rq{qw(thinking reasoning)};
    my $effort = $reasoning->{effort} || ($reasoning->{enabled}
        || ($thinking->{type} // '') eq 'enabled' ? $effort{enabled} : undef);

    $rq->{max_completion_tokens} //= delete $rq->{max_tokens};
    $rq->{reasoning_effort} //= $effort;
    $rq->{tools} ||= [map { { function => $_ } }
                      @{ delete $rq->{functions} || [] }];
    $_->{type} //= 'function' for @{ $rq->{tools} };
    delete $rq->{tool_choice} if !@{ $rq->{tools} };
    $rq->{tool_choice} = 'required' if ($rq->{tool_choice} // '') eq 'any';
    # Asked for by ourselves, in each stream.
    delete $rq->{stream_options};
    modern_message($_) for @{ $rq->{messages} };
    return said($rq);
}

sub modern_message
{
    my ($m) = @_;
    my $content = $m->{content};

    $m->{role} = 'developer' if $m->{role} eq 'system';
    my $thought = delete $m->{reasoning};
    my $details = $m->{reasoning_details} || [];
    $m->{reasoning_content} ||= $thought
        // join '', map { $_->{text} // '' } @$details;
    # The place of one call in a list of them; a name that one server gives.
    delete $_->{index} for @{ $m->{tool_calls} || [] };
    delete $_->{id} for @$details;
    return if ref $content ne 'ARRAY';
    for my $part (@$content) {
        $part->{prompt_cache_breakpoint} //= { mode => 'explicit' }
            if delete $part->{cache_control};
    }
    $m->{content} = $content->[0]{text} if @$content == 1
        && join(' ', sort keys %{ $content->[0] }) eq 'text type';
    return;
}

# Without members that say nothing: null, false, an empty text or list.
sub said
{
    my ($v) = @_;

    return [map { said($_) } @$v] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';
    return { map { my $is = said($v->{$_}); is_said($is) ? ($_ => $is) : () }
             keys %$v };
}

sub is_said
{
    my ($v) = @_;
    return ref $v eq 'ARRAY' ? @$v > 0
        : JSON::PP::is_bool($v) ? $v : defined $v && $v ne '';
}

# What is said of parameters is the client's, to the letter.
sub schemas
{
    my ($rq) = @_;
    return [map { ($_->{function} || {})->{parameters} } @{ $rq->{tools} || [] }];
}

# ---- all of them

my %refused = (
    "Invalid 'messages': expected at least one message, found an empty array."
        => 'OpenAI refuses it, too',
    "Invalid 'messages[0].content': expected a string or an array of parts, found null."
        => 'OpenAI refuses it, too',
    "Invalid 'tools[0].type': expected one of 'function', 'custom', found 'openrouter:web_search'."
        => 'a hosted tool of one server',
);
my %met;

for my $i (0 .. $#cases) {
    my ($file, $answer) = ($cases[$i]{file}, $answers[$i]);

    if (!defined $answer->{written}) {
        my $why = $answer->{unwritten} // $answer->{message};
        ok($refused{$why}, "$file is refused") or diag $why;
        $met{$why}++;
        next;
    }
    utf8::encode(my $written = $answer->{written});
    my ($want, $got) = map { from_json($_) }
        $corpus->request($cases[$i]), $written;
    my ($said, $say) = map { modern($_) } $want, $got;
    is_deeply [$say, schemas($got)], [$said, schemas($want)], $file;
}
is join("\n", grep { !$met{$_} } sort keys %refused), '',
    'each of those that are refused is';
diag(scalar(@cases) . ' requests');
done_testing;
