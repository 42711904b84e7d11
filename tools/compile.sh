#!/bin/sh
# sh tools/compile.sh [DIR]: DIR (dist/) from src/: modules for those who import netloom, and the program in a few files,
# which start in half the time. Packages must be installed (tools/bootstrap.sh).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"
find_node
dist=${1:-dist}
rm -rf "$dist"
PATH=$root/node_modules/.bin:$PATH tsc -p tsconfig.build.json --outDir "$dist"
"$node" tools/bundle.ts "$dist"
