#!/bin/sh
# npm run test:vm [-- [--root|--user] [FILE...]]
#
# The test files that say `// runs: in the guest` or `// runs: here and in the guest` (test/vm/README.md), or the FILEs,
# unchanged, in a virtual machine with Debian's kernel, as root and in an unprivileged user namespace.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tools/env.sh"
cd "$root"
modes=
files=
for argument in "$@"; do
  case $argument in
    --root) modes="$modes root" ;;
    --user) modes="$modes user" ;;
    -*) fail "unknown option $argument; usage: npm run test:vm [-- [--root|--user] [FILE...]]" ;;
    *)
      [ -f "$argument" ] || fail "$argument: no such file"
      files="$files $argument"
      ;;
  esac
done
[ -n "$files" ] || files=$(sh tools/vm/files.sh guest) || exit 1
[ -n "$files" ] || fail "no test file says that it runs in the guest"
sh tools/bootstrap.sh
find_node
# An emulated processor takes a minute to load our sources: the guest sees what is bundled here (tools/test-bundle.ts).
bundle=$(mktemp -d .bundle.XXXXXX)
chmod 755 "$bundle"
trap 'rm -rf "$bundle"' EXIT
# shellcheck disable=SC2086
"$node" tools/test-bundle.ts "$bundle" $files
export NETLOOM_TEST_BUNDLE="$bundle"
failed=$bundle/failed
# longer than a file may take
limit=$((${NETLOOM_TEST_SECONDS:-1200} + 300))
export node failed limit
sh tools/vm/run.sh --prepare >/dev/null
# A guest for each file, as many at a time as there are processors: a guest has one. Lines begin with the mode and the file.
for mode in ${modes:-root user}; do
  for file in $files; do echo "$mode $file"; done
done | xargs -P "$(nproc)" -L 1 sh -c '
  {
    sh tools/vm/run.sh --timeout "$limit" -- sh tools/vm/inside.sh "$node" "$1" "$2" 2>&1
    status=$?
    [ $status = 0 ] || {
      : >"$failed"
      echo "netloom: FAILED in the guest, mode $1: $2 (status $status)"
    }
  } | sed -u "s/^/$1 $(basename "$2" .test.ts) | /"
' sh
[ ! -e "$failed" ]
