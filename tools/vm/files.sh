#!/bin/sh
# sh tools/vm/files.sh here|guest: the live test files that run on this machine's kernel, or in the guest, one a line.
# A file says so in one of its first 15 lines; without a word it runs here (test/vm/README.md).
set -eu
cd "$(dirname "$0")/../.."
find test/live test/conformance test/fault test/vm -name '*.test.ts' | sort | xargs awk -v where="$1" '
  function judge() { if (file != "" && (where == "here" ? here : guest)) print file }
  FNR == 1 { judge(); file = FILENAME; here = 1; guest = 0 }
  FNR <= 15 && /^\/\/ runs:/ {
    if (/^\/\/ runs: here and in the guest \(.+\)$/) guest = 1
    else if (/^\/\/ runs: in the guest \(.+\)$/) { guest = 1; here = 0 }
    else {
      print FILENAME ":" FNR ": not understood: " $0 "; test/vm/README.md says how it is written" >"/dev/stderr"
      bad = 1
    }
  }
  END { judge(); exit bad }'
