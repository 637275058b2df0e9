# 53-sdk-responses.t - client.responses of the official OpenAI client for
# JavaScript, with nothing changed but base URL and key, before a provider of
# each dialect.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;

sdk_needs('openai');
sdk_pinned('openai');

my $mock = mock();
my $httpd = httpd(conf => sdk_doors($mock));

sdk_run('responses.mjs', httpd => $httpd, mock => $mock);

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
