# Matrix.pm - every client dialect against every provider dialect, with every
# feature: asks, reads what the provider got and what the client got, and
# compares both with what was meant. Three tables make all cells: clients
# (Matrix/Doors.pm), providers (Matrix/Providers.pm) and features (here); the
# fourth lists what cannot be, and what happens then.
package LLMux::Matrix;

use strict;
use warnings;
use JSON::PP ();
use LLMux::Client;
use LLMux::Httpd;
use LLMux::Matrix::Doors qw(%doors @doors);
use LLMux::Matrix::Exceptions qw(exception);
use LLMux::Matrix::Providers qw(%providers @providers error_text);
use LLMux::Mock;
use LLMux::Place qw(temp_dir drop_dir run slurp spew);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $no = JSON::PP::false;

# Requests at once.
my $together = 16;

# ---- what is asked and said

my $png = "\x89PNG\r\n\x1a\n" . 'picture' x 20;
my $pdf = "%PDF-1.7\n" . 'page' x 20;
my $words = "Gr\xfc\xdfe, \"Welt\" \\ \x{1F680}\n2. Zeile";
my $system = 'Answer in K\xf6lsch.';
my %used = (input => 11, output => 5);

my $weather = { name => 'weather', description => 'The weather of a city',
    schema => { type => 'object', required => ['city'],
        properties => { city => { type => 'string' },
                        days => { type => 'integer' } } } };
my $clock = { name => 'clock', description => 'What time it is',
    schema => { type => 'object', properties => {
        zone => { type => 'string' } } } };
my $shape = { type => 'object', additionalProperties => $no,
    required => ['name', 'n'], properties => {
        name => { type => 'string' }, n => { type => 'integer' } } };

my @calls = (
    { id => 'call_Koeln', name => 'weather',
      args => { city => "K\xf6ln", days => 3 } },
    { id => 'call_Paris', name => 'weather',
      args => { city => 'Paris "P"', days => 1 } },
    { id => 'call_clock', name => 'clock', args => {} },
);

sub text { return [{ text => $_[0] }] }

sub says
{
    my ($text, @more) = @_;
    return { blocks => [{ text => $text }], usage => \%used, @more };
}

# Each provider's token in its own right: base64, as all of them are.
sub token
{
    my ($provider, $form) = @_;
    return 'EqQBCkgIARABGAIiQ' . unpack('H*', "$provider $form")
        . '+/x==';
}

my $thought = { think => "Hm, K\xf6ln \x{2026}", token => 1 };
my $thoughtful = { blocks => [$thought, { text => 'Why do you ask?' }],
                   end => 'stop', usage => { %used, reasoning => 7 } };

# A feature: how it is asked for, what the provider answers, which of what it
# got and of what the client got is compared. Forms: whole, stream, or others,
# each with more to ask or to answer.
my @whole_and_stream = ([whole => {}], [stream => { stream => 1 }]);

our @features = (
    { name => 'text', title => 'text', forms => [[whole => {}]],
      ask => { system => $system, user => text($words) },
      say => says($words, end => 'stop'),
      got => [qw(system user)], heard => [qw(text end usage)] },
    { name => 'stream', title => 'stream',
      forms => [[stream => { stream => 1 }]],
      ask => { system => $system, user => text($words) },
      say => says($words, end => 'stop'),
      got => [qw(system user)], heard => [qw(text end usage)] },
    { name => 'tools', title => 'tools', forms => \@whole_and_stream,
      ask => { user => text('The weather?'), tools => [$weather, $clock] },
      say => { blocks => [{ text => 'I look.' }, { call => $calls[0] }],
               end => 'calls', usage => \%used },
      got => [qw(user tools)], heard => [qw(text calls end usage)] },
    { name => 'parallel', title => 'parallel tools, streamed',
      forms => [[stream => { stream => 1 }]],
      ask => { user => text('The weather?'), tools => [$weather, $clock] },
      say => { blocks => [map { { call => $_ } } @calls],
               end => 'calls', usage => \%used },
      got => [qw(user tools)], heard => [qw(calls end usage)] },
    { name => 'results', title => 'tool results', forms => \@whole_and_stream,
      ask => { tools => [$weather, $clock], turns => [
          [user => text('The weather?')], [calls => \@calls, 'I look.'],
          [results => [
              { %{ $calls[0] }, text => '12 degrees' },
              { %{ $calls[1] }, text => '{"sky": "clo\xfbdy"}' },
              { %{ $calls[2] }, text => '03:04' }]]] },
      say => says('It rains.', end => 'stop'),
      got => [qw(tools calls results)], heard => [qw(text end)] },
    { name => 'images', title => 'images',
      forms => [[base64 => { user => [{ text => 'See:' },
                                      { image => $png }] }],
                [url => { user => [{ text => 'See:' },
                                   { image_url => '/pic.png' }] }]],
      ask => {}, say => says('A dot.', end => 'stop'),
      got => [qw(user images)], heard => [qw(text end)] },
    { name => 'pdf', title => 'PDF',
      forms => [[base64 => { user => [{ text => 'Read:' },
                                      { pdf => $pdf }] }],
                [url => { user => [{ text => 'Read:' },
                                   { pdf_url => '/doc.pdf' }] }]],
      ask => {}, say => says('A page.', end => 'stop'),
      got => [qw(user pdfs)], heard => [qw(text end)] },
    { name => 'structured', title => 'structured output',
      forms => \@whole_and_stream,
      ask => { user => text('Who?'), schema => $shape },
      say => says('{"name": "Ada", "n": 1}', end => 'stop'),
      got => [qw(user schema)], heard => [qw(text end)] },
    { name => 'reasoning', title => 'reasoning over two turns',
      forms => [@whole_and_stream, [whole_talk => { say => $thoughtful }],
                [stream_talk => { stream => 1, say => $thoughtful }]],
      ask => { user => text('The weather?'), tools => [$weather, $clock],
               effort => 'low', max => 9000 },
      say => { blocks => [$thought, { call => $calls[0] }],
               end => 'calls', usage => { %used, reasoning => 7 } },
      twice => 1,
      got => [qw(user effort)], heard => [qw(thoughts text calls end usage)] },
    { name => 'cached', title => 'cached usage', forms => \@whole_and_stream,
      ask => { user => text('Again?') },
      say => says('Again.', end => 'stop', usage => { input => 11,
          cache_read => 100, cache_write => 30, output => 5 }),
      got => ['user'], heard => [qw(text end usage)] },
    { name => 'stop', title => 'stop', forms => \@whole_and_stream,
      ask => { user => text('Count'), stop => ['END', 'STOP'] },
      say => says('1, 2', end => 'stop_sequence', sequence => 'END'),
      got => [qw(user stop)], heard => [qw(text end sequence usage)] },
    { name => 'length', title => 'length', forms => \@whole_and_stream,
      ask => { user => text('Count'), max => 77 },
      say => says('1, 2', end => 'length'),
      got => [qw(user max)], heard => [qw(text end usage)] },
    { name => 'refusal', title => 'refusal', forms => \@whole_and_stream,
      ask => { user => text('How to?') },
      say => { blocks => [{ refusal => 'I will not.' }], end => 'refusal',
               usage => \%used },
      got => ['user'], heard => [qw(refusal end)] },
    { name => 'error', title => 'error',
      forms => [map { my $kind = $_;
                      map { ["$kind$_" => { kind => $kind, stream => $_ }] }
                          0, 1 } qw(bad limit busy key)],
      ask => { user => text('Now?') }, got => ['user'], heard => ['error'] },
    { name => 'broken', title => 'error mid-stream',
      forms => [[stream => { stream => 1 }]],
      ask => { user => text('Now?') },
      say => says('It beg', end => 'stop', broken => 'The matrix broke.'),
      got => ['user'], heard => ['broken'] },
);

# ---- cells

sub cells
{
    my ($mock) = @_;
    my @cells;

    for my $door (@doors) {
        for my $provider (@providers) {
            for my $feature (@features) {
                push @cells, map { cell($mock, $door, $provider, $feature,
                                        @$_) }
                    grep { !lacks($door, $_->[1]) } @{ $feature->{forms} };
            }
        }
    }
    return @cells;
}

# Some forms are another one's words only.
sub lacks
{
    my ($door, $more) = @_;
    my $lacks = $doors{$door}{lacks} || {};
    return grep { $lacks->{$_} } map { keys %$_ } @{ $more->{user} || [] };
}

sub cell
{
    my ($mock, $door, $provider, $feature, $form, $more) = @_;
    my %ask = (%{ $feature->{ask} }, %$more);
    my $say = delete $ask{say} || $feature->{say};

    $ask{user} = [map { placed($mock, $_) } @{ $ask{user} }] if $ask{user};
    $ask{model} = model($provider, $feature->{name}, $form, $door);
    my $except = exception($door, $provider, $feature->{name});
    return { door => $door, provider => $provider, feature => $feature,
             form => $form, ask => \%ask, kind => $more->{kind},
             say => $say, wrong => [], except => $except };
}

# By their models the mock tells cells apart, and so do we.
sub model
{
    my ($provider, @more) = @_;
    return join '.', $providers{$provider}{model}, @more;
}

sub placed
{
    my ($mock, $part) = @_;
    return { map { $_ => /_url$/ ? $mock->url . $part->{$_} : $part->{$_} }
             keys %$part };
}

# ---- the mock and the server

# What a provider says for a feature, in its own words.
sub behaviour
{
    my ($name, $feature, $form, $more) = @_;
    my $p = $providers{$name};

    return $p->{error}->($more->{kind}) if $more->{kind};
    my %say = %{ $more->{say} || $feature->{say} };
    $say{end} = $p->{ends}{ $say{end} };
    delete $say{sequence} if !$p->{sequence};
    $say{usage} = folded($say{usage}, $p->{counts});
    $say{blocks} = [map { spoken($name, $form, $_) } @{ $say{blocks} }];
    return $p->{ $more->{stream} ? 'streamed' : 'whole' }->(\%say);
}

# Only some have tokens, or ids of calls.
sub spoken
{
    my ($name, $form, $block) = @_;
    my $p = $providers{$name};
    my %block = %$block;

    $block{token} = token($name, $form) if delete $block{token}
        && ($p->{back} // '') eq 'token';
    $block{call} = { %{ $block{call} }, id => undef }
        if $block{call} && $p->{nameless};
    return \%block;
}

# What somebody cannot count by itself is part of the whole.
sub folded
{
    my ($usage, $counts) = @_;
    my %into = (cache_read => 'input', cache_write => 'input',
                reasoning => 'output');
    my %can = map { $_ => 1 } @$counts;
    my %u = (cache_read => 0, cache_write => 0, reasoning => 0, %$usage);

    for my $name (grep { !$can{$_} } keys %into) {
        $u{ $into{$name} } += $u{$name};
        $u{$name} = 0;
    }
    return \%u;
}

sub rules
{
    my @rules = (
        { path => '^/pic\.png$', do => { body => $png,
                                         type => 'image/png' } },
        { path => '^/doc\.pdf$', do => { body => $pdf,
                                         type => 'application/pdf' } },
        { path => '^/token$', do => { json => { access_token => 'ya29.x',
            expires_in => 3600, token_type => 'Bearer' } } });

    for my $name (@providers) {
        for my $feature (@features, second_turn()) {
            push @rules, map { {
                model => '^' . quotemeta(model($name, $feature->{name},
                                               $_->[0])) . '\.',
                do => behaviour($name, $feature, @$_)
            } } @{ $feature->{forms} };
        }
    }
    return \@rules;
}

# What is said to those who come again: in all forms that they do it in.
sub second_turn
{
    my @forms = map { @{ $_->{forms} } } grep { $_->{twice} } @features;

    return { name => 'again', say => says('Well.', end => 'stop'),
             forms => [map { [$_->[0], { stream => $_->[1]{stream} }] }
                       @forms] };
}

sub section
{
    my ($name, $mock, $dir) = @_;
    my $p = $providers{$name};
    my $key = $p->{cloud} ? "LLMuxCredentials $dir/account.json"
        : $p->{key} // "LLMuxAPIKey sk-$name";

    return <<"END";
    <LLMuxProvider $name>
        LLMuxType $p->{type}
        LLMuxBaseURL @{[ $mock->base($p->{base}) ]}
        $key
        $p->{conf}
    </LLMuxProvider>
END
}

sub start
{
    my $mock = LLMux::Mock->new(rules => rules());
    my $dir = temp_dir('matrix');

    account($dir, $mock);
    my $sections = join '', map { section($_, $mock, $dir) } @providers;
    my $httpd = LLMux::Httpd->new(conf => <<"END");
    LLMuxDirect on
    LLMuxAttempts 1
    LLMuxMediaFetch on
    LLMuxMediaNetworks 127.0.0.0/8
    AllowEncodedSlashes NoDecode
$sections
    <Location "/">
        SetHandler llmux
    </Location>
END
    drop_dir($dir);
    return ($mock, $httpd);
}

# A service account of Google's with a key of its own.
sub account
{
    my ($dir, $mock) = @_;
    my ($status, $out) = run(['openssl', 'genpkey', '-algorithm', 'RSA',
        '-pkeyopt', 'rsa_keygen_bits:2048', '-out', "$dir/key.pem"]);

    die "openssl: $out" if $status ne '0';
    spew("$dir/account.json", $json->encode({ type => 'service_account',
        project_id => 'project-1', private_key_id => 'kid-1',
        private_key => slurp("$dir/key.pem"),
        client_email => 'gateway@project-1.iam.gserviceaccount.com',
        token_uri => $mock->url . '/token' }));
    chmod 0644, "$dir/account.json";
    return;
}

# ---- asking

# Sends the questions of all these, many at a time; [door, provider, question]
# each. Gives the responses in order.
sub ask_all
{
    my ($httpd, @asks) = @_;
    my @answers;

    while (my @some = splice @asks, 0, $together) {
        my @clients = map { ask($httpd, @$_) } @some;
        push @answers, map { $_->read } @clients;
    }
    return @answers;
}

sub ask
{
    my ($httpd, $door, $provider, $question) = @_;
    my $d = $doors{$door};
    my $model = "$provider/$question->{model}";
    my $client = LLMux::Client->new($httpd);

    $client->send_request('POST', $d->{path}->($model, $question->{stream}),
        headers => $d->{headers} || {},
        body => $d->{ask}->({ %$question, model => $model }));
    return $client;
}

# What the client understood of a response.
sub hear
{
    my ($door, $question, $res) = @_;
    my $d = $doors{$door};

    return { end => 'status ' . $res->status } if $res->status != 200;
    my $heard = eval {
        $question->{stream} ? $d->{streamed}->(grep { defined $_->{data} }
                                               $res->events)
            : $d->{whole}->($res->json);
    };
    return $heard || { end => "cannot be read: $@" };
}

# The second turn: what came goes back, and what the tool said, or more.
sub second
{
    my ($cell, $provider) = @_;
    my $d = $doors{ $cell->{door} };
    my ($call) = @{ $cell->{heard}{calls} };
    my @next = $call ? [results => [{ %$call, text => '12 degrees' }]]
        : [user => text('12 degrees')];

    return { %{ $cell->{ask} }, user => undef,
        model => model($provider, 'again', $cell->{form}, $cell->{door},
                       $cell->{provider}),
        turns => [[user => $cell->{ask}{user}],
                  $d->{turn}->($cell->{heard}), @next] };
}

# Asks everything; each cell has {res, heard, rq} then, and those with two
# turns {again} and {foreign} of the same kind.
sub ask_cells
{
    my ($httpd, $mock, @cells) = @_;
    my @res = ask_all($httpd, map { [@$_{qw(door provider ask)}] } @cells);

    for my $cell (@cells) {
        $cell->{res} = shift @res;
        $cell->{heard} = hear(@$cell{qw(door ask res)});
    }
    my @twice = grep { $_->{feature}{twice} && $_->{heard}{native} } @cells;
    my @asks = map { my $cell = $_;
        map { $cell->{$_->[0]} = { provider => $_->[1],
                                   ask => second($cell, $_->[1]) };
              [$cell->{door}, $_->[1], $cell->{$_->[0]}{ask}, $cell, $_->[0]]
        } [again => $cell->{provider}],
          [foreign => $providers{ $cell->{provider} }{foreign}];
    } @twice;
    @res = ask_all($httpd, @asks);
    $_->[3]{ $_->[4] }{res} = shift @res for @asks;
    find_requests($mock, @cells);
    return;
}

sub find_requests
{
    my ($mock, @cells) = @_;
    my %by_model;

    push @{ $by_model{ $_->{model} } }, $_ for $mock->requests;
    for my $cell (@cells) {
        for my $turn (grep { $_ } $cell, @$cell{qw(again foreign)}) {
            $turn->{rqs} = $by_model{ $turn->{ask}{model} } || [];
        }
    }
    return;
}

# ---- what should be there

sub provider { return $providers{ $_[0]{provider} } }
sub door { return $doors{ $_[0]{door} } }
sub is_own { return (door($_[0])->{own} || {})->{ $_[0]{provider} } }

# Its bytes, or where it is for those who fetch it.
sub medium
{
    my ($cell, $name, $bytes) = @_;
    my $fetches = grep { $_ eq $name } @{ provider($cell)->{fetches} || [] };

    return [map { exists $_->{$name} ? $bytes
                  : !exists $_->{"${name}_url"} ? ()
                  : $fetches ? 'at ' . $_->{"${name}_url"} : $bytes }
            @{ $cell->{ask}{user} }];
}

# Who pairs results with calls by name and order: an id may be missing, or
# must be. Else it is what came.
sub paired
{
    my ($cell, $list) = @_;
    my $how = provider($cell)->{pairs} or return $list;
    my @out;

    for my $i (0 .. $#$list) {
        my ($got, $want) = ($list->[$i], $calls[$i] || {});
        my $id = !defined $got->{id} && $got->{name} eq $want->{name}
            ? $want->{id} : $got->{id};
        $id = 'unwanted' if defined $got->{id} && $how eq 'without ids';
        push @out, { %$got, id => $id };
    }
    return \@out;
}

# Of what the provider got: what was meant, and, where only a part of it can
# be compared, that part of what it got.
my %meant = (
    system => sub { $_[0]{ask}{system} },
    user => sub { join '', map { $_->{text} // '' } @{ $_[0]{ask}{user} } },
    tools => sub { $_[0]{ask}{tools} },
    calls => sub { $_[0]{ask}{turns}[1][1] },
    results => sub { [map { { id => $_->{id}, text => $_->{text} } }
                      @{ $_[0]{ask}{turns}[2][1] }] },
    images => sub { medium($_[0], 'image', $png) },
    pdfs => sub { medium($_[0], 'pdf', $pdf) },
    schema => sub { $shape },
    effort => sub { provider($_[0])->{effort} },
    stop => sub { $_[0]{ask}{stop} },
    max => sub { $_[0]{ask}{max} },
);

my %as_got = (
    calls => \&paired,
    results => sub { [map { { id => $_->{id}, text => $_->{text} } }
                      @{ paired(@_) }] },
);

# Of what the client got.
sub end_of
{
    my ($cell) = @_;
    my $end = $cell->{say}{end};
    return door($cell)->{ends}{ provider($cell)->{means}{$end} // $end };
}

sub said_of
{
    my ($cell, $kind) = @_;
    return join '', map { $_->{$kind} // '' } @{ $cell->{say}{blocks} };
}

my %promised = (
    text => sub { said_of($_[0], 'text') },
    thoughts => sub { said_of($_[0], 'think') },
    calls => sub { [map { $_->{call} || () } @{ $_[0]{say}{blocks} }] },
    end => \&end_of,
    usage => sub { folded(folded($_[0]{say}{usage}, provider($_[0])->{counts}),
                          door($_[0])->{counts}) },
    sequence => sub { provider($_[0])->{sequence}
                      ? $_[0]{say}{sequence} : undef },
    refusal => sub { provider($_[0])->{refuses} ? said_of($_[0], 'refusal')
                     : '' },
);

# Ids that we made are any; only Anthropic's clients learn which sequence
# stopped the model; a refusal's words may stand where texts do.
my %as_heard = (
    calls => sub {
        my ($cell, $heard) = @_;
        return $heard if !provider($cell)->{nameless};
        my $optional = $cell->{door} eq 'generateContent';
        return [map { { %{ $heard->[$_] },
            id => $optional || ($heard->[$_]{id} // '') ne ''
                ? $calls[$_]{id} : 'none' } } 0 .. $#$heard];
    },
    sequence => sub { $_[0]{door} eq 'messages' ? $_[1]
                      : $promised{sequence}->($_[0]) },
    refusal => sub { join '', map { $_ // '' }
                     @{ $_[0]{heard} }{qw(refusal text)} },
    usage => sub { ref $_[1] ? { cache_write => 0, %{ $_[1] } } : $_[1] },
);

# ---- comparing

sub same
{
    my ($x, $y) = @_;
    return $json->encode([$x]) eq $json->encode([$y]);
}

sub shown
{
    my ($x) = @_;
    my $text = JSON::PP->new->canonical->allow_nonref->encode($x);
    return length $text > 400 ? substr($text, 0, 400) . '...' : $text;
}

sub wrong
{
    my ($cell, $what, $got, $want) = @_;
    push @{ $cell->{wrong} }, "$what\n   got: " . shown($got)
        . "\n  want: " . shown($want);
    return;
}

sub compare
{
    my ($cell, $what, $got, $want) = @_;
    wrong($cell, $what, $got, $want) if !same($got, $want);
    return;
}

# Where it is asked, by the model's name and whether it is to stream.
sub path
{
    my ($cell) = @_;
    my $p = provider($cell);
    my $path = $p->{path} . ($p->{streams}
        ? $p->{streams}[$cell->{ask}{stream} ? 1 : 0] : '');

    return $path =~ s{MODEL}{$cell->{ask}{model}}r;
}

sub members
{
    my ($x) = @_;
    my $n = 0;

    return 0 if !ref $x || JSON::PP::is_bool($x);
    $n += members($_) for ref $x eq 'HASH' ? values %$x : @$x;
    return $n + (ref $x eq 'HASH' ? keys %$x : 0);
}

sub members_of_text
{
    my ($text) = @_;

    $text =~ s/"(?:[^"\\]|\\.)*"/""/gs;
    return scalar(() = $text =~ /""\s*:/g);
}

sub check_got
{
    my ($cell) = @_;
    my %skip = map { $_ => 1 } @{ ($cell->{except} || {})->{without} || [] };
    my ($rq) = @{ $cell->{rqs} };

    return wrong($cell, 'requests', scalar @{ $cell->{rqs} }, 1)
        if @{ $cell->{rqs} } != 1;
    # Before anybody looks: that may make members.
    my $members = members($rq->{json});
    my $got = eval { provider($cell)->{read}->($rq) }
        or return wrong($cell, "the provider cannot read it: $@",
                        $rq->{body}, '');
    compare($cell, 'the path', $rq->{path} . ($rq->{query} eq '' ? ''
            : "?$rq->{query}"), path($cell));
    compare($cell, 'a stream is wanted', $rq->{json}{stream} ? 1 : 0,
            $cell->{ask}{stream} && (!provider($cell)->{streams}
                || provider($cell)->{in_body}) ? 1 : 0);
    wrong($cell, 'a member stands there twice', $rq->{body}, '')
        if $members != members_of_text($rq->{body});
    for my $name (grep { !$skip{$_} } @{ $cell->{feature}{got} }) {
        next if (door($cell)->{lacks} || {})->{$name};
        my $as = $as_got{$name} || sub { $_[1] };
        compare($cell, "the provider got $name",
                $as->($cell, $got->{$name}), $meant{$name}->($cell));
    }
    return;
}

sub check_heard
{
    my ($cell) = @_;
    my $except = $cell->{except} || {};
    my $heard = $cell->{heard};
    my %skip = map { $_ => 1 } @{ $except->{without} || [] };

    compare($cell, 'the type of the answer', $cell->{res}->type,
            $cell->{ask}{stream} ? 'text/event-stream' : 'application/json');
    for my $name (grep { !$skip{$_} } @{ $cell->{feature}{heard} }) {
        my $as = $as_heard{$name} || sub { $_[1] };
        compare($cell, "the client got $name",
                $as->($cell, $heard->{$name}), $promised{$name}->($cell));
    }
    return;
}

my %error_status = (bad => 400, limit => 429, busy => 503, key => 502);

sub check_error
{
    my ($cell) = @_;
    my ($kind, $d, $res) = ($cell->{kind}, door($cell), $cell->{res});
    my ($word, $text) = @{ $d->{error}->($res->json || {}) };

    compare($cell, 'status', $res->status + 0,
            ($d->{status} || {})->{$kind} // $error_status{$kind});
    if ($kind eq 'key') {
        wrong($cell, 'the provider on our key', $text, 'none of that')
            if ($text // '') eq '' || $res->body =~ /sk-secret/;
        return;
    }
    compare($cell, 'the kind', $word, $d->{kinds}{$kind});
    compare($cell, 'the message', $text, error_text($kind));
    compare($cell, 'Retry-After', $res->header('Retry-After'), '7')
        if $kind eq 'limit';
    return;
}

sub check_broken
{
    my ($cell) = @_;
    my @events = grep { defined $_->{data} } $cell->{res}->events;
    my $said = $cell->{res}->body;

    compare($cell, 'status', $cell->{res}->status + 0, 200);
    wrong($cell, 'what came before', $said, 'It beg')
        if $said !~ /It b/;
    compare($cell, 'the error', scalar door($cell)->{broken}->(@events),
            $cell->{say}{broken});
    return;
}

# What is left out, by the names of the members: no more and no less than the
# exceptions know of.
sub check_told
{
    my ($cell, $res, $told) = @_;
    my $header = $res->header('X-LLMux-Warnings') // '';
    my ($list) = $header =~ /\bdrop=([^;]*)/;
    my %left_out = map { $_ => 1 } split /,/, $list // '';

    compare($cell, "the warning ($header)", [sort keys %left_out],
            [sort split ' ', $told // '']);
    return;
}

# ---- two turns

sub said_next
{
    my ($got) = @_;
    return join '|', @{ $got->{results} }
        ? map({ $_->{text} } @{ $got->{results} }) : $got->{user};
}

sub check_again
{
    my ($cell) = @_;
    my $again = $cell->{again}
        or return wrong($cell, 'the second turn', 'was not asked', '');
    my ($rq) = @{ $again->{rqs} };
    my $except = $cell->{except} || {};

    return wrong($cell, 'the second turn', $again->{res}->status . ' '
                 . $again->{res}->body, 'an answer')
        if $again->{res}->status != 200 || !$rq;
    my $got = provider($cell)->{read}->($rq);
    my $back = provider($cell)->{back}
        // (is_own($cell) ? 'thoughts' : 'nothing');
    compare($cell, 'the token came back', $got->{tokens},
            [token(@$cell{qw(provider form)})]) if $back eq 'token';
    compare($cell, 'the thoughts came back', $got->{thoughts},
            said_of($cell, 'think')) if $back eq 'thoughts';
    compare($cell, 'nothing came back', $got->{thoughts}, '')
        if $back eq 'nothing';
    compare($cell, 'what was said next', said_next($got), '12 degrees');
    wrong($cell, 'a seal went up', $rq->{body}, '') if $rq->{body} =~ /gw2/;
    check_told($cell, $again->{res}, $except->{told_again});
    return;
}

sub check_foreign
{
    my ($cell) = @_;
    my $foreign = $cell->{foreign} or return;
    my ($rq) = @{ $foreign->{rqs} };
    my $token = token(@$cell{qw(provider form)});

    return wrong($cell, 'another maker\'s', $foreign->{res}->status . ' '
                 . $foreign->{res}->body, 'an answer')
        if $foreign->{res}->status != 200 || !$rq;
    wrong($cell, 'the token went to another maker', $rq->{body}, '')
        if index($rq->{body}, $token) >= 0 || $rq->{body} =~ /gw2/
        || index($rq->{body}, 'Z3cyL') >= 0;
    check_told($cell, $foreign->{res}, 'reasoning_content')
        if (provider($cell)->{back} // '') eq 'token';
    my $got = $providers{ $foreign->{provider} }{read}->($rq);
    compare($cell, 'what another maker got', said_next($got), '12 degrees');
    return;
}

# ---- what cannot be

sub check_refused
{
    my ($cell) = @_;
    my $except = $cell->{except};
    my $res = $cell->{res};

    compare($cell, 'status', $res->status + 0, $except->{refused});
    compare($cell, 'requests', scalar @{ $cell->{rqs} }, 0);
    my ($word, $text) = @{ door($cell)->{error}->($res->json || {}) };
    compare($cell, 'the kind', $word, door($cell)->{kinds}{bad});
    wrong($cell, 'the reason', $res->body, "$except->{says}")
        if $res->body !~ $except->{says};
    return;
}

sub check
{
    my ($cell) = @_;
    my %heard = map { $_ => 1 } @{ $cell->{feature}{heard} };
    my $except = $cell->{except} || {};

    return check_refused($cell) if $except->{refused};
    check_got($cell);
    return check_error($cell) if $heard{error};
    return check_broken($cell) if $heard{broken};
    check_heard($cell);
    check_told($cell, $cell->{res}, $except->{told});
    if ($cell->{feature}{twice} && !$except->{once}) {
        check_again($cell);
        check_foreign($cell);
    }
    return;
}

# ---- the table

# How it went with one feature of one pair: "+" it does what was meant, "-" it
# cannot and does what the exceptions say, "x" neither.
sub marks
{
    my (@cells) = @_;
    my %marks;

    for my $cell (@cells) {
        my $mark = \$marks{ $cell->{door} }{ $cell->{provider} }
            { $cell->{feature}{name} };
        $$mark = 'x' if @{ $cell->{wrong} };
        $$mark //= '-' if $cell->{except};
        $$mark = '+' if !$cell->{except} && ($$mark // '-') eq '-';
    }
    return \%marks;
}

# Each pair: [client, provider, marks in the order of the features].
sub rows
{
    my ($marks) = @_;
    my @rows;

    for my $door (@doors) {
        for my $provider (@providers) {
            my $of = $marks->{$door}{$provider};
            push @rows, [$door, $provider, map { $of->{ $_->{name} } }
                                           @features];
        }
    }
    return @rows;
}

# What cannot be, a line for each reason: [who, what, why, section].
sub notes
{
    return map { [$_->{client} // 'all clients',
                  $_->{provider} // 'all providers',
                  $_->{feature}, $_->{reason}, $_->{section}] }
        @LLMux::Matrix::Exceptions::exceptions;
}

# Exceptions that no cell took.
sub unused
{
    my (@cells) = @_;
    my %used = map { $_->{except} ? ($_->{except} => 1) : () } @cells;

    return map { "$_->{section} $_->{feature}" } grep { !$used{$_} }
        @LLMux::Matrix::Exceptions::exceptions;
}

# Lines of text, for people at a terminal.
sub table
{
    my ($marks) = @_;
    my @lines = (sprintf '%-16s %-13s  %s', 'client', 'provider', join ' ',
                 map { $_->{name} } @features);

    push @lines, map {
        my ($door, $provider, @marks) = @$_;
        sprintf '%-16s %-13s  %s', $door, $provider, join ' ',
            map { sprintf '%-*s', length $features[$_]{name}, $marks[$_] }
            0 .. $#marks;
    } rows($marks);
    return (map({ s/ +\z//r } @lines), '', '- cannot be:',
            map { "  $_->[0] to $_->[1]: $_->[2]: $_->[3] ($_->[4])" }
            notes());
}

sub markdown_row { return '| ' . join(' | ', @_) . ' |' }

# The same for documents.
sub markdown
{
    my ($marks) = @_;
    my %sign = ('+' => 'yes', '-' => "\x{2013}", x => '**fails**');
    my @lines = (markdown_row('client', 'provider',
                              map { $_->{title} } @features),
                 markdown_row(('---') x (2 + @features)));

    push @lines, map {
        my ($door, $provider, @marks) = @$_;
        markdown_row($door, $provider, map { $sign{$_} } @marks);
    } rows($marks);
    push @lines, '', 'Where a dialect has no words for it:', '',
        markdown_row('client', 'provider', 'what', 'why'),
        markdown_row(('---') x 4),
        map { markdown_row(@$_[0 .. 3]) } notes();
    return join '', map { "$_\n" } @lines;
}

1;
