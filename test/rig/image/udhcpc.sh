#!/bin/sh
# Handles the replies that the agent's DHCP client (busybox udhcpc) gets.
case $1 in
deconfig) ip addr flush dev "$interface" && ip link set "$interface" up ;;
bound | renew)
  ip addr add "$ip/$mask" dev "$interface"
  [ -n "$router" ] && ip route add default via "${router%% *}"
  mkdir -p /etc
  for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
  ;;
esac
