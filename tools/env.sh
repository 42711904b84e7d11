# Sourced by the other scripts, which run at the top of the checkout: finds the Node that netloom brings along.
# node_modules carries one for x86-64; another one serves where it is new enough. The path is relative, since
# test/lib/in-namespace.sh may show the checkout somewhere else.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
fail() { echo "netloom: $*" >&2; exit 1; }
find_node() {
  node=node_modules/.bin/node
  [ -x "$node" ] && return
  node=$(command -v node) || fail "no Node.js found; install Node 24.15 or newer, or run npm ci on x86-64"
  "$node" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 24 || (a == 24 && b >= 15) ? 0 : 1)' ||
    fail "Node $("$node" --version) is too old; 24.15 or newer is needed (npm ci brings one on x86-64)"
}
