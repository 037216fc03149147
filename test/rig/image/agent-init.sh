#!/bin/sh
# /init of a guest that does what a test asks: it runs the scripts that come in over its serial port (see serial-guest.ts).
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up

# Without echo, and with lines as they are.
stty -F /dev/ttyS0 raw -echo
exec 3<>/dev/ttyS0
printf '\nagent %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r token script <&3; do
  printf '\n%s begin\n' "$token" >&3
  sh -c "$script" </dev/null >&3 2>&3 3<&-
  printf '\n%s %s\n' "$token" "$?" >&3
done
