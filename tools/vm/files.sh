#!/bin/sh
# sh tools/vm/files.sh here|guest|once|alone: the live test files that run on this machine's kernel, or in the guest, or on
# this machine's kernel in one mode only, or there with no other beside them, one a line.
# A file says so in one of its first 15 lines; without a word it runs here (test/vm/README.md).
set -eu
cd "$(dirname "$0")/../.."
find test/live test/conformance test/fault test/lab test/vm -name '*.test.ts' | sort | xargs awk -v where="$1" '
  function judge() { if (file != "" && is[where]) print file }
  FNR == 1 { judge(); file = FILENAME; is["here"] = 1; is["guest"] = is["once"] = is["alone"] = 0 }
  FNR <= 15 && /^\/\/ runs:/ {
    if (/^\/\/ runs: here and in the guest \(.+\)$/) is["guest"] = 1
    else if (/^\/\/ runs: in the guest \(.+\)$/) { is["guest"] = 1; is["here"] = 0 }
    else if (/^\/\/ runs: here in one mode \(.+\)$/) is["once"] = 1
    else if (/^\/\/ runs: alone \(.+\)$/) is["alone"] = 1
    else {
      print FILENAME ":" FNR ": not understood: " $0 "; test/vm/README.md says how it is written" >"/dev/stderr"
      bad = 1
    }
  }
  END { judge(); exit bad }'
