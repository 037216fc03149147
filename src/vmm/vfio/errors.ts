import { HostDeviceError } from '../../devices/vfio/host-device.ts';
import { prlimit, RLIMIT_MEMLOCK, SystemError, UNLIMITED } from '../native/libc.ts';
import type { IoctlName } from './ioctls.ts';

const MiB = 2 ** 20;

type Advice = Readonly<Record<string, string>>;

const TOKEN =
  'VFIO has its physical function or a VF of it, too, and wants the token that was given there: set vf-token to that, or bind the physical function to its own driver';
const OTHER_USE =
  'the IOMMU uses its group for something else: unbind all devices of the group, and bind them to vfio-pci again';

/** The meaning of a call's errno, and the next step, after `0000:01:10.0: `. */
const ADVICE: { readonly [name in IoctlName]?: Advice } = {
  VFIO_GROUP_SET_CONTAINER: {
    EPERM:
      'its IOMMU group is not viable: a driver of the host has another device of the group; bind all of them to vfio-pci, or unbind them',
    EBUSY: 'its IOMMU group is in use by another process: stop that first',
    EINVAL: 'its IOMMU group is in a container already, of another process: stop that first',
  },
  VFIO_SET_IOMMU: {
    ENODEV: 'the kernel has no IOMMU driver for VFIO: run `modprobe vfio_iommu_type1`',
    EPERM: noRemapping('vfio_iommu_type1'),
    EBUSY: OTHER_USE,
    EINVAL: 'the IOMMU cannot be used for it: see the kernel log (dmesg)',
  },
  VFIO_GROUP_GET_DEVICE_FD: {
    ENODEV: 'it is not bound to vfio-pci: bind it with `vring vfio bind`',
    EBUSY: 'another process has it open: stop that first',
    EACCES: TOKEN,
    EIO: 'the kernel cannot wake it up or reset it: see the kernel log (dmesg)',
  },
  VFIO_DEVICE_BIND_IOMMUFD: {
    EPERM: noRemapping('iommufd'),
    EBUSY:
      'its IOMMU group is in use: stop the process that has /dev/vfio/GROUP open, and bind all devices of the group to vfio-pci, or unbind them',
    EINVAL:
      'another process has it open, or its IOMMU does not keep caches coherent: stop that process, or use iommufd=off, which a VF token needs before Linux 6.17',
    ENODEV: 'it is no longer bound to vfio-pci: bind it again',
    EACCES: TOKEN,
  },
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: {
    EINVAL: "the IOMMU cannot map the VM's memory for it: see the kernel log (dmesg), or use iommufd=off",
    EADDRINUSE: 'the platform reserves addresses for it where the VM has memory: give the VM less memory',
    EBUSY: OTHER_USE,
  },
};

function noRemapping(module: string): string {
  return (
    'this host does not remap interrupts, so that a guest could send any interrupt to the host: turn on interrupt remapping (in the ' +
    "firmware: x2APIC, VT-d or AMD-Vi; not intremap=off on the kernel's command line), or, if the guest is trusted, run " +
    `\`echo 1 > /sys/module/${module}/parameters/allow_unsafe_interrupts\``
  );
}

/** The error for the user after a failed call about a device. */
export function explain(address: string, name: IoctlName, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  const advice = ADVICE[name]?.[error.code];
  const message =
    advice === undefined ? `${name} failed: ${error.message}` : `${advice} (${name}: ${error.code})`;
  return new HostDeviceError(`host device ${address}: ${message}`, error.code);
}

/** Runs one call about a device. @throws HostDeviceError */
export function explained<T>(address: string, name: IoctlName, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw explain(address, name, error);
  }
}

/** Most bytes that this process may lock; null if unlimited. */
export function lockLimit(): number | null {
  const [soft] = prlimit(0, RLIMIT_MEMLOCK);
  return soft === UNLIMITED ? null : Number(soft);
}

/**
 * Why memory could not be mapped for the devices of a VM.
 * @param needed bytes that the VM must lock. @param limit of this process, in bytes; null: none
 */
export function explainMapping(error: SystemError, needed: number, limit: number | null): string {
  switch (error.code) {
    case 'ENOMEM':
      if (limit !== null && limit < needed) {
        return (
          `its process may lock ${mib(limit)} of memory, but the devices need ${mib(needed)} locked: raise RLIMIT_MEMLOCK, with ` +
          'LimitMEMLOCK=infinity in the unit of the manager, or memlock in /etc/security/limits.conf for its user'
        );
      }
      return `the host has too little free memory to lock ${mib(needed)}: stop other VMs, or give this one less`;
    case 'ENOSPC':
      return 'the kernel accepts no more mappings: raise dma_entry_limit of the module vfio_iommu_type1';
    case 'EFAULT':
      return 'the kernel cannot map this kind of memory for devices';
    default:
      return error.message;
  }
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MiB)} MiB`;
}
