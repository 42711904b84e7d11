#!/bin/sh
# sh tools/node-test.sh NODE FILE...: node's own test runner, each file a process, and its verdict made stricter:
# a test that was skipped, left to do or cancelled fails the run, and so does a run without a test. A file whose process
# does not end by itself is named after four minutes.
set -u
node=$1
shift
tap=$(mktemp)
trap 'rm -f "$tap"' EXIT
status=0
timeout --foreground --signal=INT --kill-after=10 240 "$node" --test --test-concurrency=2 --test-timeout=60000 \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$tap" "$@" || status=$?
for key in skipped todo cancelled; do
  grep -qx "# $key 0" "$tap" || { echo "netloom: $(grep -x "# $key .*" "$tap" || echo 'no summary'): none may be" >&2; status=1; }
done
grep -qx '# tests 0' "$tap" && { echo "netloom: no test was run" >&2; status=1; }
exit $status
