#!/bin/busybox sh
# The guest's first process. It comes as far as it can, says `ready` and waits: there the snapshot is taken. Then it makes
# the host's file system its own (read-only below, writes go to memory), runs one command there, and tells its status.
#
# Ports to the host: control (lines), stdout, stderr. Towards the host go `ready`, `failed WHY`, `started`, `exit STATUS`
# and `end`; from the host comes one line: the time, 32 random bytes in base64, the command as a script in base64.
busybox mount -t proc proc /proc
busybox --install -s /bin
PATH=/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# Else every new network namespace gets tunl0, gre0, sit0 and more, once those modules are there.
echo 2 >/proc/sys/net/core/fb_tunnels_only_for_init_net
unloaded=
while read -r module parameters; do
  # shellcheck disable=SC2086
  insmod "/modules/$module" $parameters 2>/dev/null || unloaded="$unloaded $module"
done </modules/order
rm -rf /modules

port() {
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do # the devices come a moment after their driver
    for device in /sys/class/virtio-ports/*; do
      [ "$(cat "$device/name" 2>/dev/null)" != "$1" ] || { echo "/dev/${device##*/}"; return; }
    done
    usleep 50000
  done
}
control=$(port control) stdout=$(port stdout) stderr=$(port stderr)
exec 3<>"$control"
echo "ready$unloaded" >&3

# ---- the snapshot is taken here; what follows is done once for every command ----
read -r now seed command <&3
date -s "@$now" >/dev/null
echo "$seed" >/dev/urandom

give_up() { echo "failed $*" >&3; sleep 60; }
# A guest with such a mount cannot be kept as a snapshot: hence only now.
share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose" "$1" "$2" || give_up "share $1"; }
share root /host
mount -t tmpfs -o mode=755 tmpfs /layers
mkdir /layers/upper /layers/work
mount -t overlay -o lowerdir=/host,upperdir=/layers/upper,workdir=/layers/work overlay /new || give_up overlay
cd /new
mkdir -p proc sys dev run tmp usr/lib/modules
for dir in proc sys dev; do mount --move /$dir $dir; done
share modules usr/lib/modules
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/lock run/netns run/guest dev/pts dev/shm
mount -t devpts -o ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "${link#*:}" "dev/${link%%:*}"; done
chmod 666 dev/net/tun dev/ptmx
cp /bin/busybox run/guest/busybox
[ -e sbin/modprobe ] || ln -s /run/guest/busybox sbin/modprobe # the kernel asks it for modules
echo netloom-guest >proc/sys/kernel/hostname
ip link set lo up
echo "$command" | base64 -d >run/guest/command
# A port can be opened once only, but a command may open /dev/stdout anew: it writes to pipes.
cat >run/guest/main <<EOF
busybox=/run/guest/busybox
echo started >&3
{
  { /bin/sh /run/guest/command </dev/null 2>&4 3>&- 4>&-; echo "exit \$?" >&3; } | \$busybox cat >$stdout
} 4>&1 | \$busybox cat >$stderr
echo end >&3
\$busybox sleep 60 # the host ends the machine
EOF
exec switch_root /new /run/guest/busybox sh /run/guest/main
