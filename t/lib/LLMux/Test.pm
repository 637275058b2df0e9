# Test.pm - all that a test of mod_llmux uses; it needs no other line than
#
#   use FindBin;
#   use lib "$FindBin::Bin/lib";
#   use LLMux::Test;
#
#   my $mock = mock();
#   my $httpd = httpd(conf => <<"END");
#       <LLMuxProvider openai>
#           LLMuxBaseURL @{[ $mock->base('/v1') ]}
#       </LLMuxProvider>
#       <Location "/">
#           SetHandler llmux
#       </Location>
#   END
#   my $res = client($httpd)->post('/v1/chat/completions', chat('gpt-5', 'Hi'));
#   is $res->status, 200, 'it answers';
#   done_clean($httpd);
#   done_testing;
#
# Test::More, strict and warnings come with it. A file that takes longer than
# LLMUX_TIMEOUT (240 s) is ended.
package LLMux::Test;

use strict;
use warnings;
use Exporter ();
use JSON::PP ();
use LLMux::Client;
use LLMux::Corpus;
use LLMux::Httpd;
use LLMux::Mock;
use LLMux::Place qw(tree build as_root patience wait_until temp_dir drop_dir
                    free_port run slurp spew);
use Test::More;
use Time::HiRes qw(time sleep);

our @ISA = ('Exporter');
our @EXPORT = qw(httpd conf_test mock client curl chat sse to_json from_json
                 true false get post corpus_or_skip module_or_skip done_clean
                 tree build as_root patience wait_until temp_dir drop_dir
                 free_port run slurp spew time sleep);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub import
{
    my ($class) = @_;

    strict->import;
    warnings->import;
    Test::More->export_to_level(1, 'Test::More');
    $class->export_to_level(1, $class);
    binmode $_, ':utf8' for map { Test::More->builder->$_ }
        qw(output failure_output todo_output);
    # So that END blocks run and everything started is stopped.
    $SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
    $SIG{ALRM} = sub { die "# this test takes too long\n" };
    alarm patience($ENV{LLMUX_TIMEOUT} || 240);
    return;
}

sub httpd { return LLMux::Httpd->new(@_) }
sub mock { return LLMux::Mock->new(@_) }
sub client { return LLMux::Client->new(@_) }
sub curl { return LLMux::Client::curl(@_) }

# (exit status, output) of `httpd -t` with this text in its configuration.
sub conf_test
{
    my ($conf, %opt) = @_;
    return LLMux::Httpd->conf_test(conf => $conf, %opt);
}

# One request on a connection of its own.
sub get
{
    my ($where, @rest) = @_;
    return client($where)->get(@rest);
}

sub post
{
    my ($where, @rest) = @_;
    return client($where)->post(@rest);
}

# A plain chat request: chat('gpt-5', 'Hi', stream => true).
sub chat
{
    my ($model, $text, %more) = @_;
    return { model => $model, %more,
             messages => [{ role => 'user', content => $text }] };
}

# Events of an event stream given as bytes, or as [time, bytes] pieces.
sub sse { return LLMux::Response::sse(map { ref ? $_ : [0, $_] } @_) }

sub to_json { return $json->encode($_[0]) }
sub from_json { return $json->decode($_[0]) }
sub true { return JSON::PP::true }
sub false { return JSON::PP::false }

# The recordings; without them the file ends here, as skipped, or as failed
# where nothing may be missing (LLMUX_REQUIRE, or LLMUX_CORPUS names nothing).
sub corpus_or_skip
{
    my ($corpus, $why) = LLMux::Corpus->find;

    return $corpus || missing($why, $ENV{LLMUX_CORPUS});
}

# Likewise for a module of httpd that a distribution may leave out.
sub module_or_skip
{
    my ($name) = @_;
    my $file = LLMux::Httpd::modules_dir() . "/mod_$name.so";

    return 1 if LLMux::Httpd::static_modules()->{$name} || -e $file;
    return missing("httpd has no mod_$name");
}

sub missing
{
    my ($why, $required) = @_;

    plan(skip_all => $why) if !$required && !$ENV{LLMUX_REQUIRE};
    fail($why);
    done_testing();
    exit 1;
}

# The last test of a file: stops this httpd and all mocks; the log holds no
# warning or error but those that `allow` lists, no sanitizer has spoken, and
# nothing is left running. Without an httpd it looks at the mocks only.
sub done_clean
{
    my ($httpd, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @problems;

    if ($httpd) {
        $httpd->stop;
        push @problems, $httpd->problems(%opt);
    }
    push @problems, LLMux::Mock::stop_all();
    my $good = ok(!@problems, 'clean at the end');
    if (@problems > 30) {
        splice @problems, 30, @problems, '... and more';
    }
    diag($_) for @problems;
    $httpd->remove if $httpd && $good;
    diag("left for you: " . $httpd->dir) if $httpd && !$good;
    return $good;
}

1;
