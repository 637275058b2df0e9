#!/bin/bash
# start.sh - what the image runs: providers from the keys in the environment,
# as `make run` makes them, then httpd in the foreground.
#
#   start.sh [-t]      httpd's arguments instead of -DFOREGROUND
#
#   LLMUX_MASTER_KEY   what clients must show; there is no default
#   LLMUX_HOME         where the image has everything   (/opt/llmux)
#   LLMUX_RUN          where httpd may write            (/run/llmux)
set -euo pipefail

export LLMUX_HOME=${LLMUX_HOME:-/opt/llmux}
export LLMUX_RUN=${LLMUX_RUN:-/run/llmux}
PATH=$PATH:/usr/sbin:/sbin

if [ -z "${LLMUX_MASTER_KEY:-}" ]; then
    echo "LLMUX_MASTER_KEY is not set: it is the key that clients must show" >&2
    exit 1
fi
mkdir -p "$LLMUX_RUN/htdocs"
"$LLMUX_HOME/tools/providers.sh" >"$LLMUX_RUN/providers.conf"
exec apache2 -d "$LLMUX_RUN" -f "$LLMUX_HOME/conf/httpd.conf" "${@:--DFOREGROUND}"
