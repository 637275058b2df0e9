# Servers.pm - the mock provider, and those who stand before it: one httpd with
# the module and with ProxyPass, and nginx.
package Bench::Servers;

use strict;
use warnings;
use Exporter 'import';
use Bench::Process qw(start stop free_port await_port);

our @EXPORT_OK = qw(build start_mock start_httpd start_nginx find_program
                    httpd_program write_file);

my @flags = qw(-std=gnu99 -O2 -g -Wall -Wextra -Wno-unused-parameter);

my %programs = (
    mock => [qw(mock.c answers.c timers.c)],
    load => [qw(load.c reply.c samples.c timers.c)],
);

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

sub start_mock
{
    my ($program, $dir, @recordings) = @_;
    my $port = free_port();
    my $log = "$dir/mock.log";
    my $pid = start('mock', $log, $program, '-p', $port,
                    map { ('-f', $_) } @recordings);

    await_port($pid, $port, $log);
    return { pid => $pid, port => $port };
}

# ---- httpd

sub load_modules
{
    my $dir = apxs('LIBEXECDIR') || '/usr/lib/apache2/modules';

    return join '', map {
        "<IfModule !mod_$_.c>\n    LoadModule ${_}_module $dir/mod_$_.so\n"
        . "</IfModule>\n"
    } qw(mpm_event unixd authz_core proxy proxy_http);
}

sub httpd_conf
{
    my ($o) = @_;
    my $user = $> ? '' : "User www-data\nGroup www-data\n";
    my $ours = $o->{module} ? module_conf($o) : '';

    return load_modules() . <<"EOT" . $ours;
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
    StartServers 2
    ServerLimit 4
    ThreadLimit 128
    ThreadsPerChild 128
    MaxRequestWorkers 256
    MinSpareThreads 1
    MaxSpareThreads 256
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

ProxyPass "/proxy/" "http://127.0.0.1:$o->{mock}/"
EOT
}

sub module_conf
{
    my ($o) = @_;

    return <<"EOT";

LoadModule llmux_module "$o->{module}"
LLMuxMasterKey off
<LLMuxProvider mock>
    LLMuxType    openai-compatible
    LLMuxBaseURL http://127.0.0.1:$o->{mock}/v1
    LLMuxProxy   none
    LLMuxModels  @{$o->{openai_models}}
</LLMuxProvider>
<LLMuxProvider mock-anthropic>
    LLMuxType    anthropic
    LLMuxBaseURL http://127.0.0.1:$o->{mock}
    LLMuxAPIKey  sk-bench
    LLMuxProxy   none
    LLMuxModels  @{$o->{anthropic_models}}
</LLMuxProvider>
<Location "/v1">
    SetHandler llmux
</Location>
EOT
}

# Starts httpd in the foreground; %$o has dir, mock (port), module (path, or
# undef for a plain httpd), openai_models, anthropic_models and, for one
# process under valgrind, wrap (a command) and seconds to wait for it.
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

sub nginx_conf
{
    my ($o) = @_;
    my $user = $> ? '' : 'user www-data;';
    my $temp = join '', map { "    ${_}_temp_path $o->{dir}/nginx-$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);

    return <<"EOT";
$user
worker_processes 2;
pid $o->{dir}/nginx.pid;
error_log $o->{dir}/nginx.log warn;
daemon off;
events {
    worker_connections 4096;
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
        server 127.0.0.1:$o->{mock};
        keepalive 256;
        keepalive_requests 100000000;
    }
    server {
        listen 127.0.0.1:$o->{port} backlog=4096;
        location / {
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
}
EOT
}

sub start_nginx
{
    my ($o) = @_;
    my $port = $o->{port} = free_port();
    my $conf = write_file("$o->{dir}/nginx.conf", nginx_conf($o));
    my $log = "$o->{dir}/nginx.log";
    my $pid = start('nginx', $log, find_program('nginx'), '-p', $o->{dir},
                    '-e', $log, '-c', $conf);

    await_port($pid, $port, $log);
    return { pid => $pid, port => $port };
}

1;
