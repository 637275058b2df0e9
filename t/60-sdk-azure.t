# 60-sdk-azure.t - AzureOpenAI of the official OpenAI client for JavaScript:
# its paths, its key's header and its version, before a provider of each
# dialect. The cases stand in t/sdk/azure.mjs.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;

sdk_needs('openai');
sdk_pinned('openai');

my $mock = mock();
my $httpd = httpd(conf => sdk_doors($mock) . <<"END");
<LLMuxProvider azure>
    LLMuxBaseURL @{[ $mock->base ]}
    LLMuxAPIKey sk-azure
</LLMuxProvider>
<LLMuxModel azure-gpt>
    LLMuxDeployment azure my-gpt
</LLMuxModel>
<LLMuxModel gpt-3.5-turbo-instruct>
    LLMuxDeployment azure gpt-3.5-turbo-instruct
</LLMuxModel>
<LLMuxModel team/azure-gpt>
    LLMuxDeployment azure my-gpt
</LLMuxModel>
END

sdk_run('azure.mjs', httpd => $httpd, mock => $mock);

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
