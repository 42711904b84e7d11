#!/bin/sh
# Installs Debian packages, as root: sh tools/packages.sh NAME... Quiet unless it fails.
set -eu
echo "netloom: installing Debian packages: $*" >&2
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
trap 'rm -f "$log" ${policed:+"$policy"}' EXIT
# programs that the tests start by themselves are not to serve this machine: no package starts its service
if [ ! -e "$policy" ]; then
  policed=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; }
# an image without package lists needs them first; one with them saves the time
install "$@" || { apt-get update >"$log" 2>&1 && install "$@"; } || {
  cat "$log" >&2
  echo "netloom: apt-get could not install: $*" >&2
  exit 1
}
