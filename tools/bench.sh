#!/bin/sh
# npm run bench -- NAME [--json]: see bench/main.ts. Runs in namespaces of its own, never on the machine's network.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"
sh tools/bootstrap.sh >&2
find_node
mkdir -p bench/build
if [ ! -e bench/build/attach_floor ] || [ bench/attach_floor.c -nt bench/build/attach_floor ]; then
  ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror bench/attach_floor.c -o "bench/build/attach_floor.$$"
  mv "bench/build/attach_floor.$$" bench/build/attach_floor
fi
# the daemon that is measured is the published one
PATH=$root/node_modules/.bin:$PATH tsc -p tsconfig.build.json
mode=user
[ "$(id -u)" = 0 ] && mode=root
exec sh test/lib/in-namespace.sh $mode "$node" bench/main.ts "$@"
