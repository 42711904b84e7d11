#!/bin/sh
# Compiles what is published: dist/ from src/, and the addon. Run by `npm pack` and `npm publish` too.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"
sh tools/bootstrap.sh
find_node
rm -rf dist
PATH=$(dirname "$node"):$PATH node_modules/.bin/tsc -p tsconfig.build.json
