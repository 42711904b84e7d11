#!/bin/sh
# sh tools/check.sh [--static]
#
# Everything about the sources that can be said without running them: types, lint, format, length, and the order of the
# layers, which `--static` leaves to the test suite.
# All of it is run, so that one call shows all there is to mend; ends with 1 when anything was wrong.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"
sh tools/bootstrap.sh || exit 1
find_node
# the tools' own launchers ask for `node`: give them the one that we run
PATH=$root/node_modules/.bin:$PATH
status=0
step() {
  name=$1
  shift
  "$@" || { echo "check: $name failed" >&2; status=1; }
}
existing=$(for dir in src test bench tools examples; do [ -n "$(find "$dir" -name '*.ts' 2>/dev/null | head -n 1)" ] && echo "$dir"; done)

too_long() {
  find src native \( -name '*.ts' -o -name '*.c' \) -exec wc -l {} + |
    awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines; 600 is the limit, make two nouns of it"; bad = 1 } END { exit bad }'
}
left_out() {
  ! grep -rnE "\b(test|it|describe|suite)\.(only|skip|todo)\b|\b(only|skip|todo): *(true|['\"\`])" --include='*.test.ts' src test
}

step types tsc -p .
# shellcheck disable=SC2086
step lint oxlint --type-aware --deny-warnings --quiet $existing
# shellcheck disable=SC2086
step format oxfmt --check $existing
step 'file length' too_long
step 'no test left out' left_out
[ "${1:-}" = --static ] || step architecture "$node" --test --test-reporter=dot test/architecture/*.test.ts
[ $status = 0 ] && echo 'check: all in order'
exit $status
