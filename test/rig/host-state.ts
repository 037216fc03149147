/**
 * Prints the host device state that vring changes: drivers and overrides, the number of VFs and their settings, VFIO's
 * nodes and modules. If the output is the same, the host is unchanged.
 */
export const HOST_STATE = `
  cd /sys/bus/pci/devices
  # A program for each device would take seconds.
  ls -l */driver | sed 's|.* \\([^ ]*\\) -> .*/|\\1 |'
  grep -H '' */driver_override */sriov_numvfs */sriov_drivers_autoprobe 2>/dev/null | sed 's/:\\([^:]*\\)$/ \\1/'
  ls -R /dev/vfio 2>/dev/null
  /bin/ip -d link show | sed -n 's/^  *\\(vf .*\\)/\\1/p'
  cut -d ' ' -f 1 /proc/modules | grep -E 'vfio|stub|iommufd' | sort`;
