#!/bin/sh
# Runs a command where tests may do as they like: network and mount namespaces of its own, as root or as root of an
# unprivileged user namespace. Nothing done inside is seen outside, and nothing started inside may outlive it.
#
#   sh test/lib/in-namespace.sh root|user COMMAND [ARGUMENT...]
#
# Inside: lo is up, nothing else; /run is an empty tmpfs (TMPDIR and HOME lie there); /etc and /var/lib are writable
# copies on write, so that /etc/netns and /var/lib/netloom are private. Ends with the command's status, or with 1 when
# the command left processes behind.
set -eu
die() { echo "in-namespace: $*" >&2; exit 1; }
self=$(readlink -f "$0")

# ---- outside: take the namespaces ----
case ${1:-} in
  root)
    [ "$(id -u)" = 0 ] || die "mode root needs root"
    shift
    exec unshare --net --mount -- sh "$self" inside "$@"
    ;;
  user)
    shift
    if [ "$(id -u)" = 0 ]; then
      # in a mount namespace of its own, root can show an unprivileged user what that user needs to see
      exec unshare --mount -- sh "$self" drop "$@"
    fi
    unshare --user --map-root-user true 2>/dev/null ||
      die "this machine refuses unprivileged user namespaces (see user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
    exec unshare --user --map-root-user --net --mount -- sh "$self" inside "$@"
    ;;
  drop)
    shift
    root=$(readlink -f "$(dirname "$self")/../..")
    nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    stage=/mnt
    case $root/ in /mnt/*) stage=/media ;; esac
    mount -t tmpfs -o mode=755 tmpfs "$stage"
    if [ -c /dev/net/tun ]; then
      mknod -m 666 "$stage/tun" c 10 200 && mount --bind "$stage/tun" /dev/net/tun # its mode is 0600 on some machines
    fi
    # A checkout below /root, or made with umask 077, is closed to others: pass it on by another path, or as a copy.
    if ! $nobody sh -c "test -r '$root/package.json' && test -x '$root/node_modules/.bin/node'" 2>/dev/null; then
      mkdir "$stage/netloom"
      mount --bind "$root" "$stage/netloom"
      if ! $nobody sh -c "cd '$stage/netloom' && test -r package.json && test -x node_modules/.bin/node" 2>/dev/null; then
        umount "$stage/netloom"
        cp -a "$root/." "$stage/netloom/"
        chmod -R a+rX "$stage/netloom"
      fi
      cd "$stage/netloom"
      self=$stage/netloom/test/lib/in-namespace.sh
    fi
    $nobody unshare --user --map-root-user true 2>/dev/null ||
      die "this machine refuses unprivileged user namespaces (see user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
    exec $nobody unshare --user --map-root-user --net --mount -- sh "$self" inside "$@"
    ;;
  inside) shift ;;
  *) die "usage: in-namespace.sh root|user COMMAND [ARGUMENT...]" ;;
esac
[ $# -gt 0 ] || die "no command given"

# ---- inside ----
# The caller's own settings stay outside: its PATH may lead through directories that are closed to this user.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$(readlink -f "$(dirname "$self")/../..")/node_modules/.bin
unset XDG_RUNTIME_DIR XDG_CACHE_HOME XDG_CONFIG_HOME NETLOOM_SOCKET NETLOOM_STATE_DIR NETLOOM_RUN_DIR NETLOOM_DEBUG
resolv=$(cat /etc/resolv.conf 2>/dev/null || true) # often a link into the /run that is about to be covered
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/home /run/.layers
mkdir -m 1777 /run/tmp
export TMPDIR=/run/tmp HOME=/run/home NODE_COMPILE_CACHE=/run/node-cache
# What tests start as processes, bundled by the caller (tools/test-bundle.ts): in the place of its sources.
if [ -n "${NETLOOM_TEST_BUNDLE:-}" ]; then
  checkout=$(readlink -f "$(dirname "$self")/../..")
  (cd "$checkout/$NETLOOM_TEST_BUNDLE/stubs" && find . -type f) | while read -r file; do
    mount --bind "$checkout/$NETLOOM_TEST_BUNDLE/stubs/$file" "$checkout/$file"
  done
fi

# A private, writable view of a directory: an overlay, or a copy where the kernel has no overlayfs for us.
private() {
  layer=/run/.layers/$(echo "$1" | tr / _)
  mkdir -p "$layer/upper" "$layer/work"
  if [ "$1" = /etc ]; then # the machine's own file may belong to a user that is not mapped here
    printf '%s\n' "$resolv" > "$layer/upper/resolv.conf"
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' > "$layer/upper/hosts"
  fi
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" "$1" 2>/dev/null && return
  [ "$1" = /etc ] || { mount -t tmpfs -o mode=755 tmpfs "$1"; return; }
  mkdir "$layer/copy"
  cp -a "$1/." "$layer/copy/" 2>/dev/null || true # what others may not read stays behind
  rm -f "$layer/copy/resolv.conf" "$layer/copy/hosts"
  cp "$layer/upper/resolv.conf" "$layer/upper/hosts" "$layer/copy/"
  mount --bind "$layer/copy" "$1"
}
private /etc
private /var/lib
private /var/cache
for dir in /etc/netns /var/lib/netloom; do # the machine's own must not be seen, and may not be ours to remove
  [ ! -d "$dir" ] || mount -t tmpfs -o mode=755 tmpfs "$dir"
done
ip link set lo up

status=0
"$@" || status=$?

# Whoever still lives in this mount namespace, or in a network namespace that has a name in it (a host of a lab), was
# started by the command and forgotten.
leftovers() {
  set -- -lname "mnt:\\[$(stat -Lc %i /proc/self/ns/mnt)\\]"
  for name in /run/netns/*; do
    [ ! -e "$name" ] || set -- "$@" -o -lname "net:\\[$(stat -Lc %i "$name")\\]"
  done
  # all of them by one process, which finds some gone; of itself nothing is left when it has told
  found=$(find /proc/[0-9]*/ns/mnt /proc/[0-9]*/ns/net -maxdepth 0 \( "$@" \) 2>/dev/null || true)
  for pid in $(echo "$found" | cut -d / -f 3 | sort -un); do
    [ "$pid" != $$ ] || continue
    case $(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) in $$ | '') continue ;; esac # this subshell
    case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) in Z*) continue ;; esac
    echo "$pid"
  done
}
left=$(leftovers)
for wait in 0.1 0.2 0.5 1; do # a process told to end may need a moment
  [ -n "$left" ] || break
  sleep $wait
  left=$(leftovers)
done
for pid in $left; do
  echo "in-namespace: process $pid outlived the tests: $(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null)" >&2
  kill -9 "$pid" 2>/dev/null || true
  status=1
done
exit $status
