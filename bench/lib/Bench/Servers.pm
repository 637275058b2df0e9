# Servers.pm - the mock provider, and those who stand before it: one httpd with
# the module and with ProxyPass, and nginx.
package Bench::Servers;

use strict;
use warnings;
use Exporter 'import';
use Bench::Process qw(start free_port await_port);

our @EXPORT_OK = qw(build start_mock start_httpd start_nginx start_terminator
                    find_program httpd_program write_file directives);

my @flags = qw(-std=gnu99 -O2 -g -Wall -Wextra -Wno-unused-parameter);

my %programs = (
    mock => [qw(mock.c answers.c stamp.c timers.c)],
    load => [qw(load.c reply.c request.c samples.c stamp.c timers.c)],
    hold => [qw(hold.c reply.c request.c samples.c stamp.c timers.c)],
);

# What an httpd says beside the usual, by the setup of a case.
my %directives = (
    'plain'       => [],
    'tls'         => [],
    'linger-off'  => ['LLMuxLinger 0'],
    'loops-off'   => ['LLMuxLoops 0'],
    'park-always' => ['LLMuxPark always'],
);

sub directives
{
    my ($setup) = @_;

    return @{ $directives{$setup} or die "no such setup: $setup\n" };
}

# Compiles a program of ours; returns its path.
sub build
{
    my ($name, $source, $dir) = @_;
    my $out = "$dir/$name";
    my @files = map { "$source/$_" } @{ $programs{$name} };
    my $cc = $ENV{CC} || 'cc';

    system($cc, @flags, '-o', $out, @files) == 0
        or die "cannot compile $name\n";
    return $out;
}

sub write_file
{
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";

    print $out $text;
    close $out or die "$path: $!\n";
    return $path;
}

sub find_program
{
    my ($name) = @_;

    for my $dir (split(/:/, $ENV{PATH} || ''), qw(/usr/sbin /usr/local/sbin)) {
        return "$dir/$name" if $dir ne '' && -x "$dir/$name" && !-d _;
    }
    return undef;
}

sub apxs
{
    my ($what) = @_;
    my $apxs = $ENV{APXS} || 'apxs';
    my $answer = qx($apxs -q $what 2>/dev/null) // '';

    chomp $answer;
    return $answer;
}

sub httpd_program
{
    my $named = apxs('SBINDIR') . '/' . apxs('PROGNAME');

    return $ENV{HTTPD} if $ENV{HTTPD};
    return $named if -x $named && !-d _;
    return find_program('apache2') || find_program('httpd')
        || die "no httpd found: install apache2\n";
}

# ---- the mock

# It has the same port on so many addresses, from 127.0.0.1 on.
sub start_mock
{
    my ($program, $dir, $addresses, @recordings) = @_;
    my $port = free_port();
    my $log = "$dir/mock.log";
    my $pid = start('mock', $log, $program, '-p', $port, '-l', $addresses,
                    map { ('-f', $_) } @recordings);

    await_port($pid, $port, $log);
    return { pid => $pid, port => $port, addresses => $addresses };
}

sub addresses
{
    my ($o) = @_;

    return map { "127.0.0.$_" } 1 .. $o->{mock}{addresses};
}

sub scheme
{
    my ($o) = @_;

    return $o->{mock}{ca} ? 'https' : 'http';
}

# ---- httpd

use constant THREADS => 256;    # of all children together

sub load_modules
{
    my (@more) = @_;
    my $dir = apxs('LIBEXECDIR') || '/usr/lib/apache2/modules';

    return join '', map {
        "<IfModule !mod_$_.c>\n    LoadModule ${_}_module $dir/mod_$_.so\n"
        . "</IfModule>\n"
    } qw(mpm_event unixd authz_core proxy proxy_http), @more;
}

sub httpd_conf
{
    my ($o) = @_;
    my $user = $> ? '' : "User www-data\nGroup www-data\n";
    my $ours = $o->{module} ? module_conf($o) : '';
    my $ca = $o->{mock}{ca};
    my $children = $o->{children} || 2;
    my $threads = THREADS / $children;
    my $most = 2 * $children;
    my $tls = $ca ? "SSLProxyEngine On\nSSLProxyCACertificateFile \"$ca\"\n"
                  : '';

    return load_modules($ca ? 'ssl' : ()) . <<"EOT" . $ours;
ServerName 127.0.0.1
ServerRoot "$o->{dir}"
DefaultRuntimeDir "$o->{dir}"
PidFile "$o->{dir}/httpd-$o->{port}.pid"
ErrorLog "$o->{dir}/httpd.log"
LogLevel warn
Mutex pthread
Listen 127.0.0.1:$o->{port}
$user
<IfDefine !OneProcess>
    StartServers $children
    ServerLimit $most
    ThreadLimit $threads
    ThreadsPerChild $threads
    MaxRequestWorkers @{[THREADS]}
    MinSpareThreads @{[THREADS]}
    MaxSpareThreads @{[THREADS]}
    AsyncRequestWorkerFactor 200
</IfDefine>
<IfDefine OneProcess>
    StartServers 1
    ThreadsPerChild 2
    MaxRequestWorkers 2
    MinSpareThreads 1
    MaxSpareThreads 2
</IfDefine>
MaxConnectionsPerChild 0
ListenBacklog 4096
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
Timeout 60
ExtendedStatus Off
EnableSendfile Off

<Location "/">
    Require all granted
</Location>

${tls}ProxyPass "/proxy/" "@{[scheme($o)]}://127.0.0.1:$o->{mock}{port}/"
EOT
}

# A provider at one of the mock's addresses; models whose names end in a
# number are those of this address, others of the first.
sub provider_conf
{
    my ($o, $type, $number) = @_;
    my $url = scheme($o) . "://127.0.0.$number:$o->{mock}{port}";
    my @models = grep { (/-a(\d+)$/ ? $1 : 1) == $number }
        @{ $o->{models}{$type} };
    my @lines = $type eq 'anthropic'
        ? ('LLMuxType    anthropic', "LLMuxBaseURL $url",
           'LLMuxAPIKey  sk-bench')
        : ('LLMuxType    openai-compatible', "LLMuxBaseURL $url/v1");

    return '' if !@models;
    push @lines, 'LLMuxProxy   none', "LLMuxModels  @models",
        $o->{mock}{ca} ? "LLMuxCAFile  \"$o->{mock}{ca}\"" : ();
    return join '', map { "$_\n" } "<LLMuxProvider mock-$type-$number>",
        map({ "    $_" } @lines), '</LLMuxProvider>';
}

sub module_conf
{
    my ($o) = @_;
    my $providers = join '', map {
        my $number = $_;
        map { provider_conf($o, $_, $number) } qw(openai anthropic)
    } 1 .. $o->{mock}{addresses};
    my $directives = join '', map { "$_\n" } @{ $o->{directives} || [] };

    return <<"EOT";

LoadModule llmux_module "$o->{module}"
LLMuxMasterKey off
$directives$providers<Location "/v1">
    SetHandler llmux
</Location>
EOT
}

# Starts httpd in the foreground; %$o has dir, mock (what stands behind it),
# module (path, or undef for a plain httpd), models (of openai, of anthropic),
# directives for the module, children (2) and, for one process under valgrind,
# wrap (a command) and seconds to wait for it.
sub start_httpd
{
    my ($o) = @_;
    my $port = $o->{port} = free_port();
    my $conf = write_file("$o->{dir}/httpd-$port.conf", httpd_conf($o));
    my @how = $o->{wrap} ? qw(-X -DOneProcess) : qw(-DFOREGROUND);
    my $log = "$o->{dir}/httpd.log";
    my $pid = start('httpd', $log, @{ $o->{wrap} || [] }, httpd_program(),
                    @how, '-f', $conf);

    await_port($pid, $port, $log, $o->{seconds});
    return { pid => $pid, port => $port };
}

# ---- nginx

# To the mock, or over TLS to what stands before it.
sub nginx_pass
{
    my ($o) = @_;
    my $ca = $o->{mock}{ca} or return 'proxy_pass http://mock;';

    return join "\n" . ' ' x 12, 'proxy_pass https://mock;',
        "proxy_ssl_trusted_certificate $ca;", 'proxy_ssl_verify on;',
        'proxy_ssl_name localhost;', 'proxy_ssl_session_reuse on;';
}

sub nginx_listen
{
    my ($o) = @_;
    my $key = $o->{key} or return "listen 127.0.0.1:$o->{port} backlog=4096;";

    return join "\n" . ' ' x 8,
        map({ "listen $_:$o->{port} ssl backlog=4096;" } addresses($o)),
        "ssl_certificate $o->{certificate};", "ssl_certificate_key $key;",
        'ssl_session_cache shared:tls:2m;';
}

sub nginx_conf
{
    my ($o) = @_;
    my $user = $> ? '' : 'user www-data;';
    my $temp = join '', map { "    ${_}_temp_path $o->{dir}/nginx-$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);
    my $servers = join '', map { "        server $_:$o->{mock}{port};\n" }
        addresses($o);

    return <<"EOT";
$user
worker_processes 2;
pid $o->{dir}/nginx-$o->{port}.pid;
error_log $o->{dir}/nginx.log warn;
daemon off;
events {
    worker_connections 16384;
}
http {
$temp
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 60;
    keepalive_requests 100000000;
    client_body_buffer_size 256k;
    client_max_body_size 32m;
    upstream mock {
$servers        keepalive 256;
        keepalive_requests 100000000;
    }
    server {
        @{[nginx_listen($o)]}
        location / {
            @{[nginx_pass($o)]}
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
}
EOT
}

# %$o has dir and mock (what stands behind it).
sub start_nginx
{
    my ($o) = @_;
    my $port = $o->{port} = free_port();
    my $conf = write_file("$o->{dir}/nginx-$port.conf", nginx_conf($o));
    my $log = "$o->{dir}/nginx.log";
    my $pid = start('nginx', $log, find_program('nginx'), '-p', $o->{dir},
                    '-e', $log, '-c', $conf);

    await_port($pid, $port, $log);
    return { pid => $pid, port => $port };
}

# ---- TLS to the upstream

sub openssl
{
    my ($log, @arguments) = @_;
    my $program = find_program('openssl') or die "openssl is not installed\n";

    system('sh', '-c', 'exec "$@" >>"$0" 2>&1', $log, $program,
           @arguments) == 0 or die "openssl failed: see $log\n";
}

# An authority for this run, and a certificate for the mock's addresses. httpd
# looks for the host in the name, others among the alternatives.
sub make_certificate
{
    my ($dir, @addresses) = @_;
    my @key = qw(-nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1);
    my $names = join ',', 'DNS:localhost', map { "IP:$_" } @addresses;
    my $extensions = write_file("$dir/tls.ext", "subjectAltName=$names\n");
    my $log = "$dir/openssl.log";

    openssl($log, 'req', '-x509', '-days', 2, @key, '-subj', '/CN=bench',
            '-keyout', "$dir/ca.key", '-out', "$dir/ca.pem");
    openssl($log, 'req', @key, '-subj', '/CN=127.0.0.1',
            '-keyout', "$dir/tls.key", '-out', "$dir/tls.csr");
    openssl($log, 'x509', '-req', '-days', 2, '-in', "$dir/tls.csr",
            '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-CAcreateserial',
            '-extfile', $extensions, '-out', "$dir/tls.pem");
    return { ca => "$dir/ca.pem", key => "$dir/tls.key",
             certificate => "$dir/tls.pem" };
}

# The mock speaks no TLS: an nginx that is not counted does it in its stead,
# the same for all servers.
sub start_terminator
{
    my ($dir, $mock) = @_;
    my $tls = make_certificate($dir, addresses({ mock => $mock }));
    my $nginx = start_nginx({ dir => $dir, mock => $mock, %$tls });

    return { %$mock, %$nginx, ca => $tls->{ca} };
}

1;
