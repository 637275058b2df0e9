# Httpd.pm - one stock httpd for one test file, on a port and in a directory of
# its own, and what it must not leave behind.
#
#   my $httpd = LLMux::Httpd->new(conf => $text, mpm => 'event',
#                                 modules => [qw(status deflate)]);
#
# In `conf`, __PORT__, __TLSPORT__, __DIR__ and __TREE__ are replaced.
# Options: module => 0 (without mod_llmux), tls => 1 (a second port with a
# self-signed certificate), env => {...}, loglevel, access_log (a format; 0 for
# none), files (how many it may have open).
# Environment: LLMUX_HTTPD, LLMUX_MODULES, LLMUX_MODULE (the .so), APXS,
# LLMUX_ASAN (the module was built with -fsanitize=address,undefined),
# LLMUX_TSAN (with -fsanitize=thread),
# LLMUX_KEEP (leave the directories), LLMUX_PARK (off, auto or always: how
# requests wait where a test does not say it).
package LLMux::Httpd;

use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP ();
use LLMux::Guard;
use LLMux::Place qw(tree build as_root patience wait_until temp_dir drop_dir
                    free_port run slurp spew);
use LLMux::Units qw(preloads);
use POSIX ();

my %running;        # by process id; belongs to the process in {owner}

# Modules that another one cannot live without.
my %needs = (
    auth_basic => [qw(authn_core authn_file authz_user)],
    cache_socache => [qw(cache)],
    dav_fs => [qw(dav)],
    http2 => [],
    proxy_connect => [qw(proxy)],
    proxy_http => [qw(proxy)],
    proxy_wstunnel => [qw(proxy)],
    ssl => [qw(socache_shmcb)],
);

# Few processes, quick to start, enough threads for a test.
my %mpm_settings = (
    event => <<'END',
StartServers 1
ServerLimit 2
ThreadsPerChild 32
MaxRequestWorkers 64
MinSpareThreads 1
MaxSpareThreads 64
END
    prefork => <<'END',
StartServers 4
MinSpareServers 2
MaxSpareServers 8
ServerLimit 16
MaxRequestWorkers 16
END
);
$mpm_settings{worker} = $mpm_settings{event};

my $line_form = qr/^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [\d :.]+\] \[/;
my $bad_level = qr/\[[\w-]*:(?:warn|error|crit|alert|emerg)\]/;
my $bad_end = qr/exit signal|possible coredump/;
my $sanitizer = qr/(?:ERROR|WARNING): \w+Sanitizer|runtime error:/;

sub new
{
    my ($class, %opt) = @_;
    my $self = $class->prepare(%opt);

    for (1 .. 10) {
        $self->settle_ports;
        $self->launch;
        return $self if $self->wait_ready(1);
        my $why = $self->output;
        $self->halt;
        last if $why !~ /Address already in use/;
        unlink "$self->{dir}/error.log", "$self->{dir}/stderr.log";
    }
    my $why = $self->output;
    drop_dir($self->{dir});
    die "httpd did not start:\n$why";
}

# What `httpd -t` says to this configuration: (exit status, output). Takes the
# options of new(), and args => ['-DDUMP_CONFIG'].
sub conf_test
{
    my ($class, %opt) = @_;
    my $self = $class->prepare(%opt);

    $self->settle_ports;
    my @answer = run([$self->command('-t', @{ $opt{args} || [] })],
        env => $self->{env}, dir => $self->{dir}, timeout => 30);
    push @answer, [$self->sanitizer_reports];
    drop_dir($self->{dir});
    return @answer[0, 1] if !@{ $answer[2] };
    return ('sanitizer', join "\n", $answer[1], @{ $answer[2] });
}

sub prepare
{
    my ($class, %opt) = @_;
    my $self = bless {
        mpm => 'event', module => 1, conf => '', loglevel => 'info',
        modules => [], files => 8192, %opt, owner => $$, dir => temp_dir('httpd'), ready => 0
    }, $class;

    $self->{module_so} = $ENV{LLMUX_MODULE} || build() . '/mod_llmux.so';
    if ($self->{module} && !-e $self->{module_so}) {
        drop_dir($self->{dir});
        die "$self->{module_so} is not built; run make\n";
    }
    for my $sub (qw(run htdocs state)) {
        mkdir "$self->{dir}/$sub";
        chown +(stat $self->{dir})[4, 5], "$self->{dir}/$sub";
    }
    $self->{env} = $self->environment(%{ $opt{env} || {} });
    $self->make_certificate if $self->{tls};
    return $self;
}

# Nothing of the caller's environment, so that no proxy, key or locale of his
# changes a test.
sub environment
{
    my ($self, %more) = @_;
    my %env = ((map { $_ => undef } keys %ENV), PATH => $ENV{PATH},
               LC_ALL => 'C', TZ => 'UTC', HOME => $self->{dir});

    my $dir = $self->{dir};
    if ($ENV{LLMUX_ASAN}) {
        $env{LD_PRELOAD} = preloads();
        $env{ASAN_OPTIONS} = "detect_leaks=0:log_path=$dir/asan";
        $env{UBSAN_OPTIONS} = "print_stacktrace=1:log_path=$dir/ubsan";
    }
    if ($ENV{LLMUX_TSAN}) {
        $env{TSAN_OPTIONS} = "exitcode=0:report_signal_unsafe=0:"
            . "log_path=$dir/tsan:suppressions="
            . tree() . '/t/unit/race.supp';
    }
    return { %env, %more };
}

# For "localhost" and 127.0.0.1, valid for a day.
sub make_certificate
{
    my ($self) = @_;
    my ($status, $out) = run([
        qw(openssl req -x509 -nodes -days 1 -newkey ec),
        qw(-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost),
        '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-addext', 'basicConstraints=critical,CA:FALSE',
        '-keyout', "$self->{dir}/tls.key", '-out', "$self->{dir}/tls.crt"]);

    die "openssl: $out\n" if $status ne '0';
    return;
}

sub settle_ports
{
    my ($self) = @_;

    $self->{port} = free_port();
    $self->{tls_port} = free_port() if $self->{tls};
    $self->write_conf;
    return;
}

sub write_conf
{
    my ($self) = @_;
    my %named = (PORT => $self->{port}, TLSPORT => $self->{tls_port} || 0,
                 DIR => $self->{dir}, TREE => tree());
    my $text = join '', $self->preamble, $self->tls_host, $self->{conf};

    $text =~ s/__(PORT|TLSPORT|DIR|TREE)__/$named{$1}/g;
    spew("$self->{dir}/httpd.conf", $text);
    return;
}

sub preamble
{
    my ($self) = @_;
    my $log = $self->{access_log} // ($self->{module}
        ? '%^LX' : '%h %t \\"%r\\" %>s %O');
    my $group = as_root() && getgrgid((getpwnam 'www-data')[3] // 0);

    return join "\n",
        'ServerRoot "__DIR__"', 'ServerName localhost',
        'Listen 127.0.0.1:__PORT__', 'PidFile run/httpd.pid',
        'DefaultRuntimeDir run', 'Mutex file:__DIR__/run default',
        'DocumentRoot "__DIR__/htdocs"', 'ErrorLog error.log',
        'CoreDumpDirectory "__DIR__"', 'Timeout 30', 'KeepAliveTimeout 5',
        'GracefulShutdownTimeout 5',
        ($group ? ('User www-data', "Group $group") : ()),
        $self->load_lines, "LogLevel $self->{loglevel}",
        ($self->{module} ? "LogLevel llmux:debug" : ()),
        ($self->{module} && $ENV{LLMUX_PARK}
            ? "LLMuxPark $ENV{LLMUX_PARK}" : ()),
        ($log ? "CustomLog access.log \"$log\"" : ()),
        $mpm_settings{ $self->{mpm} };
}

sub load_lines
{
    my ($self) = @_;
    my ($seen, @lines) = static_modules();
    my @todo = ("mpm_$self->{mpm}", qw(unixd authz_core log_config),
                ($self->{tls} ? 'ssl' : ()), @{ $self->{modules} });

    while (defined(my $name = shift @todo)) {
        next if $seen->{$name}++;
        if ($needs{$name} && grep { !$seen->{$_} } @{ $needs{$name} }) {
            delete $seen->{$name};
            unshift @todo, @{ $needs{$name} }, $name;
            next;
        }
        push @lines, "LoadModule ${name}_module "
            . modules_dir() . "/mod_$name.so";
        push @lines, 'TypesConfig /dev/null' if $name eq 'mime';
    }
    push @lines, "LoadModule llmux_module $self->{module_so}"
        if $self->{module};
    return @lines;
}

sub tls_host
{
    my ($self) = @_;

    return '' if !$self->{tls};
    return <<'END';
Listen 127.0.0.1:__TLSPORT__
SSLRandomSeed startup builtin
SSLSessionCache shmcb:__DIR__/run/tls(65536)
<VirtualHost 127.0.0.1:__TLSPORT__>
    SSLEngine on
    SSLCertificateFile "__DIR__/tls.crt"
    SSLCertificateKeyFile "__DIR__/tls.key"
</VirtualHost>
END
}

# ---- the machine's httpd

my %asked;

sub apxs
{
    my ($what) = @_;
    my $apxs = $ENV{APXS} || 'apxs';

    chomp($asked{$what} = `$apxs -q $what`) if !exists $asked{$what};
    return $asked{$what};
}

sub modules_dir { return $ENV{LLMUX_MODULES} || apxs('LIBEXECDIR') }

sub binary
{
    return $ENV{LLMUX_HTTPD}
        || (-x '/usr/sbin/apache2' && '/usr/sbin/apache2')
        || apxs('SBINDIR') . '/' . apxs('PROGNAME');
}

# Names of what is compiled in, as keys of a new hash.
sub static_modules
{
    $asked{static} //= (run([binary(), '-l']))[1];
    return { map { $_ => 1 } $asked{static} =~ /^\s+(?:mod_)?(\w+)\.c$/mg };
}

sub command
{
    my ($self, @args) = @_;
    # ThreadSanitizer wants the same addresses each time.
    my @under = $ENV{LLMUX_TSAN}
        ? (qw(setarch -R env), 'LD_PRELOAD=' . preloads()) : ();

    return (@under, binary(), '-d', $self->{dir}, '-f',
            "$self->{dir}/httpd.conf", @args);
}

# ---- start, restart, stop

sub launch
{
    my ($self) = @_;
    my @command = ('/bin/sh', '-c',
        "ulimit -c unlimited 2>/dev/null; ulimit -n $self->{files} "
        . '2>/dev/null; exec "$@"', 'sh',
        $self->command('-DFOREGROUND'));
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        # httpd signals its whole process group when it stops.
        POSIX::setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/stderr.log";
        open STDERR, '>&', \*STDOUT;
        my %env = %{ $self->{env} };
        %ENV = map { $_ => $env{$_} } grep { defined $env{$_} } keys %env;
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    POSIX::setpgid($pid, $pid);
    @$self{qw(pid ended killed left)} = ($pid);
    $running{$pid} = $self;
    LLMux::Guard::watch($pid);
    return;
}

# Waits until it has said $times times that it serves, and does.
sub wait_ready
{
    my ($self, $times) = @_;
    my $ready = wait_until(20, sub {
        return 'gone' if $self->gone;
        my $said = () = $self->log_text =~ /resuming normal operations/g;
        return $said >= $times && $self->accepts;
    });

    $self->{ready} = $times if $ready && $ready ne 'gone';
    return $ready && $ready ne 'gone';
}

sub accepts
{
    my ($self) = @_;
    return !!IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Proto => 'tcp', Timeout => 1);
}

# Has the process ended? Reaps it.
sub gone
{
    my ($self) = @_;

    return 1 if defined $self->{ended};
    return 0 if waitpid($self->{pid}, POSIX::WNOHANG()) != $self->{pid};
    $self->{ended} = $?;
    return 1;
}

# Takes another configuration (or the same) without cutting anybody off.
# Returns whether it serves again.
sub graceful
{
    my ($self, $conf) = @_;

    if (defined $conf) {
        $self->{conf} = $conf;
        $self->write_conf;
    }
    kill USR1 => $self->{pid};
    return $self->wait_ready($self->{ready} + 1);
}

# Stops it gracefully, or with the signal named; sees to it that all of it is
# gone. Returns whether it went by itself.
sub stop
{
    my ($self, $signal) = @_;

    if (!defined $self->{ended}) {
        kill $signal || 'WINCH', $self->{pid};
        $self->{killed} = !wait_until(15, sub { return $self->gone });
    }
    $self->halt;
    return !$self->{killed} && !$self->{left};
}

# The hard way, for whatever is left.
sub halt
{
    my ($self) = @_;
    my $pid = $self->{pid};

    return if !delete $running{$pid};
    if (!$self->gone) {
        kill TERM => $pid;
        wait_until(3, sub { return $self->gone });
    }
    if (!wait_until(2, sub { return !group_members($pid) })) {
        $self->{left} = join ' ', group_members($pid);
        kill KILL => -$pid;
        wait_until(2, sub { return $self->gone && !group_members($pid) });
    }
    LLMux::Guard::forget($pid);
    return;
}

# Processes of that group that are more than a zombie waiting for init.
sub group_members
{
    my ($group) = @_;

    return if !kill 0 => -$group;
    return $group if !-r '/proc/self/stat';
    return grep {
        slurp("/proc/$_/stat") =~ /.*\) ([A-Z]) \d+ (\d+)/s
            && $2 == $group && $1 ne 'Z'
    } map { m{(\d+)$} } glob '/proc/[0-9]*';
}

END {
    local $?;
    $_->{owner} == $$ && $_->halt for values %running;
}

sub DESTROY
{
    my ($self) = @_;
    local ($?, $@);
    $self->halt if $self->{pid} && $self->{owner} == $$;
    return;
}

# ---- what it says

sub port { return $_[0]{port} }
sub tls_port { return $_[0]{tls_port} }
sub dir { return $_[0]{dir} }
sub pid { return $_[0]{pid} }
sub url { return "http://127.0.0.1:$_[0]{port}" }
sub tls_url { return "https://localhost:$_[0]{tls_port}" }
sub certificate { return "$_[0]{dir}/tls.crt" }

sub log_text { return slurp("$_[0]{dir}/error.log") }

# Waits for a line in the error log.
sub wait_log
{
    my ($self, $pattern, $secs) = @_;
    return wait_until($secs || 10, sub { $self->log_text =~ $pattern });
}

sub access_text { return slurp("$_[0]{dir}/access.log") }

# The access log as data, one hash a line. A line is written after its answer
# is: name the number you expect, and it waits for that many.
sub access_lines
{
    my ($self, $expected) = @_;

    wait_until(10, sub {
        return ($self->access_text =~ tr/\n//) >= $expected;
    }) if $expected;
    return @{ $self->new_lines };
}

# Lines that were read before are not read again: that takes longer than the
# tests that ask for them.
sub new_lines
{
    my ($self) = @_;
    my $text = $self->access_text;
    my $read = $self->{lines_read} //= { at => 0, lines => [] };

    @$read{qw(at lines)} = (0, []) if $read->{at} > length $text;
    while ((my $end = index $text, "\n", $read->{at}) >= 0) {
        my $line = substr $text, $read->{at}, $end - $read->{at};
        push @{ $read->{lines} }, JSON::PP::decode_json($line);
        $read->{at} = $end + 1;
    }
    return $read->{lines};
}

# The numbers of its processes that answer requests.
sub children
{
    my ($self) = @_;
    my @children = sort { $a <=> $b }
        grep { $_ != $self->{pid} } group_members($self->{pid});
    return @children;
}

sub output
{
    my ($self) = @_;
    return slurp("$self->{dir}/stderr.log") . $self->log_text;
}

# ---- what it must not leave behind

# Everything that is wrong with a run that has ended, one line each.
sub problems
{
    my ($self, %opt) = @_;
    my @allow = @{ $opt{allow} || [] };
    my @lines = grep { bad_line($_) } split /\n/, $self->output;

    for my $pattern (@allow) {
        @lines = grep { $_ !~ $pattern } @lines;
    }
    push @lines, $self->sanitizer_reports, $self->bad_access_lines,
        map { "core file: $_" } glob "$self->{dir}/core*";
    push @lines, 'it did not stop by itself' if $self->{killed};
    push @lines, "processes left: $self->{left}" if $self->{left};
    push @lines, "it ended with status $self->{ended}" if $self->{ended};
    return @lines;
}

# Whatever is not in httpd's own form was written by a C library in trouble.
sub bad_line
{
    my ($line) = @_;
    return $line =~ /\S/ && ($line !~ $line_form || $line =~ $bad_level
        || $line =~ $bad_end || $line =~ $sanitizer);
}

sub sanitizer_reports
{
    my ($self) = @_;
    my @files = map { glob "$self->{dir}/$_.*" } qw(asan ubsan);

    return map { "sanitizer: $_" }
        (map { (grep { $_ =~ $sanitizer } split /\n/, slurp($_))[0] // $_ }
            @files),
        map { races(slurp($_)) } glob "$self->{dir}/tsan.*";
}

# Those between two places of ours: httpd is not instrumented, so its ways of
# handing memory from one thread to the next are not seen.
sub races
{
    my ($text) = @_;
    return grep { /WARNING/ && !(grep { !is_ours($_) } accesses($_)) }
        split /^=+$/m, $text;
}

sub accesses { return grep { /^  \S.* of size \d+ at/m } split /\n\n/, $_[0] }

sub is_ours
{
    my ($access) = @_;
    my ($place) = grep { !/libtsan/ } $access =~ /^ +#\d+ (.*)$/mg;
    return ($place // '') =~ /mod_llmux\.so/;
}

# With our own format each line of the access log is one JSON object.
sub bad_access_lines
{
    my ($self) = @_;

    return if !$self->{module} || defined $self->{access_log};
    return map { "access log: $_" }
        grep { ref(eval { JSON::PP::decode_json($_) }) ne 'HASH' }
        split /\n/, $self->access_text;
}

sub remove { return drop_dir($_[0]{dir}) }

1;
