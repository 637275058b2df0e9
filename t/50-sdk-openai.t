# 50-sdk-openai.t - the official OpenAI client for JavaScript, with nothing
# changed but base URL and key, before a provider of each dialect: what its
# users see. The cases stand in t/sdk/; here is what they run on.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;

sdk_needs('openai');

my ($corpus, $no_corpus) = LLMux::Corpus->find;
my $mock = mock();
my $httpd = httpd(conf => <<"END");
LLMuxMasterKey @{[ sdk_key() ]}
LLMuxBackoff 10ms
<LLMuxProvider openai>
    LLMuxBaseURL @{[ $mock->base('/v1') ]}
    LLMuxAPIKey sk-openai
    LLMuxModels gpt-4o
</LLMuxProvider>
<LLMuxProvider anthropic>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-anthropic
    LLMuxModels claude-sonnet-4-5
</LLMuxProvider>
<LLMuxProvider gemini>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-gemini
    LLMuxModels gemini-2.5-flash
</LLMuxProvider>
<LLMuxProvider azure>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-azure
</LLMuxProvider>
<LLMuxProvider azure-v1>
    LLMuxType azure
    LLMuxAzureAPI v1
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-azure-v1
</LLMuxProvider>
<LLMuxProvider local>
    LLMuxType openai-compatible
    LLMuxBaseURL @{[ $mock->base('/local/v1') ]}
    LLMuxModels llama-3.3-70b
</LLMuxProvider>
<LLMuxProvider hasty>
    LLMuxType anthropic
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-hasty
    LLMuxRetries 0
    LLMuxFirstByteTimeout 400ms
    LLMuxSilenceTimeout 400ms
</LLMuxProvider>
<LLMuxModel hasty-claude>
    LLMuxDeployment hasty claude-sonnet-4-5
</LLMuxModel>
<LLMuxModel azure-gpt>
    LLMuxDeployment azure my-gpt
</LLMuxModel>
<LLMuxModel azure-v1-gpt>
    LLMuxDeployment azure-v1 my-gpt
</LLMuxModel>
<LLMuxModel gpt-or-claude>
    LLMuxDeployment openai gpt-4o
    LLMuxFallback claude-sonnet-4-5
</LLMuxModel>
<Location "/">
    SetHandler llmux
</Location>
<Location "/quick">
    SetHandler llmux
    LLMuxHeartbeat 100ms
</Location>
<Location "/small">
    SetHandler llmux
    LLMuxMaxBody 4k
</Location>
<Location "/refusing">
    SetHandler llmux
    LLMuxUnsupported refuse
</Location>
END

# Recordings of chats that have all these tags, and what they are known to
# say. Those of errors are asked for by their own tag.
sub obey_recordings
{
    my ($order) = @_;
    my @cases = $corpus ? $corpus->cases(dialect => $order->{dialect},
        api => qr/^(?:openai-chat|anthropic-messages|gemini-generate)$/,
        streaming => $order->{streaming}) : ();

    @cases = grep { $_->{kind} ne 'error' } @cases
        if !grep { $_ eq 'error' } @{ $order->{tags} };
    for my $tag (@{ $order->{tags} }) {
        @cases = grep { grep { $_ eq $tag } @{ $_->{tags} } } @cases;
    }
    return [map { +{ file => $_->{file}, path => $_->{path},
                     tags => $_->{tags}, want => $corpus->expected($_) } }
            @cases];
}

sdk_pinned('openai');
diag($no_corpus) if !$corpus;
sdk_run('openai.mjs', httpd => $httpd, mock => $mock,
    orders => { recordings => \&obey_recordings });

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
