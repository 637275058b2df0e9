# 07-soak.t - the soak sees what is wrong, and only that.
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bench/lib";
use LLMux::Test;
use LLMux::Response;
use Soak::Text qw(flaw_of text_of);
use Soak::Traffic;
use Soak::Verdicts qw(flat answers books rest same_children log_lines);

sub is_good
{
    my ($v, $want, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is $v->[1], $want, $what or diag $v->[2];
    return;
}

sub response
{
    my ($body, %more) = @_;
    return LLMux::Response->whole(status => 200, body => $body,
                                  headers => [['X-Request-ID', 'a']], %more);
}

subtest 'answers' => sub {
    my $event = qq(data: {"choices":[{"delta":{"content":"one \\"two\\""}}]}\n\n);
    my $error = qq(data: {"error":{"message":"no"}}\n\n);
    my $end = "data: [DONE]\n\n";
    my %stream = (id => 'a', stream => 1, text => 'one "two"');
    my %broken = (%stream, broken => 1);
    my %whole = (id => 'a', text => 'one');
    my $whole = '{"choices":[{"message":{"content":"one"}}]}';
    my @cases = (
        [\%stream, response("$event$end"), 1, 'a stream'],
        [\%stream, response($event), 0, '... without its end'],
        [\%stream, response("$event$end$end"), 0, '... with two ends'],
        [\%stream, response("$event$event$end"), 0, '... that says it twice'],
        [\%stream, response("$event$error$end"), 0, '... with an error'],
        [\%broken, response("$event$error"), 1, 'one that breaks'],
        [\%broken, response("$error"), 1, '... before the first word'],
        [\%broken, response("$event$event$error"), 0, '... and repeats'],
        [\%broken, response("$event$end"), 0, '... but does not say so'],
        [\%whole, response($whole), 1, 'a whole answer'],
        [\%whole, response($whole =~ s/one/two/r), 0, 'other words'],
        [\%whole, response($whole, status => 502), 0, 'another status'],
        [\%whole, response($whole, error => 'reset'), 0, 'a cut'],
        [{ %whole, id => 'b' }, response($whole), 0, "another's answer"],
        [{ %whole, status => 502, like => qr/no/ },
         response($error, status => 502), 1, 'a failure that is due'],
    );

    for my $case (@cases) {
        my ($rq, $res, $good, $what) = @$case;
        my $flaw = flaw_of($rq, $res);
        is $flaw eq '' ? 1 : 0, $good, $what or diag $flaw;
    }
    is text_of('{"type":"message","content":[{"type":"text","text":"a"}]}'),
        'a', "what an Anthropic answer says";
};

subtest 'flat or not' => sub {
    my $judge = sub {
        my ($kind, @values) = @_;
        return flat($kind, $kind, [@values], sub { $_[0] });
    };
    my @noise = map { 150 + ($_ % 5) * 8 } 1 .. 24;

    is_good $judge->('descriptors', @noise), 1, 'noise';
    is_good $judge->('descriptors', map { 150 + 8 * $_ } 1 .. 24), 0,
        'eight more with each sample';
    is_good $judge->('memory', map { 15_000 + 700 * $_ } 1 .. 24), 0,
        '700 KB more with each';
    is_good $judge->('parent descriptors', (11) x 12, (12) x 12), 0,
        'one more in the parent';
    is_good $judge->('threads', (36) x 7), 0, 'too few to tell';
};

subtest 'the books' => sub {
    # What happened to requests, their lines in the log, and the verdict.
    my @cases = (
        [[[answered => 1], [left => 1, 1]], 1, 'a line for each'],
        [[[answered => 1], [left => 0, 0]], 1, 'a reset that came too early'],
        [[[answered => 0]], 0, 'an answer without a line'],
        [[[left => 0, 1]], 0, 'one that was read, without a line'],
        [[[answered => 2]], 0, 'two lines'],
        [[[answered => 1], [unread => 0]], 1, 'nobody read it'],
        [[[answered => 1], [unread => 1]], 0, 'read, and not answered'],
        [[[answered => 1], [stranger => 1]], 0, "a stranger's line"],
    );

    for my $case (@cases) {
        my ($requests, $good, $what) = @$case;
        my $t = Soak::Traffic->new(port => 1, tls_port => 1, rate => 1);
        my $n = 0;
        for my $happened (@$requests) {
            my ($how, $lines, @more) = @$happened;
            my $rq = { id => 'n' . ++$n, sort => 'close', text => 'one' };
            $t->asked($rq) if $how ne 'stranger';
            $t->answered($rq, response('{"content":"one"}',
                headers => [['X-Request-ID', $rq->{id}]])) if $how eq 'answered';
            $t->$how($rq, @more) if $how =~ /left|unread/;
            $t->logged(($rq->{id}) x $lines);
        }
        is_good books($t->settle), $good, $what;
    }
    my $t = Soak::Traffic->new(port => 1, tls_port => 1, rate => 1);
    my @rq = map { { id => "o$_", sort => 'close', text => 'one' } } 1, 2;
    my $right = sub { response('{"content":"one"}',
                               headers => [['X-Request-ID', $_[0]{id}]]) };
    $t->asked($_) for @rq;
    $t->answered($rq[0], $right->($rq[0]));
    is_good answers($t), 0, 'an answer that has not come';
    $t->answered($rq[1], $right->($rq[1]));
    is_good answers($t), 1, 'all have';
};

subtest 'children' => sub {
    my %fresh = (files => 3, 'epoll sets' => 1);
    my @cases = (
        [{ files => 3, 'epoll sets' => 1, providers => 9 }, 1, 'at rest'],
        [{ files => 3, timers => 1 }, 0, 'a timer left'],
        [{ files => 3, 'epoll sets' => 2 }, 0, 'a set left'],
        [{ files => 3, clients => 1 }, 0, 'a client left'],
        [{ files => 3, providers => 50 }, 0, 'more connections than needed'],
    );

    is_good rest(\%fresh, { 1 => $_->[0] }, 10), @$_[1, 2] for @cases;
    is_good rest(\%fresh, {}, 10), 0, 'no child at all';
    is_good same_children({ children => [1, 2, 3] }, { children => [2, 3] }), 1,
        'an old one goes';
    is_good same_children({ children => [2, 3] }, { children => [3, 4] }), 0,
        'one is replaced';
    is_good log_lines(['a child died'], {}), 0, 'a line that is not allowed';
    is_good log_lines([], {}), 1, 'none';
};

my ($status, $out) = run([$^X, tree() . '/bench/soak', '--help']);
is $status, 0, '--help';
like $out, qr/SOAK_SECONDS/, '... tells how long';
done_testing;
