#!/bin/sh
# sh tools/vm/inside.sh NODE MODES FILE...: inside the guest, runs test files as tools/test.sh does outside. Each file by
# itself, so that the limits of tools/node-test.sh are for one file; two at a time, for the guest has two processors. Lines
# begin with the mode and the file.
set -u
node=$1 modes=$2
shift 2
failed=$(mktemp -u)
export node failed
# what is written here is gone with the guest
cp -R "$NETLOOM_TEST_BUNDLE/stubs/." .
unset NETLOOM_TEST_BUNDLE
for mode in $modes; do
  mkdir -m 1777 "/tmp/node-cache-$mode" # of all files: to compile is most of what an emulated processor does here
done
for mode in $modes; do
  for file in "$@"; do echo "$mode $file"; done
done | xargs -P 2 -L 1 sh -c '
  log=$(mktemp)
  {
    for attempt in 1 2 3 4 5; do
      { NETLOOM_TEST_CACHE=/tmp/node-cache-$1 sh test/lib/in-namespace.sh "$1" sh tools/node-test.sh "$node" "$2" 2>&1; echo $? >"$log.status"; } | tee "$log"
      [ "$(cat "$log.status")" != 0 ] || exit 0
      # on emulated processors the compiler of Node fails a check of its own now and then, soon after it began, and says
      # so, or dies of it without a word before the first test
      grep -q V8_Fatal "$log" || { grep -qx "ℹ pass 0" "$log" && ! grep -qE "Error|✔" "$log"; } || break
      echo "netloom: Node itself was aborted: $2 again"
    done
    : >"$failed"
    echo "netloom: FAILED in the guest, mode $1: $2"
  } | sed -u "s/^/$1 $(basename "$2" .test.ts) | /"
' sh
[ ! -e "$failed" ]
