#!/bin/sh
# /init of a guest under a test's control: it runs the scripts that arrive on its serial port (see serial-guest.ts).
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up

# Without echo or line processing.
stty -F /dev/ttyS0 raw -echo
exec 3<>/dev/ttyS0
printf '\nagent %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r token seconds script <&3; do
  printf '\n%s begin\n' "$token" >&3
  # In its own session, all of which is killed if the script takes too long.
  setsid timeout -s KILL "$seconds" sh -c "$script" </dev/null >&3 2>&3 3<&- &
  wait $!
  status=$?
  [ $status = 137 ] && kill -9 -$!
  printf '\n%s %s\n' "$token" "$status" >&3
done
