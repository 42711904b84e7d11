#!/bin/sh
# Makes a fresh checkout ready to run: dependencies, a C compiler, the native addon. Says nothing and costs a few
# milliseconds where all of it is there. Two at once wait for each other.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"

stale_modules() {
  # npm writes this file last, so that an install that was interrupted is done again
  [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]
}
stale_addon() {
  for built in native/build/netloom.node native/build/netloom-shim native/build/netloom-line; do
    [ -e "$built" ] || return 0
    for source in native/*.c native/*.h native/build.sh; do
      [ "$source" -nt "$built" ] && return 0
    done
  done
  return 1
}
stale_modules || stale_addon || exit 0

# the lock file of npm serves as ours: it is always there, and never written by what runs below
exec 9<package-lock.json
flock 9

if stale_modules; then
  command -v npm >/dev/null || fail "npm is missing: install Node.js with npm (Debian: apt-get install nodejs npm)"
  echo "netloom: installing dependencies (npm ci)" >&2
  npm ci --include=dev --include=optional --loglevel=error >&2 9<&-
fi
if stale_addon; then
  if ! command -v "${CC:-cc}" >/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
      fail "no C compiler found: install one (Debian: apt-get install gcc libc6-dev)"
    sh tools/packages.sh gcc libc6-dev
  fi
  sh native/build.sh 9<&-
fi
