#!/bin/sh
# Makes what is published: dist/ from src/, and prebuilt/ from native/ for this processor. Run by `npm pack` and
# `npm publish` too.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"
sh tools/bootstrap.sh
find_node
sh tools/compile.sh
arch=$("$node" -p process.arch)
mkdir -p "prebuilt/$arch"
cp native/build/netloom.node native/build/netloom-shim native/build/netloom-call native/build/netloom-line "prebuilt/$arch/"
