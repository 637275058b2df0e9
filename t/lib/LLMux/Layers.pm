# Layers.pm - reads the sources of a tree and says where they break the rules
# of the house: who may include whom, and the plain matters of style. The tree
# is an argument, so that the rules themselves can be tested.
package LLMux::Layers;

use strict;
use warnings;
use File::Find ();
use LLMux::Place qw(slurp);

my $longest_function = 120;

my $httpd_header = qr{^(?:httpd|ap_\w+|util_\w+|unixd|scoreboard|mpm\w*|mod_\w+
                         |http_(?:config|connection|core|log|main|protocol
                                 |request|vhost))\.h$}x;

# What C offers and this house does not use.
my @banned = qw(strcpy strcat sprintf vsprintf gets atoi strtok);

# A tree: {root, ranks => {folder => n}, c => [...], text => [...]}.
sub read_tree
{
    my ($root) = @_;
    my @files;

    File::Find::find({ no_chdir => 1, wanted => sub {
        $File::Find::prune = 1 if m{/(?:\.git|build|node_modules)$};
        push @files, substr $_, length($root) + 1 if -f && !-l;
    } }, $root);
    my ($line) = slurp("$root/Makefile") =~ /^RANKS\s*:?=\s*(.*)$/m;
    my @sources = sort grep { /\.(?:c|h|def)$/ } @files;
    return { root => $root, all => [sort @files], sources => \@sources,
             product => [grep { m{^(?:src|include)/|^mod_llmux\.c$} }
                         @sources],
             ranks => { map { /^(\w+):(\d+)$/ ? ($1 => $2) : () }
                        split ' ', $line // '' } };
}

# Each rule: a name, and a function that lists what breaks it.
sub rules
{
    return (
        ['every folder of src has a rank', \&folders],
        ['a file includes its own folder and lower ranks only', \&includes],
        ['only src/httpd and mod_llmux.c know httpd', \&httpd_headers],
        ['no path of somebody\'s machine', \&paths],
        ['no tabs and no trailing white space in C', \&white_space],
        ["no function of more than $longest_function lines", \&functions],
        ['each .c says first what it is', \&first_lines],
        ['none of the banned functions', \&banned],
    );
}

# ---- who may include whom

sub folders
{
    my ($tree) = @_;
    my %seen;

    return map { "src/$_" } grep { !$tree->{ranks}{$_} && !$seen{$_}++ }
        map { m{^src/([^/]+)/} ? $1 : () } @{ $tree->{product} };
}

# (folder, rank) of a file. A public header is that folder's whose name it bears,
# or which has the source of its name; one without either (limits.h, the tables)
# stands below all of them.
sub place_of
{
    my ($tree, $file) = @_;
    my $folder = $file =~ m{^src/([^/]+)/} ? $1
        : $file =~ m{^include/llmux/(\w+)\.h$} ? folder_of($tree, $1) : '';

    return ('', 99) if $file eq 'mod_llmux.c';
    return ($folder, $tree->{ranks}{$folder} || 0);
}

sub folder_of
{
    my ($tree, $name) = @_;

    return $name if $tree->{ranks}{$name};
    my ($folder) = map { m{^src/([^/]+)/\Q$name\E\.c$} ? $1 : () }
        @{ $tree->{product} };
    return $folder // '';
}

# [line, quote, what] for each #include.
sub includes_of
{
    my ($tree, $file) = @_;
    my ($n, @found) = (0);

    for (split /\n/, slurp("$tree->{root}/$file")) {
        $n++;
        push @found, [$n, $1, $2] if /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
    }
    return @found;
}

sub includes
{
    my ($tree) = @_;
    my %there = map { $_ => 1 } @{ $tree->{product} };
    my @wrong;

    for my $file (@{ $tree->{product} }) {
        my ($folder, $rank) = place_of($tree, $file);
        for my $include (includes_of($tree, $file)) {
            my ($n, $quote, $what) = @$include;
            my $why = wrong_include($tree, \%there, $file, $quote, $what,
                                    $folder, $rank) or next;
            push @wrong, "$file:$n: $what: $why";
        }
    }
    return @wrong;
}

sub wrong_include
{
    my ($tree, $there, $file, $quote, $what, $folder, $rank) = @_;

    if ($what =~ m{^llmux/}) {
        return 'there is no such header' if !$there->{"include/$what"};
        my ($other, $other_rank) = place_of($tree, "include/$what");
        return if $other_rank < $rank;
        return if $other eq $folder && $other_rank == $rank
            && "include/$what" ne $file;
        return 'a sibling of the same rank' if $other_rank == $rank;
        return "a higher rank ($other_rank from $rank)";
    }
    return if $quote eq '<';
    my ($own) = $file =~ m{^(.*/)};
    return if $what !~ m{/} && $there->{ ($own // '') . $what };
    return if $file eq 'mod_llmux.c' && $what =~ m{^src/httpd/}
        && $there->{$what};
    return if $what =~ $httpd_header || $what =~ /^ap[ru]\w*\.h$/;
    return 'not in its own folder';
}

sub httpd_headers
{
    my ($tree) = @_;
    my @wrong;

    for my $file (grep { !m{^src/httpd/|^mod_llmux\.c$} }
                  @{ $tree->{product} }) {
        push @wrong, map { "$file:$_->[0]: $_->[2]" }
            grep { $_->[2] =~ $httpd_header } includes_of($tree, $file);
    }
    return @wrong;
}

# ---- style

# [file, line number, line] of each line that matches.
sub lines_like
{
    my ($tree, $files, $pattern) = @_;
    my @found;

    for my $file (@$files) {
        my $n = 0;
        for (split /\n/, slurp("$tree->{root}/$file")) {
            $n++;
            push @found, "$file:$n: " . substr $_, 0, 100 if $_ =~ $pattern;
        }
    }
    return @found;
}

# Homes and work places; "https://host/home" is none.
sub paths
{
    my ($tree) = @_;
    my $places = join '|', qw(work root home);
    my @texts = grep { -T "$tree->{root}/$_" } @{ $tree->{all} };

    return lines_like($tree, \@texts, qr{(?<![\w.*\$\}\)~-])/(?:$places)(?![\w-])});
}

sub white_space
{
    my ($tree) = @_;
    return lines_like($tree, $tree->{sources}, qr/\t|[ \r]$/);
}

# A function's brace stands in column 0, and so does a table's.
sub functions
{
    my ($tree) = @_;
    my @wrong;

    for my $file (grep { /\.[ch]$/ } @{ $tree->{sources} }) {
        my ($n, $start) = (0);
        for (split /\n/, slurp("$tree->{root}/$file")) {
            $n++;
            $start = $n if /^\{/;
            next if !/^\}/ || !defined $start;
            push @wrong, "$file:$start: " . ($n - $start - 1) . ' lines'
                if $n - $start - 1 > $longest_function;
            undef $start;
        }
    }
    return @wrong;
}

sub first_lines
{
    my ($tree) = @_;
    my @wrong;

    for my $file (grep { /\.c$/ } @{ $tree->{sources} }) {
        my ($name) = $file =~ m{([^/]+)$};
        push @wrong, "$file: begin with \"/* $name - what it is. */\""
            if slurp("$tree->{root}/$file") !~ m{^/\* \Q$name\E - \S};
    }
    return @wrong;
}

sub banned
{
    my ($tree) = @_;
    my $names = join '|', @banned;
    my @wrong;

    for my $file (@{ $tree->{sources} }) {
        my $n = 0;
        for (split /\n/, code_of(slurp("$tree->{root}/$file"))) {
            $n++;
            push @wrong, "$file:$n: $1" if /\b($names)\s*\(/;
        }
    }
    return @wrong;
}

# Without comments and what stands in quotes; lines stay where they are.
sub code_of
{
    my ($text) = @_;

    $text =~ s{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}
              {"\n" x ($1 =~ tr/\n//)}gse;
    return $text;
}

1;
