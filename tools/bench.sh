#!/bin/sh
# npm run bench -- NAME [--json]: see bench/main.ts. Runs in namespaces of its own, never on the machine's network.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"
sh tools/bootstrap.sh >&2
find_node
mkdir -p bench/build
for source in bench/*.c; do
  program=bench/build/$(basename "$source" .c)
  [ -e "$program" ] && [ ! "$source" -nt "$program" ] && continue
  ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror "$source" -o "$program.$$"
  mv "$program.$$" "$program"
done
# the daemon that is measured is the published one
sh tools/compile.sh
mode=user
[ "$(id -u)" = 0 ] && mode=root
exec sh test/lib/in-namespace.sh $mode "$node" bench/main.ts "$@"
