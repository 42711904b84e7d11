#!/bin/sh
# sh tools/vm/fetch-kernel.sh DIR
#
# Debian's newest kernel for x86-64, downloaded and unpacked below DIR: boot/vmlinuz-RELEASE and lib/modules/RELEASE with
# the modules that a guest without hardware can use. Nothing is installed.
set -eu
dir=$1
# the package without a version in its name leads to the one with it
name() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^  Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1; }
download() {
  package=$(name)
  [ -n "$package" ] && (cd "$dir" && apt-get download -q -o APT::Sandbox::User=root "$package") >"$dir/log" 2>&1
}
mkdir -p "$dir"
# an image without package lists needs them first, and so does one whose lists are older than the archive
download || { [ "$(id -u)" = 0 ] && apt-get update >"$dir/log" 2>&1 && download; } || {
  cat "$dir/log" >&2
  echo "netloom vm: apt-get could not download a kernel (${package:-linux-image-amd64 is not known; apt-get update, as root})" >&2
  exit 1
}

echo "netloom vm: unpacking $package" >&2
all='./lib/modules/*/kernel'
dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -x -C "$dir" --wildcards \
  './boot/vmlinuz-*' './lib/modules/*/modules.*' "$all/arch/*" "$all/crypto/*" "$all/lib/*" "$all/net/*" \
  "$all/fs/*" "$all/drivers/net/*" "$all/drivers/virtio/*" "$all/drivers/char/*" "$all/drivers/block/*"
rm "$dir"/*.deb "$dir/log"
for hardware in arcnet can dsa ethernet fddi hamradio ieee802154 phy usb wireless wwan; do
  rm -rf "$dir"/lib/modules/*/kernel/drivers/net/"$hardware"
done
for modules in "$dir"/lib/modules/*; do
  depmod -b "$dir" "${modules##*/}"
done
chmod -R a+rX "$dir"
