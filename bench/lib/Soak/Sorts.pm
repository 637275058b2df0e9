# Sorts.pm - the sorts of traffic in a soak: who comes how often, what he asks,
# and how he behaves. A plan is described in Client.pm.
package Soak::Sorts;

use strict;
use warnings;
use Exporter 'import';
use Soak::Servers qw(known_text);
use Soak::Text qw(words);

our @EXPORT_OK = qw(sorts faults plan renew question http2_questions);

my $path = '/v1/chat/completions';

# ---- what is asked of the quick mock: its words are known

my @whole = ((map { "b1000-d0-w$_" } 1 .. 6), (map { "b2000-d20-w$_" } 1 .. 4),
             qw(b8000-d100 b1200-d400 b20000-d5));
my @paced = (map({ ("n20-g5-p$_", "n30-g30-p$_", "n12-g150-p$_") } 1 .. 3),
             qw(n60-g0 n200-g2 n5-g500-d200));
my @silent = qw(n3-g1500 n2-d2500-g0 n4-g1200-d1100);
my @big = (['b1000000-d0', 0], ['n4000-g0', 1]);

# ---- what is asked of the other one: it repeats what it is told

# Groups whose first deployment does this, and whose client sees nothing of it.
my %faults = (
    'saved-500'    => 'odd m+500',
    'saved-529'    => 'ant m+529',
    'saved-429'    => 'odd m+429=0',
    'saved-html'   => 'odd m+html',
    'saved-reset'  => 'odd m+reset',
    'saved-cut'    => 'odd m+cut=0',
    'saved-length' => 'odd m+long=9+close',
    'saved-broken' => 'gem m+broken',
    'saved-stall'  => 'hasty m+stall=3600',
    'saved-silent' => 'hasty m+stall_after=0,3600',
);

sub faults { return \%faults }

# Those that fail when something has been said already: streams only.
my @broken = split ' ', q(odd/m+cut=4 odd/m+reset=4 odd/m+half=4 odd/m+error_event=5
                ant/m+cut=6 ant/m+reset=6 gem/m+cut=3 gem/m+reset=3
                hasty/m+stall_after=4,3600 odd/m+gap=20+reset=6);

# A long one that fails in its last hundredth.
sub broken_late
{
    my $how = one('cut=1980', 'error_event=1980');

    return question(model => "odd/m+flood=2000,500+$how", stream => 1,
                    broken => 1, text => 'x' x (1980 * 500));
}

# Those that have no fallback.
my @failing = map { [$_, qr/50[0-9]|529/] }
    qw(ant/m+500 gem/m+503 ant/m+reset hasty/m+stall=3600);

my @packed = qw(odd/m+gzip ant/m+gzip gem/m+gzip odd/m+gzip+gap=10
                ant/m+gzip+chunked);

# ---- requests

sub one { return $_[rand @_] }

my $so_far = 0;

# The bytes of a request under a name of its own.
sub renew
{
    my ($rq) = @_;
    my $id = $rq->{id} = 'soak-' . ++$so_far;
    my $words = $rq->{words} || 0;
    my $text = $words ? words($id, $words) : 'Say something.';
    my $body = $rq->{get} ? '' : sprintf
        '{"model":"%s","messages":[{"role":"user","content":"%s"}]%s}',
        $rq->{model}, $text, $rq->{stream} ? ',"stream":true' : '';

    $rq->{text} = $text if $words;
    $rq->{body} = $body;
    delete $rq->{res};
    $rq->{bytes} = join "\r\n", ($rq->{get} ? "GET $rq->{get}" : "POST $path")
        . ' HTTP/1.1', 'Host: localhost', "X-Request-ID: $id",
        $rq->{close} ? 'Connection: close' : (),
        $rq->{get} ? () : ('Content-Type: application/json',
                           'Content-Length: ' . length $body), '', $body;
    return $rq;
}

sub question { return renew({ @_ }) }

# One whose answer is known: "fast/model" or "claude/model".
sub known
{
    my ($account, $model, $stream, @more) = @_;
    my $dialect = $account eq 'claude' ? 'anthropic' : 'openai';

    return question(model => "$account/$model", stream => $stream,
        text => known_text($model, $dialect, $stream), @more);
}

sub account { return rand() < 0.7 ? 'fast' : 'claude' }
sub whole { return known(account(), one(@whole), 0, @_) }
sub paced { return known(account(), one(@paced), 1, @_) }
sub silent { return known(account(), one(@silent), 1, @_) }

sub big
{
    my ($model, $stream) = @{ one(@big) };
    return known('fast', $model, $stream, @_);
}

sub spoken
{
    my ($model, $words, @more) = @_;
    my $stream = rand() < 0.5 ? 1 : 0;
    return question(model => $model, stream => $stream, words => $words,
                    @more);
}

sub mixed { return rand() < 0.7 ? whole(@_) : paced(@_) }

sub any
{
    my $chance = rand;
    return $chance < 0.3 ? whole() : $chance < 0.6 ? paced()
        : $chance < 0.85 ? silent() : spoken('odd/m+gap=50', 30);
}

sub several { my ($n, $code) = @_; return map { $code->() } 1 .. $n }
sub leaving { return { after => rand $_[0], how => one(qw(fin rst half)) } }

# ---- sorts

# Of each server: clients a second, and a client's plan.
my %sorts = (
    'keep-alive'     => [1.2, sub { (think => 0.05, requests => [
                            several(4 + rand 12, \&mixed)]) }],
    'close'          => [5, sub { requests => [mixed(close => 1)] }],
    'pipelined'      => [0.8, sub { (pipelined => 1, requests => [
                            several(2 + rand 4, \&mixed)]) }],
    'TLS'            => [0.4, sub { (tls => 1, think => 0.1, requests => [
                            several(2 + rand 8, \&mixed)]) }],
    'streams'        => [3, sub { requests => [paced()] }],
    'silences'       => [1.5, sub { requests => [silent()] }],
    'slow readers'   => [0.2, sub { (slow => 4 + rand 20,
                            receive_buffer => 4096, requests => [
                            rand() < 0.3 ? broken_late() : big()],
                            rand() < 0.3 ? (leave => leaving(1)) : ()) }],
    'leaving'        => [3, sub { (leave => leaving(2), requests => [any()]) }],
    'leaving TLS'    => [0.2, sub { (tls => 1, leave => leaving(3),
                            requests => [any()]) }],
    'half a body'    => [1.5, sub { (stop_at => 1 + int rand 60,
                            pause => rand 3, requests => [mixed()],
                            rand() < 0.5 ? (leave => leaving(1)) : ()) }],
    'saved'          => [1.5, sub { requests => [
                            spoken(one(sort keys %faults), 8)] }],
    'broken streams' => [1, sub { requests => [
                            question(model => one(@broken), stream => 1,
                                     words => 12, broken => 1)] }],
    'failures'       => [0.5, sub { my ($model, $status) = @{ one(@failing) };
                            (requests => [spoken($model, 2,
                                status => $status, like => qr/"error":/)]) }],
    'gzip'           => [1, sub { requests => [
                            spoken(one(@packed), 20 + rand 300)] }],
    'big'            => [0.4, sub { requests => [big()] }],
    'no such model'  => [0.5, sub { requests => [question(model => 'nobody',
                            words => 1, status => 404, like => qr/"error":/)]
                            }],
    'metrics'        => [0.2, sub { requests => [question(get => '/metrics',
                            like => qr/^llmux_http_requests_parked \d/m)] }],
);

sub sorts { return map { [$_, $sorts{$_}[0]] } sort keys %sorts }

sub plan
{
    my ($sort) = @_;
    my %plan = (sort => $sort, $sorts{$sort}[1]->());

    $_->{sort} = $sort for @{ $plan{requests} };
    return \%plan;
}

# For one connection of HTTP/2.
sub http2_questions
{
    my @all = several(2 + rand 4, sub { rand() < 0.9 ? mixed() : silent() });

    $_->{sort} = 'HTTP/2' for @all;
    return @all;
}

1;
