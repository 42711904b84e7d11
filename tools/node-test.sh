#!/bin/sh
# sh tools/node-test.sh NODE FILE...: node's own test runner, each file a process, and its verdict made stricter:
# a test that was skipped, left to do or cancelled fails the run, and so does a run without a test. A file whose process
# does not end is ended by test/lib/deadline.ts; the run as a whole has 40 minutes.
set -u
node=$1
shift
tap=$(mktemp)
trap 'rm -f "$tap"' EXIT
status=0
pace=1
[ "${NETLOOM_TEST_GUEST:-}" != 1 ] || pace=4 # as test/lib/pace.ts has it
timeout --foreground --signal=INT --kill-after=10 2400 "$node" --import ./test/lib/deadline.ts --test \
  --test-concurrency=3 --test-timeout=$((${NETLOOM_TEST_SECONDS:-120 * pace} * 1000)) \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$tap" "$@" || status=$?
for key in skipped todo cancelled; do
  grep -qx "# $key 0" "$tap" && continue
  echo "netloom: $(grep -x "# $key .*" "$tap" || echo "# $key: the run was cut short"), and none may be" >&2
  status=1
done
grep -qx '# tests 0' "$tap" && { echo "netloom: no test was run" >&2; status=1; }
exit $status
