# 58-sdk-ai.t - Vercel's AI SDK, by the packages that its users take: nothing is
# changed but base URL and key, and another vendor's provider answers.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;

my @packages = qw(ai @ai-sdk/openai @ai-sdk/anthropic @ai-sdk/google
    @ai-sdk/openai-compatible zod);

sdk_needs(@packages);
sdk_pinned(@packages);

my $mock = mock();
my $httpd = httpd(conf => sdk_doors($mock));

sdk_run('ai.mjs', httpd => $httpd, mock => $mock);

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
