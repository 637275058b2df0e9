# 51-sdk-anthropic.t - the official Anthropic client for JavaScript, with
# nothing changed but base URL and key, before a provider of each dialect.
# Both majors: 0.x asks for 2023-06-01, 1.x for 2026-10-21.
use FindBin;
use lib "$FindBin::Bin/lib";
use LLMux::Test;
use LLMux::SDK;

my @packages = ('@anthropic-ai/sdk', 'anthropic-before');

sdk_needs(@packages);
sdk_pinned(@packages);

my $mock = mock();
my $httpd = httpd(conf => sdk_doors($mock));

sdk_run('anthropic.mjs', httpd => $httpd, mock => $mock);

done_clean($httpd, allow => [qr/LX0021: .*failed/]);
done_testing;
