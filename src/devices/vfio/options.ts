import type * as z from 'zod';
import { deviceFields, type Zod } from '../device-type.ts';

/** QEMU's: BARs are mapped again after this long without an interrupt. */
const INTX_MMAP_TIMEOUT_MS = 1100;

const HOST_ADDRESS = /^([0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i;
const SYSFS_DEVICE = /^\/sys\/(?:.*\/)?[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\/?$/i;
const ID = /^[0-9a-f]{4}:[0-9a-f]{4}$/i;
export const VF_TOKEN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The options of a passed-through PCI function, by the names of QEMU's properties. */
export function vfioOptions(z: Zod) {
  const id = (what: string) =>
    z
      .int()
      .min(0, 'a number from 0 to 0xffff')
      .max(0xffff, 'a number from 0 to 0xffff')
      .optional()
      .meta({ description: `the ${what} that the guest sees (default: the device's)`, examples: [0x1af4] });
  const flag = (description: string) =>
    z
      .boolean()
      .optional()
      .meta({ description, examples: [true] });
  return z
    .strictObject({
      ...deviceFields(z, 'vfio-pci'),
      host: z
        .string('expected a PCI address in quotes, such as "0000:01:10.0"')
        .regex(HOST_ADDRESS, 'expected a PCI address, such as 0000:01:10.0')
        .optional()
        .meta({ description: "the host's PCI function", examples: ['0000:01:10.0'] }),
      sysfsdev: z
        .string()
        .regex(
          SYSFS_DEVICE,
          'expected the folder of a PCI device in /sys, such as /sys/bus/pci/devices/0000:01:10.0',
        )
        .optional()
        .meta({
          description: 'instead of host, its folder in sysfs',
          examples: ['/sys/bus/pci/devices/0000:01:10.0'],
        }),
      id: z
        .string()
        .regex(ID, 'expected vendor:device in hexadecimal, such as 8086:1521')
        .optional()
        .meta({
          description: 'the vendor and device ID that it must have (default: any)',
          examples: ['8086:1521'],
        }),
      iommufd: flag(
        'on: open it through iommufd, off: as a member of its IOMMU group (default: what the kernel offers)',
      ),
      'vf-token': z
        .string()
        .regex(VF_TOKEN, 'expected a UUID')
        .optional()
        .meta({
          description:
            'the token that a function shares with its VFs when other processes open these through VFIO ' +
            '(default: none)',
          examples: ['4b20d080-1b54-4048-85b3-a6a62d165c01'],
        }),
      multifunction: flag(
        'its functions with this option share a slot of the guest, as they do on the host (default: each has its own)',
      ),
      rombar: z.boolean().default(true).describe('whether the guest sees the expansion ROM'),
      romfile: z
        .string()
        .min(1, 'a file')
        .optional()
        .describe('a file to show instead of the ROM of the device'),
      bootindex: z
        .int()
        .min(0, 'at least 0')
        .max(2 ** 31 - 1, 'at most 2^31 - 1')
        .optional()
        .describe('its position in the boot order of the firmware'),
      'x-vga': flag("it answers at the VGA adapter's legacy addresses (default: off)"),
      'x-pci-vendor-id': id('vendor ID'),
      'x-pci-device-id': id('device ID'),
      'x-pci-sub-vendor-id': id('subsystem vendor ID'),
      'x-pci-sub-device-id': id('subsystem ID'),
      'x-no-mmap': flag('each access to its BARs exits; for debugging'),
      'x-no-kvm-intx': flag('INTx is served by the machine thread; for debugging'),
      'x-no-kvm-msi': flag('MSI is served by the machine thread; for debugging'),
      'x-no-kvm-msix': flag('MSI-X is served by the machine thread; for debugging'),
      'x-intx-mmap-timeout-ms': z
        .int()
        .min(0, 'at least 0')
        .max(3_600_000, 'at most an hour')
        .default(INTX_MMAP_TIMEOUT_MS)
        .describe('with x-no-kvm-intx, how long after an interrupt accesses to BARs exit'),
      'x-req': z
        .boolean()
        .default(true)
        .describe('whether the guest is asked to release the device when the host wants it back'),
    })
    .refine(({ host, sysfsdev }) => (host === undefined) !== (sysfsdev === undefined), {
      message: 'expected either host or sysfsdev',
      path: ['host'],
    });
}

export type VfioOptions = z.output<ReturnType<typeof vfioOptions>>;

/** The full address of the host's function: `0000:01:10.0`. */
export function hostAddressOf({ host, sysfsdev }: Pick<VfioOptions, 'host' | 'sysfsdev'>): string {
  const given = (host ?? sysfsdev!.replace(/\/$/, '').replace(/^.*\//, '')).toLowerCase();
  return given.split(':').length === 2 ? `0000:${given}` : given;
}
