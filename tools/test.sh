#!/bin/sh
# npm test [-- [--root|--user] [FILTER...]]
#
# Everything on a fresh machine: dependencies, the Debian packages that the tests use, the checks of tools/check.sh,
# then the tests: those that need no kernel once, those that do twice, as root and in an unprivileged user namespace;
# once, in a virtual machine, those that need what many kernels lack (test/vm/README.md); and once, as root, those that
# drive real container clients (test/clients/README.md).
# A FILTER runs only the files whose path contains it, and leaves the checks out.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/env.sh"
cd "$root"

modes=
filters=
for argument in "$@"; do
  case $argument in
    --root) modes="$modes root" ;;
    --user) modes="$modes user" ;;
    -*) fail "unknown option $argument; usage: npm test [-- [--root|--user] [FILTER...]]" ;;
    *) filters="$filters -e $argument" ;;
  esac
done
as_root=false
[ "$(id -u)" = 0 ] && as_root=true
if [ -z "$modes" ]; then
  modes=user
  $as_root && modes='root user'
fi

sh tools/bootstrap.sh
find_node

# ---- which files ----
chosen() {
  # shellcheck disable=SC2086
  if [ -z "$filters" ]; then echo "$1"; else echo "$1" | grep -F $filters || true; fi
}
here=$(sh tools/vm/files.sh here) || exit 1
once=$(sh tools/vm/files.sh once) || exit 1
alone=$(sh tools/vm/files.sh alone) || exit 1
guest=$(sh tools/vm/files.sh guest) || exit 1
pure=$(chosen "$(find src test/golden test/architecture -name '*.test.ts' | sort)")
live=$(chosen "$here")
guest=$(chosen "$guest")
clients=$(chosen "$(find test/clients -name '*.test.ts' | sort)")
case $modes in
  *root*) ;;
  *)
    [ -z "$clients" ] || echo "# not run without root:" $clients
    clients=
    ;;
esac
[ -n "$pure$live$guest$clients" ] || fail "no test file matches"

# ---- what the tests compare with and drive ----
commands='nft:nftables wg:wireguard-tools iptables:iptables conntrack:conntrack ip:iproute2 ping:iputils-ping curl:curl ps:procps ncat:ncat
  socat:socat tcpdump:tcpdump jq:jq strace:strace unshare:util-linux brctl:bridge-utils
  ifconfig:net-tools ethtool:ethtool systemd-analyze:systemd busybox:busybox-static dnsmasq:dnsmasq-base dig:bind9-dnsutils
  unbound:unbound iperf3:iperf3 musl-gcc:musl-tools setpriv:util-linux script:bsdutils flock:util-linux
  readelf:binutils openssl:openssl etcd:etcd-server etcdctl:etcd-client go:golang-go bird:bird2 /usr/lib/frr/bgpd:frr
  /usr/lib/podman/netavark:netavark
  /usr/lib/cni/bridge:containernetworking-plugins
  /usr/share/gocode/src/github.com/containernetworking/cni/libcni:golang-github-appc-cni-dev'
[ -z "$clients" ] || commands="$commands containerd:containerd runc:runc dockerd:docker.io podman:podman
  /usr/lib/podman/aardvark-dns:aardvark-dns"
# a command, or the path of what has none
missing=$(for pair in $commands; do
  case $pair in /*) [ -e "${pair%%:*}" ] ;; *) command -v "${pair%%:*}" >/dev/null ;; esac || echo "${pair#*:}"
done)
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  set -- $missing
  $as_root && command -v apt-get >/dev/null ||
    fail "the tests need packages that are not installed; as root: apt-get install --no-install-recommends $*"
  sh tools/packages.sh "$@"
fi

# ---- the virtual machine and the later suite, where a file needs one ----
# shellcheck disable=SC2086
if [ -n "$guest" ] || { [ -n "$live" ] && grep -qE '/lib/guest\.ts|/tools/vm/' $live; }; then
  NETLOOM_VM_CACHE=$(sh tools/vm/run.sh --prepare) || fail "the tests need the virtual machine of tools/vm (above)"
  export NETLOOM_VM_CACHE
fi
if [ -n "$clients" ]; then
  NETLOOM_SUITE=$(sh tools/suite.sh) || fail "the tests need the later suite of tools/suite.sh (above)"
  export NETLOOM_SUITE
fi

# ---- checks and tests ----
work=$(mktemp -d)
bundle=$(mktemp -d .bundle.XXXXXX)
trap 'rm -rf "$work" "$bundle"' EXIT
chmod 755 "$bundle"
status=0
sh tools/machine-state.sh >"$work/before"
[ -n "$filters" ] || sh tools/check.sh --static || status=1

tests_in() {
  mode=$1
  shift
  sh test/lib/in-namespace.sh "$mode" sh tools/node-test.sh "$node" "$@" || status=1
}
# shellcheck disable=SC2086
{
  if [ -n "$pure" ]; then
    echo "# tests without a kernel"
    tests_in "${modes##* }" $pure
  fi
  # what goes before reads the sources themselves
  if [ -n "$live$clients" ]; then
    "$node" tools/test-bundle.ts "$bundle"
    export NETLOOM_TEST_BUNDLE="$bundle"
  fi
  for mode in $modes; do
    [ -n "$live" ] || break
    echo "# live tests, mode $mode"
    beside=$(echo "$live" | grep -vxF "$alone" || true)
    by_itself=$(echo "$live" | grep -xF "$alone" || true)
    [ -z "$beside" ] || tests_in "$mode" $beside
    [ -z "$by_itself" ] || tests_in "$mode" $by_itself
    # what does not depend on who runs it has been run
    live=$(echo "$live" | grep -vxF "$once" || true)
  done
  if [ -n "$guest" ]; then
    # what the modes differ in, this machine's kernel has shown: the emulated one takes its time
    set -- $modes
    echo "# live tests in the guest, mode $1"
    sh tools/vm/test.sh "--$1" $guest || status=1
  fi
  if [ -n "$clients" ]; then
    echo "# real clients, as root"
    tests_in root $clients
  fi
}

sh tools/machine-state.sh >"$work/after"
if ! diff -u "$work/before" "$work/after"; then
  echo "netloom: the tests changed this machine's own network state (above)" >&2
  status=1
fi
[ $status = 0 ] || echo "netloom: FAILED" >&2
exit $status
