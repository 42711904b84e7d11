#!/bin/sh
# sh tools/vm/inside.sh NODE MODES FILE...: inside the guest, runs test files as tools/test.sh does outside. Each file by
# itself, so that the limits of tools/node-test.sh are for one file; the modes side by side, for the guest has two
# processors. Lines begin with the mode.
set -u
node=$1 modes=$2
shift 2
dir=$(mktemp -d)
run_mode() {
  mode=$1
  shift
  status=0
  for file in "$@"; do
    echo "# $file"
    sh test/lib/in-namespace.sh "$mode" sh tools/node-test.sh "$node" "$file" 2>&1 || {
      status=1
      echo "netloom: FAILED in the guest, mode $mode: $file"
    }
  done
  echo $status >"$dir/$mode"
}
for mode in $modes; do
  run_mode "$mode" "$@" | sed -u "s/^/$mode | /" &
done
wait
status=0
for mode in $modes; do
  [ "$(cat "$dir/$mode" 2>/dev/null)" = 0 ] || status=1
done
exit $status
