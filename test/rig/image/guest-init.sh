#!/bin/sh
# /init of the nested Linux guest: uses each of its devices, reports the results, and powers off.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done

MiB=1048576
say() { echo "guest: $*"; }
say "cpus $(nproc)"
say "disk-sectors $(cat /sys/block/vda/size)"
say "rng $(cat /sys/class/misc/hw_random/rng_current)"
say "random $(head -c 16 /dev/hwrng | od -An -tx1 | tr -d ' \n')"
# Read the first MiB; write to the second one.
say "read $(head -c $MiB /dev/vda | sha256sum | cut -d ' ' -f 1)"
head -c $MiB /dev/urandom >/tmp/data
say "written $(sha256sum </tmp/data | cut -d ' ' -f 1)"
dd if=/tmp/data of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null && say 'write-status 0'
echo 3 >/proc/sys/vm/drop_caches
say "read-back $(tail -c +$((MiB + 1)) /dev/vda | head -c $MiB | sha256sum | cut -d ' ' -f 1)"
say 'done'
poweroff -f
