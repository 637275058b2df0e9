# Script.pm - how an answer goes over the wire: a list of steps made from an
# answer and a behaviour. This is where providers misbehave.
#
# Steps: [send => bytes], [repeat => times, bytes, gap], [wait => seconds],
# [reset], [close], [done => 1 if the connection is to be closed].
package LLMux::Mock::Script;

use strict;
use warnings;
use Compress::Raw::Zlib;
use LLMux::Mock::Answers;

my %reasons = (200 => 'OK', 400 => 'Bad Request', 401 => 'Unauthorized',
    403 => 'Forbidden', 404 => 'Not Found', 429 => 'Too Many Requests',
    500 => 'Internal Server Error', 502 => 'Bad Gateway',
    503 => 'Service Unavailable', 504 => 'Gateway Timeout',
    529 => 'Site is overloaded');

# A word of the short form, "stall=2+gap=10", and what it means as behaviour.
my %words = (
    html => sub { (html => 1) },
    empty => sub { (body => '') },
    broken => sub { (body => '{"id": "chatcmpl-1", "choices": [{"ind') },
    bomb => sub { (body => "\0" x (($_[0] || 1) << 20), gzip => 1) },
    gzip => sub { (gzip => 1) },
    chunked => sub { (framing => 'chunked') },
    eof => sub { (framing => 'eof') },
    length => sub { (length => $_[0]) },
    long => sub { (length => "+$_[0]") },
    short => sub { (length => "-$_[0]") },
    stall => sub { (stall => $_[0] // 3600) },
    stall_after => sub { (stall_after => [$_[0] // 1, $_[1] // 3600]) },
    reset => sub { (reset => $_[0] // 'head') },
    cut => sub { (cut => $_[0] // 1) },
    half => sub { (half => $_[0] // 1) },
    unfinished => sub { (unfinished => $_[0] // 'all') },
    error_event => sub { (error_event => $_[0] // 'all') },
    gap => sub { (gap => ($_[0] // 10) / 1000) },
    dribble => sub { (dribble => [$_[0] || 1, ($_[1] // 0) / 1000]) },
    flood => sub { (flood => [$_[0] // 1000, $_[1] // 100]) },
    close => sub { (close => 1) },
    idle => sub { (idle => ($_[0] // 0) / 1000) },
);

# The short form as a behaviour; dies of a word it does not know.
sub behaviour
{
    my ($text) = @_;
    my %do;

    for my $part (split /\+/, $text // '') {
        my ($word, $args) = $part =~ /^(\w+)(?:=(.*))?$/
            or die "bad behaviour: $part\n";
        my @args = split /,/, $args // '';
        if ($word =~ /^\d{3}$/) {
            $do{status} = $word;
            $do{retry_after} = $args[0] // 1 if $word == 429 || @args;
            next;
        }
        my $code = $words{$word} or die "unknown behaviour: $word\n";
        %do = (%do, $code->(@args));
    }
    return \%do;
}

# All steps of one response.
sub steps
{
    my ($rq, $do) = @_;

    return ([wait => $do->{stall} || 0], ['reset'])
        if defined $do->{reset} && $do->{reset} eq 'head';
    my $answer = LLMux::Mock::Answers::answer($rq, $do);
    my $framing = framing($answer, $rq, $do);
    shorten($answer, $do, $rq->{n});
    my @sends = body_steps($answer, $do, $framing);

    unshift @sends, [send => head($answer, $rq, $do, $framing)];
    push @sends, [send => "0\r\n\r\n"]
        if $framing eq 'chunked' && $answer->{end} eq 'done';
    @sends = dribble(\@sends, $do->{dribble}) if $do->{dribble};
    unshift @sends, [wait => $do->{stall}] if $do->{stall};
    # What was sent is to arrive before the reset overtakes it.
    push @sends, [wait => 0.02] if $answer->{end} eq 'reset';
    return (@sends, [$answer->{end} => closes($rq, $do, $framing)]);
}

sub framing
{
    my ($answer, $rq, $do) = @_;

    return $do->{framing} if $do->{framing};
    return 'length' if defined $do->{length} || !$answer->{sse};
    return $rq->{version} eq '1.0' ? 'eof' : 'chunked';
}

sub closes
{
    my ($rq, $do, $framing) = @_;
    return $do->{close} || $framing eq 'eof' || $rq->{version} eq '1.0'
        || ($rq->{headers}{connection} || '') =~ /\bclose\b/i;
}

# Takes away what this behaviour will not say. Then answer->{end} is how it
# ends (done, close, reset) and {tail} what comes after the whole pieces.
sub shorten
{
    my ($answer, $do, $n) = @_;
    my %ends = (reset => 'reset', cut => 'close', half => 'done',
                unfinished => 'done', error_event => 'done');
    my ($kind) = grep { defined $do->{$_} } sort keys %ends;

    @$answer{qw(end tail missing)} = ($ends{ $kind // '' } || 'done', '', 0);
    expand($answer) if $kind || $do->{stall_after} || $do->{gzip};
    return if !$kind;
    my $pieces = $answer->{pieces};
    my $keep = $do->{$kind} eq 'all' ? $answer->{finish} : $do->{$kind};
    my @gone = $keep < @$pieces ? splice @$pieces, $keep : ();
    my $next = $gone[0] // '';

    $answer->{tail} = $kind eq 'unfinished' ? ''
        : $kind eq 'error_event'
        ? LLMux::Mock::Answers::error_event($answer->{dialect}, $n)
        : substr $next, 0, length($next) / 2;
    # A length is announced for the whole, unless the framing is to be right.
    $answer->{missing} = length(join '', @gone) - length $answer->{tail}
        if $answer->{end} ne 'done';
    return;
}

# Pieces that are said many times, one by one.
sub expand
{
    my ($answer) = @_;
    my (@pieces, $finish);

    for my $at (0 .. $#{ $answer->{pieces} }) {
        my $piece = $answer->{pieces}[$at];
        $finish = @pieces if $at == $answer->{finish};
        push @pieces, ref $piece ? ($piece->[1]) x $piece->[0] : $piece;
    }
    @$answer{qw(pieces finish)} = (\@pieces, $finish // 0);
    return;
}

sub body_steps
{
    my ($answer, $do, $framing) = @_;
    my $zip = $do->{gzip} && zipper();
    my ($stall_at, $stall) = @{ $do->{stall_after} || [-1] };
    my $said = 0;
    my @steps;

    for my $piece (@{ $answer->{pieces} }, $answer->{tail}) {
        push @steps, [wait => $stall] if $said == $stall_at;
        push @steps, [wait => $do->{gap}]
            if $do->{gap} && $said && $piece ne '';
        push @steps, ref $piece
            ? [repeat => $piece->[0], frame($framing, $piece->[1]), $do->{gap}]
            : [send => frame($framing, $zip ? $zip->($piece) : $piece)];
        $said++;
    }
    if ($zip) {
        push @steps, [send => frame($framing, $zip->())]
            if $answer->{end} eq 'done';
        $answer->{zipped} = 0;
        $answer->{zipped} += length $_->[1]
            for grep { $_->[0] eq 'send' } @steps;
    }
    return @steps;
}

# Packs pieces one by one so that each can be read at once; called with
# nothing it ends the stream.
sub zipper
{
    my $z = Compress::Raw::Zlib::Deflate->new(-WindowBits => WANT_GZIP,
                                              -AppendOutput => 1);
    return sub {
        my ($bytes) = @_;
        my $out = '';
        $z->deflate($bytes, $out) if defined $bytes;
        $z->flush($out, defined $bytes ? Z_SYNC_FLUSH : Z_FINISH);
        return $out;
    };
}

sub frame
{
    my ($framing, $bytes) = @_;
    return $bytes if $framing ne 'chunked';
    return $bytes eq '' ? '' : sprintf "%x\r\n%s\r\n", length $bytes, $bytes;
}

sub head
{
    my ($answer, $rq, $do, $framing) = @_;
    my $status = $answer->{status};
    my $reason = $do->{reason} // $reasons{$status} // 'Whatever';
    my @headers = (['Content-Type', $answer->{type}],
                   ['Request-Id', "req_mock$rq->{n}"],
                   @{ $answer->{headers} });

    push @headers, ['Content-Encoding', 'gzip'] if $do->{gzip};
    push @headers, ['Transfer-Encoding', 'chunked'] if $framing eq 'chunked';
    push @headers, ['Content-Length', content_length($answer, $do)]
        if $framing eq 'length';
    push @headers, ['Connection', 'close'] if closes($rq, $do, $framing);
    return join "\r\n", "HTTP/1.1 $status $reason",
        (map { "$_->[0]: $_->[1]" } @headers), '', '';
}

# The true one, or the one this behaviour claims: "7", "+7" or "-7".
sub content_length
{
    my ($answer, $do) = @_;
    my $claim = $do->{length} // '+0';
    my $true = $answer->{missing} + length $answer->{tail};

    $true += ref ? $_->[0] * length $_->[1] : length $_
        for @{ $answer->{pieces} };
    $true = $answer->{zipped} + $answer->{missing} if $answer->{zipped};
    return $claim =~ /^[+-]\d+$/ ? $true + $claim : $claim;
}

# The same bytes, n at a time; head and framing too.
sub dribble
{
    my ($steps, $how) = @_;
    my ($n, $secs) = @$how;

    return map {
        my $step = $_;
        $step->[0] ne 'send' ? $step
            : map { ([send => $_], [wait => $secs]) } unpack "(a$n)*", $step->[1]
    } @$steps;
}

1;
