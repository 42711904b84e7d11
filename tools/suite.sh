#!/bin/sh
# sh tools/suite.sh     prints the folder of a later Debian suite, which it makes first where it is not there
#
# Container clients newer than the distribution's: Podman, dockerd, containerd, netavark, the CNI reference plugins.
# Their packages are fetched by apt with lists of its own and unpacked; nothing is installed, no script of theirs runs,
# and nothing is started. As root. test/lib/suite.ts enters the folder, which nobody writes to.
#
# The folder lies in $NETLOOM_SUITE_CACHE, by default /var/cache/netloom-suite, under a name made of this file's content:
# whoever changes the list below gets another one. One that nobody asked for in a week is removed.
set -eu
suite=forky
packages='podman docker.io docker-cli containerd runc crun netavark aardvark-dns containernetworking-plugins
  passt uidmap iptables nftables iproute2 conntrack busybox-static
  dash bash coreutils util-linux mount sed grep mawk findutils tar procps hostname kmod jq libc-bin libstdc++6'
# what comes along and is of no use where nothing is installed
useless='dirmngr|gnupg|gnupg-l10n|gpg-agent|gpgsm|pinentry-.*|perl-base|systemd|systemd-sysv|libsystemd-shared|debconf|adduser'

fail() { echo "netloom suite: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "the folder of $suite is made as root"
cache=${NETLOOM_SUITE_CACHE:-/var/cache/netloom-suite}
key=$suite-$(sha256sum <"$(readlink -f "$0")" | cut -c 1-12)
mkdir -p "$cache" || fail "$cache cannot be made: set NETLOOM_SUITE_CACHE"
folder=$cache/$key
exec 9>"$cache/lock"
flock 9 # two at a time make one folder
if [ -d "$folder" ]; then
  touch "$folder"
  echo "$folder"
  exit
fi
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
for half in "$cache"/*.half; do # somebody was killed while making it
  [ ! -e "$half" ] || rm -rf "$half"
done

# ---- fetch: from the mirror that this machine's own release comes from ----
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
  awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }')
[ -n "$mirror" ] || fail "apt knows no mirror of this machine's own release (${release:-unknown})"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || fail "$keys is missing; apt-get install debian-archive-keyring"
apt=$folder.half/apt root=$folder.half/root
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$root"
: >"$apt/status"
echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
apt-config dump Acquire | grep -vE 'Acquire::(Languages|IndexTargets)' >"$apt/apt.conf" || true # proxies, certificates
cat >>"$apt/apt.conf" <<END
Dir::Etc { SourceList "$apt/sources.list"; SourceParts "/dev/null"; Preferences "/dev/null"; PreferencesParts "/dev/null"; };
Dir::State "$apt"; Dir::State::Lists "$apt/lists"; Dir::State::Status "$apt/status"; Dir::Cache "$apt/cache";
Acquire::Check-Valid-Until "false"; Acquire::Languages "none"; APT::Sandbox::User "root"; APT::Install-Recommends "false";
END
echo "netloom suite: fetching $suite's container clients" >&2
fetch() {
  apt-get update -q && apt-get install -q -y --download-only "$@"
}
# shellcheck disable=SC2086
APT_CONFIG=$apt/apt.conf fetch $packages >"$apt/log" 2>&1 || { cat "$apt/log" >&2; fail "apt-get could not fetch $suite"; }

# ---- unpack ----
for dir in bin sbin lib lib64; do # as Debian merges them
  mkdir -p "$root/usr/$dir"
  ln -s "usr/$dir" "$root/$dir"
done
export root
for archive in "$apt"/cache/archives/*.deb; do
  echo "${archive##*/}" | grep -qE "^($useless)_" || echo "$archive"
done | xargs -n 4 -P "$(nproc)" sh -ec 'for archive in "$@"; do
    dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$root" --keep-directory-symlink --exclude="./usr/share/doc/*" \
      --exclude="./usr/share/man/*" --exclude="./usr/share/locale/*" --exclude="./usr/share/info/*" \
      --exclude="./usr/lib/*/gconv/*" --exclude="./usr/share/bash-completion/*" --exclude="./usr/lib/systemd/*"
  done' sh
rm -rf "$apt"

# ---- what the packages' scripts would have done ----
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/root" "$root/var/lib" "$root/etc" \
  "$root/var/tmp" "$root/mnt" "$root/opt"
[ -e "$root/var/run" ] || ln -s /run "$root/var/run"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\ndocker:x:990:\n' >"$root/etc/group"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
: >"$root/etc/resolv.conf"
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  [ -e "$root/usr/sbin/$tool" ] || ln -s xtables-nft-multi "$root/usr/sbin/$tool"
done
[ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
chroot "$root" /sbin/ldconfig
unshare --mount sh -ec 'mount -t proc proc "$root/proc"
  chroot "$root" sh -ec "podman --version; dockerd --version; containerd --version; /usr/lib/podman/netavark --version"' \
  >"$folder.half/versions" || fail "the programs of $suite do not start"
chmod 755 "$root"
mv "$root" "$folder.root"
mv "$folder.half/versions" "$folder.root/etc/netloom-suite"
rm -rf "$folder.half"
mv "$folder.root" "$folder"
echo "$folder"
