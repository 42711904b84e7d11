#!/bin/sh
# Runs a command in a virtual machine with Debian's kernel over this machine's files: tools/vm/main.ts says how.
#   sh tools/vm/run.sh [--timeout SECONDS] [--boot] [--verbose] [--] COMMAND [ARGUMENT...]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tools/env.sh"
here=$PWD
cd "$root"
sh tools/bootstrap.sh
find_node
case $node in /*) ;; *) node=$root/$node ;; esac
cd "$here"
exec "$node" "$root/tools/vm/main.ts" "$@"
