#!/bin/sh
# sh tools/vm/inside.sh NODE MODES FILE...: inside the guest, runs test files as tools/test.sh does outside. Each file by
# itself, so that the limits of tools/node-test.sh are for one file; two at a time, for the guest has two processors. Lines
# begin with the mode and the file.
set -u
node=$1 modes=$2
shift 2
failed=$(mktemp -u)
export node failed
for mode in $modes; do
  for file in "$@"; do echo "$mode $file"; done
done | xargs -P 2 -L 1 sh -c '
  log=$(mktemp)
  {
    for attempt in 1 2 3 4 5; do
      { sh test/lib/in-namespace.sh "$1" sh tools/node-test.sh "$node" "$2" 2>&1; echo $? >"$log.status"; } | tee "$log"
      [ "$(cat "$log.status")" != 0 ] || exit 0
      # on emulated processors the compiler of Node fails a check of its own now and then, soon after it began
      grep -q V8_Fatal "$log" || break
      echo "netloom: Node itself was aborted: $2 again"
    done
    : >"$failed"
    echo "netloom: FAILED in the guest, mode $1: $2"
  } | sed -u "s/^/$1 $(basename "$2" .test.ts) | /"
' sh
[ ! -e "$failed" ]
