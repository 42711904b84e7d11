#!/bin/sh
# Prints what of this machine's network no test may change: compared before and after the suite.
set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
section() { echo "== $*"; }
# lifetimes count down by themselves
steady() { jq -S 'walk(if type == "object" then del(.valid_life_time, .preferred_life_time, .expires, .used) else . end)'; }
for what in link addr route "-6 route" rule "-6 rule"; do
  section "ip $what"
  # shellcheck disable=SC2086
  ip -j $what show | steady
done
if [ "$(id -u)" = 0 ]; then
  section nft
  nft --stateless list ruleset 2>&1
fi
section sysctl
for key in ipv4/ip_forward ipv6/conf/all/forwarding ipv4/conf/all/rp_filter ipv4/conf/all/route_localnet \
  ipv4/conf/default/rp_filter ipv4/ip_local_reserved_ports; do
  echo "$key $(cat "/proc/sys/net/$key" 2>/dev/null)"
done
for dir in /run/netns /run/netloom /var/lib/netloom /etc/netns; do
  section "$dir"
  ls "$dir" 2>/dev/null
done
exit 0 # a directory that is not there is a state too
