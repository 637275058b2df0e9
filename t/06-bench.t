# 06-bench.t - the benchmark counts, times and judges rightly.
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bench/lib";
use LLMux::Test;
use Bench::Cases qw(cases held_cases);
use Bench::Delays ();
use Bench::Held qw(children_for held_verdicts);
use Bench::Report qw(cost_verdicts cost_rows);
use Bench::Servers ();
use Bench::Stats qw(ratio distance median);

my $dir = temp_dir('bench');
my %tools = map { $_ => Bench::Servers::build($_, tree() . "/bench", $dir) }
    qw(mock load hold);
my $mock = Bench::Servers::start_mock($tools{mock}, $dir, 2);

# A body that asks for this model, streamed.
sub body
{
    my ($model) = @_;

    spew("$dir/$model.json", to_json({ model => $model, stream => true,
                                       messages => [] }));
    return "$dir/$model.json";
}

# The numbers in the last line that a program prints.
sub numbers
{
    my ($tool, @how) = @_;
    my (undef, $out) = run([$tools{$tool}, '-a', $mock->{port}, @how]);
    my ($line) = $out =~ /^((?:responses|streams)=.*)$/m;

    return { ($line // '') =~ /(\w+)=(\S+)/g };
}

subtest 'chunks say when they were written' => sub {
    my @ask = ('-u', '/v1/chat/completions', '-b', body('n5-d0-g20-s1'));
    my $m = numbers('load', @ask, '-c', 2, '-n', 4, '-w', '-e', '[DONE]');

    is $m->{responses}, 4, 'four answers';
    is $m->{errors}, 0, 'without errors';
    is $m->{delays}, 20, 'a time in each chunk';
    cmp_ok $m->{delay_p50}, '<', 20_000, 'which is that of its writing';
    $m = numbers('load', '-u', '/v1/messages', '-b',
                 body('n5-d0-g0-s1-anthropic'), '-n', 1, '-w',
                 '-e', 'message_stop');
    is $m->{delays}, 5, 'in the other dialect too, and in one read';
};

subtest 'streams are held' => sub {
    my @ask = ('-u', '/v1/chat/completions', '-n', 20, '-s', 50, '-l', 400,
               '-i', 2, '-e', '[DONE]', map { ('-b', body("n5-g100-s1-a$_")) }
                   1, 2);
    my $m = numbers('hold', @ask, '-p', 5);

    is_deeply [@$m{qw(held completed chunks lost errors)}],
        [20, 20, 100, 0, 0], 'all at once, to the end, with each chunk';
    $m = numbers('hold', @ask, '-p', 6);
    is_deeply [@$m{qw(held completed lost errors)}], [20, 0, 20, 20],
        'a chunk that is missing is missed';
    $m = numbers('hold', @ask, '-p', 5, '-e', 'message_stop');
    is_deeply [@$m{qw(completed errors)}], [0, 20], 'and so is the end';
};

# Rounds in which the module and ProxyPass cost that much.
sub result
{
    my ($most, $ours, $theirs) = @_;
    my ($c) = cases('^whole-0ms$', 0);
    my $rounds = sub {
        [map { { cpu_us => $_, responses => 1, p50 => 1, p99 => 2 } } @_]
    };

    return { case => { %$c, most_proxypass => $most, most_nginx => '-' },
             got => { module => $rounds->(@$ours),
                      proxypass => $rounds->(@$theirs) } };
}

subtest 'verdicts' => sub {
    my @cases = (
        [0.60, [50, 51, 52], [100, 100, 100], 'PASS', 'below'],
        [0.60, [50, 61, 72], [100, 100, 100], 'PASS', 'touched'],
        [0.60, [61, 61, 62], [100, 100, 100], 'MISS', 'wholly above'],
    );

    for my $case (@cases) {
        my ($most, $ours, $theirs, $want, $name) = @$case;
        my $result = result($most, $ours, $theirs);
        my @lines = cost_verdicts($result);
        is scalar(@lines), 1, "$name: a line for the target";
        like $lines[0], qr/^$want  whole-0ms .*at most 0.60 x ProxyPass/,
            "$name: $want";
        is((cost_rows($result))[0]{verdict}, $want, "$name: in the row");
    }
    is_deeply [cost_verdicts(result('-', [9], [1]))], [],
        'no target, no verdict';
};

subtest 'statistics' => sub {
    is ratio([1, 4, 9], [2, 4, 3])->{is}, 1, 'the median of ratios';
    is distance([1, 4, 9], [2, 4, 3])->{is}, 0, 'the median of differences';
    is median(4, 1), 2.5, 'the median of two';
    ok Bench::Delays::stands_out(900, 9, 0, 0, 0, 1, 9, 1, 0), 'a step';
    ok !Bench::Delays::stands_out(900, 90, 40, 30, 20, 9, 8, 1, 0),
        'a slope is none';
};

subtest 'held streams' => sub {
    my %good = (up => 8, streams => 8, completed => 8, lost => 0, errors => 0,
                delay_p99 => 400);
    my @wrong = ([up => 7], [completed => 7], [lost => 1], [errors => 1]);
    my $verdict = sub {
        my ($line) = held_verdicts(
            { name => 'held', server => 'module', m => { %good, @_ } });
        return substr $line, 0, 4;
    };

    is $verdict->(), 'PASS', 'all is well';
    is $verdict->(@$_), 'MISS', "@$_" for @wrong;
    is children_for(16_000, 131_072), 2, 'two children';
    is children_for(16_000, 20_000), 8, 'more where descriptors are few';
    is children_for(16_000, 4_096), undef, 'none where they do not reach';
    my ($c) = held_cases('^held-8000$', 0);
    cmp_ok $c->{spread} + 3000, '<=', $c->{life},
        'the first stream lives when the last has begun';
};

Bench::Process::stop($mock->{pid});
drop_dir($dir);
done_testing;
