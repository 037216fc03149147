/**
 * Prints what vring changes of a host's devices: drivers and overrides, the number of VFs and their settings, VFIO's nodes and modules. The
 * host is as before if it prints the same.
 */
export const HOST_STATE = `
  cd /sys/bus/pci/devices
  for device in *; do
    driver=$(readlink $device/driver); numvfs=$(cat $device/sriov_numvfs $device/sriov_drivers_autoprobe 2>/dev/null)
    echo $device \${driver##*/} $(cat $device/driver_override) $numvfs
  done
  ls -R /dev/vfio 2>/dev/null
  /bin/ip -d link show | sed -n 's/^  *\\(vf .*\\)/\\1/p'
  cut -d ' ' -f 1 /proc/modules | grep -E 'vfio|stub|iommufd' | sort`;
