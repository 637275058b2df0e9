# 52-sdk-gemini.t - the official Google Gen AI client for JavaScript, with
# nothing changed but base URL and key, before a provider of each dialect.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;

sdk_needs('@google/genai');
sdk_pinned('@google/genai');

my $mock = mock();
my $httpd = httpd(conf => sdk_doors($mock));

sdk_run('gemini.mjs', httpd => $httpd, mock => $mock);

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
