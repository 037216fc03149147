#!/bin/sh
# /init of a system on a disk: finds its root by the label on the kernel's command line, and switches to it.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
for word in $(cat /proc/cmdline); do
  case $word in
  root=*) label=${word#root=} ;;
  esac
done
until root=$(findfs "$label" 2>/dev/null); do sleep 0.2; done
mount -t ext4 -o ro "$root" /newroot
for directory in proc sys dev; do mount --move /$directory /newroot/$directory; done
exec switch_root /newroot /bin/init
