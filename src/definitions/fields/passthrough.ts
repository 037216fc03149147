import * as z from 'zod';
import { DEVICE_NAME } from '../../devices/device-type.ts';
import { VF_TOKEN } from '../../devices/vfio/options.ts';
import { formatAddress, formatSlot, parseAddress, parseSlot, withDomain } from '../../host/pci/address.ts';
import { shown } from '../words.ts';
import { hostPath, pciPlace, unicastMac } from './text.ts';

const EXPECTED = 'a PCI address, such as 0000:02:00.0, or 0000:02:00 for all functions of the device';

/** A function, or a slot, which stands for all functions of the device. */
const hostAddress = z.string(EXPECTED).transform((text, context) => {
  const full = withDomain(text);
  const address = parseAddress(full);
  if (address !== null) return formatAddress(address);
  const slot = parseSlot(full);
  if (slot !== null) return formatSlot(slot);
  context.addIssue({ code: 'custom', message: `expected ${EXPECTED}, not ${shown(text)}`, input: text });
  return z.NEVER;
});

const BUS = 'pcie.0, or the name of a device that provides a bus, such as a root-port';

const pciId = (what: string) =>
  z
    .int()
    .min(0, 'a number from 0 to 0xffff')
    .max(0xffff, 'a number from 0 to 0xffff')
    .optional()
    .meta({ description: `The ${what} that the guest sees. Default: the device's.`, examples: [0x1af4] });

const flag = (description: string) =>
  z
    .boolean()
    .optional()
    .meta({ description, examples: [true] });

const VLAN = 'a VLAN from 0 to 4094';
const QOS = 'a priority from 0 to 7';

const device = z.strictObject({
  host: hostAddress.meta({
    description: "The host's PCI function; without the function number, all functions of the device.",
    examples: ['0000:02:00.0'],
  }),
  id: z
    .string()
    .regex(/^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$/, 'vendor:device in hexadecimal, such as 8086:1521')
    .transform(id => id.toLowerCase())
    .optional()
    .meta({
      description:
        'The expected vendor and device ID; the VM does not start if another device is at the address.',
      examples: ['8086:1521'],
    }),
  name: z
    .string()
    .regex(DEVICE_NAME.pattern, DEVICE_NAME.rule)
    .optional()
    .meta({ description: 'Its name in the VM. Default: numbered.', examples: ['gpu'] }),
  bus: z
    .string(BUS)
    .max(16, BUS)
    .optional()
    .meta({ description: `Its bus in the guest: ${BUS}.`, examples: ['port0'] }),
  addr: pciPlace,
  multifunction: flag(
    'Keep the functions of one device in one slot of the guest. Default: each gets its own.',
  ),
  keep: flag('Leave the device with vfio-pci when the VM stops, instead of returning it to its driver.'),
  mac: unicastMac('For a network VF: the MAC address that it gets when the VM starts.'),
  vlan: z
    .int(VLAN)
    .min(0, VLAN)
    .max(4094, VLAN)
    .optional()
    .meta({
      description: 'For a network VF: the VLAN of all its traffic; 0 for none.',
      examples: [42],
    }),
  qos: z
    .int(QOS)
    .min(0, QOS)
    .max(7, QOS)
    .optional()
    .meta({ description: 'The priority in that VLAN (IEEE 802.1p).', examples: [3] }),
  trust: flag(
    'For a network VF: trust it, so that its guest may change its MAC address and receive frames for others.',
  ),
  'spoof-check': flag(
    "For a network VF: drop frames that it sends with a MAC address other than its own. Default: the driver's.",
  ),
  iommufd: flag(
    'Whether to open it through iommufd, or through its IOMMU group. Default: iommufd if the kernel has it.',
  ),
  'vf-token': z
    .string()
    .regex(VF_TOKEN, 'a UUID')
    .transform(token => token.toLowerCase())
    .optional()
    .meta({
      description:
        'The token, a UUID, that a physical function and its virtual functions share if all of them are bound ' +
        'to VFIO drivers.',
      examples: ['4b20d080-1b54-4048-85b3-a6a62d165c01'],
    }),
  'unsafe-no-iommu': flag(
    'Pass it even if the host has no IOMMU. UNSAFE: the guest can read and write all host memory.',
  ),
  rombar: z
    .boolean()
    .optional()
    .meta({ description: 'Whether the guest sees its ROM. Default: true.', examples: [false] }),
  romfile: hostPath.optional().meta({
    description: "A file with its ROM, if the card's own cannot be read.",
    examples: ['/usr/share/vring/gpu.rom'],
  }),
  bootindex: z
    .int()
    .min(0, 'at least 0')
    .max(2 ** 31 - 1, 'at most 2147483647')
    .optional()
    .meta({
      description: "Its position in the firmware's boot order.",
      examples: [1],
    }),
  'x-vga': flag('Whether it also answers at the legacy VGA addresses, which old firmware needs.'),
  'x-pci-vendor-id': pciId('vendor ID'),
  'x-pci-device-id': pciId('device ID'),
  'x-pci-sub-vendor-id': pciId('subsystem vendor ID'),
  'x-pci-sub-device-id': pciId('subsystem ID'),
  'x-no-mmap': flag('For debugging: every access to its memory exits to vring.'),
  'x-no-kvm-intx': flag('For debugging: INTx interrupts pass through vring.'),
  'x-no-kvm-msi': flag('For debugging: MSI interrupts pass through vring.'),
  'x-no-kvm-msix': flag('For debugging: MSI-X interrupts pass through vring.'),
  'x-intx-mmap-timeout-ms': z
    .int()
    .min(0, 'at least 0')
    .max(3_600_000, 'at most an hour')
    .optional()
    .meta({
      description: 'With x-no-kvm-intx: how long its memory stays unmapped after an INTx interrupt.',
      examples: [1100],
    }),
  'x-req': z
    .boolean()
    .optional()
    .meta({
      description: 'Whether the guest is asked to release it when the host wants it back. Default: true.',
      examples: [false],
    }),
});

export type Passthrough = z.output<typeof device>;
export type PassthroughInput = z.input<typeof device>;

/** 32 slots of 8 functions. */
export const passthrough = z.array(device).max(256, 'at most 256 devices').default([]);
