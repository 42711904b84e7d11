#!/bin/sh
# sh test/lib/machine.sh DIRECTORY FOLDER CHECKOUT [FROM TO]...
#
# The first process of a machine as test/lib/suite.ts has it, started in mount and process namespaces of its own: makes
# FOLDER its root, with what is written in a memory file system at DIRECTORY, and binds each FROM to TO. Says its pid, as
# the starter counts, and the cgroups that it made; then waits until its input ends.
set -eu

# ---- in a cgroup of its own, which becomes the root of a cgroup namespace: container ids are not unique among tests ----
if [ -z "${machine_pid:-}" ]; then
  read -r pid _ </proc/self/stat # as the test counts: /proc is still the test's
  group=netloom-test-$pid made=
  hierarchies=$(cat /proc/self/cgroup)
  while IFS=: read -r id names path; do
    at=/sys/fs/cgroup/${names#name=}
    [ -n "$names" ] || { at=/sys/fs/cgroup/unified; [ -d $at ] || at=/sys/fs/cgroup; }
    [ -e "$at/cgroup.procs" ] || continue
    dir=$at${path%/}
    [ -d "$dir" ] || dir=$at
    for old in "$dir"/netloom-test-*; do # of a test that was killed
      [ ! -d "$old" ] || [ -d "/proc/${old##*-}" ] || find "$old" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    mkdir "$dir/$group"
    for file in cpuset.cpus cpuset.mems; do # empty at first, and nobody can be where nothing is allowed
      [ "$names" != cpuset ] || cat "$dir/$file" >"$dir/$group/$file"
    done
    echo 0 >"$dir/$group/cgroup.procs"
    made="$made $dir/$group"
  done <<END
$hierarchies
END
  export machine_pid="$pid" made hierarchies
  exec unshare --cgroup sh "$0" "$@"
fi

# ---- its files ----
memory=$1 folder=$2 checkout=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$memory"
mkdir "$memory/upper" "$memory/work" "$memory/root"
root=$memory/root
mount -t overlay overlay -o "lowerdir=$folder,upperdir=$memory/upper,workdir=$memory/work" "$root"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/var/lib"
for dir in /run /var/lib; do mount -t tmpfs -o mode=755 tmpfs "$root$dir"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/run/lock" "$root/run/netns" "$root/usr/local/bin"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" # of its own network: programs look there for their interfaces
mount --rbind /dev "$root/dev"

groups=$root/sys/fs/cgroup
[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t tmpfs -o mode=755 tmpfs "$groups"
while IFS=: read -r id names path; do
  case $names in
    '')
      [ -e /sys/fs/cgroup/cgroup.procs ] && at=$groups || at=$groups/unified
      mkdir -p "$at"
      mount -t cgroup2 cgroup2 "$at"
      mkdir "$at/init" # one with processes of its own can hand nothing to those below it
      ;;
    *)
      at=$groups/${names#name=}
      [ -e "/sys/fs/cgroup/${names#name=}" ] || continue
      mkdir -p "$at"
      case $names in name=*) options=none,$names ;; *) options=$names ;; esac
      mount -t cgroup -o "$options" cgroup "$at"
      ;;
  esac
done <<END
$hierarchies
END
cat >"$root/run/.join" <<'END'
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
  echo 0 >/sys/fs/cgroup/init/cgroup.procs
else
  for dir in /sys/fs/cgroup/*; do
    [ "$dir" != /sys/fs/cgroup/unified ] || dir=$dir/init
    echo 0 >"$dir/cgroup.procs"
  done
fi
exec "$@"
END

for dir in /etc/cni /etc/containers/networks /etc/docker /etc/containerd /etc/netns; do rm -rf "$root$dir"; done
rm -f "$root/etc/resolv.conf" # may be a link
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")" && touch "$root$2"; fi
  mount --rbind "$1" "$root$2"
  shift 2
done
ln -sf "$checkout/bin/netloom" "$root/usr/local/bin/netloom"
hostname machine
mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
echo "$machine_pid$made"
cat # until the test lets go; a shell that waits takes in orphans, too
