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
# shellcheck disable=SC2086
exec sh tools/vm/run.sh --timeout 900 -- sh tools/vm/inside.sh "$node" "${modes:-root user}" $files
