#!/bin/sh
# sh tools/vm/inside.sh NODE MODE FILE: inside the guest, runs a test file as tools/test.sh does outside.
set -u
node=$1 mode=$2 file=$3
# what is written here is gone with the guest
cp -R "$NETLOOM_TEST_BUNDLE/stubs/." .
unset NETLOOM_TEST_BUNDLE
log=$(mktemp)
for attempt in 1 2 3 4 5; do
  { sh test/lib/in-namespace.sh "$mode" sh tools/node-test.sh "$node" "$file" 2>&1; echo $? >"$log.status"; } | tee "$log"
  [ "$(cat "$log.status")" != 0 ] || exit 0
  # on emulated processors the compiler of Node fails a check of its own now and then, soon after it began, and says so, or
  # dies of it without a word before the first test
  grep -q V8_Fatal "$log" || { grep -qx "ℹ pass 0" "$log" && ! grep -qE "Error|✔" "$log"; } || break
  echo "netloom: Node itself was aborted: $file again"
done
exit 1
