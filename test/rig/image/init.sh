#!/bin/sh
# Process 1 of the emulated host: brings it up, then runs the scripts that the test sends (see control-channel.ts).
export PATH=/bin HOME=/root
mkdir -p /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
hostname rig
ip link set lo up
ulimit -l unlimited
# The command line lists the modules for this boot, which saves the time for others.
for word in $(cat /proc/cmdline); do
  case $word in
  rig.modules=*) for module in $(echo "${word#*=}" | tr , ' '); do modprobe "$module"; done ;;
  esac
done

port() {
  for port in /sys/class/virtio-ports/*; do
    [ "$(cat "$port/name")" = "$1" ] && echo "/dev/${port##*/}"
  done
}
cd /root
# One port carries requests and standard output, the other standard error.
exec 3<>"$(port output)" 4<>"$(port errors)"
while true; do
  # Reads of a port return nothing until QEMU has opened its end.
  read -r token seconds bytes <&3 || {
    sleep 0.1
    continue
  }
  head -c "$bytes" <&3 >/tmp/request
  timeout -s KILL "$seconds" sh /tmp/request </dev/null >&3 2>&4 3<&- 4<&-
  status=$?
  printf '\n%s %s\n' "$token" "$status" >&4
  printf '\n%s %s\n' "$token" "$status" >&3
done
