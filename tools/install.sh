#!/bin/bash
# install.sh - puts the module, its configuration and its data where
# httpd looks for them, and says what to do next. `make install` builds first.
#
#   tools/install.sh [--uninstall]
#
#   DESTDIR   a folder in front of all paths, for packages
set -euo pipefail

cd "$(dirname "$0")/.."
build=${BUILD:-build}
apxs=${APXS:-apxs}
dest=${DESTDIR:-}
modules=$("$apxs" -q LIBEXECDIR)
etc=$("$apxs" -q SYSCONFDIR)
share=/usr/local/share/llmux

# Debian keeps a module's line and its settings in two files that a2enmod
# links; elsewhere the configuration loads the module itself.
if [ -d "$etc/mods-available" ] || [ -e /etc/debian_version ]; then
    debian=1
    conf=$etc/mods-available/llmux.conf
    load=$etc/mods-available/llmux.load
    mpm=$etc/conf-available/llmux-mpm.conf
else
    debian=
    conf=$etc/extra/llmux.conf
    load=$etc/extra/llmux-load.conf
    mpm=$etc/extra/llmux-mpm.conf
fi

put() {
    install -D -m "$1" "$2" "$dest$3"
    echo "  $dest$3"
}

# What somebody edited stays; the new one lies beside it.
put_conf() {
    if [ -e "$dest$2" ] && ! cmp -s "$1" "$dest$2"; then
        put 644 "$1" "$2.new"
        echo "  (yours, $2, differs and was not touched)"
    else
        put 644 "$1" "$2"
    fi
}

put_load() {
    mkdir -p "$dest$(dirname "$load")"
    echo "LoadModule llmux_module $modules/mod_llmux.so" >"$dest$load"
    echo "  $dest$load"
}

next_steps() {
    echo
    if [ -n "$debian" ]; then
        cat <<END
Next:
  1. Edit $conf: your providers, your address.
  2. Put the keys that it names into $etc/envvars, such as
     export OPENAI_API_KEY=... (it is read by root only: chmod 600).
  3. a2enmod llmux && a2enconf llmux-mpm && apache2ctl configtest
  4. systemctl restart apache2
END
    else
        cat <<END
Next:
  1. Edit $conf: your providers, your address.
  2. Add to $etc/httpd.conf:
         Include $load
         Include $conf
         Include $mpm
  3. Put the keys that it names into httpd's environment.
  4. apachectl configtest && apachectl restart
END
    fi
}

install_all() {
    local file

    if [ ! -e "$build/mod_llmux.so" ]; then
        echo "$build/mod_llmux.so is not there; make builds it" >&2
        exit 1
    fi
    echo "Installed:"
    put 644 "$build/mod_llmux.so" "$modules/mod_llmux.so"
    put_load
    put_conf conf/llmux.conf "$conf"
    put_conf conf/llmux-mpm.conf "$mpm"
    for file in data/*; do
        [ ! -f "$file" ] || put 644 "$file" "$share/$file"
    done
    next_steps
}

take() {
    if [ -e "$dest$1" ]; then
        rm -f "$dest$1"
        echo "  $dest$1"
    fi
}

take_conf() {
    if [ -e "$dest$2" ] && ! cmp -s "$1" "$dest$2"; then
        echo "  (kept: $2 was edited)"
    else
        take "$2"
    fi
    take "$2.new"
}

uninstall_all() {
    local file link

    echo "Removed:"
    for link in mods-enabled/llmux.load mods-enabled/llmux.conf \
        conf-enabled/llmux-mpm.conf; do
        [ ! -L "$dest$etc/$link" ] || take_link "$etc/$link"
    done
    take "$modules/mod_llmux.so"
    take "$load"
    take_conf conf/llmux.conf "$conf"
    take_conf conf/llmux-mpm.conf "$mpm"
    for file in data/*; do
        take "$share/$file"
    done
    rmdir "$dest$share/data" "$dest$share" 2>/dev/null || true
}

take_link() {
    rm -f "$dest$1"
    echo "  $dest$1"
}

case ${1:-} in
'') install_all ;;
--uninstall) uninstall_all ;;
*) echo "install.sh: unknown argument $1" >&2; exit 1 ;;
esac
