import * as z from 'zod';
import { DEVICE_NAME } from '../../devices/device-type.ts';
import { VF_TOKEN } from '../../devices/vfio/options.ts';
import { formatAddress, formatSlot, parseAddress, parseSlot, withDomain } from '../../host/pci/address.ts';
import { shown } from '../words.ts';
import { hostPath, pciPlace, unicastMac } from './text.ts';

const EXPECTED = 'a PCI address, such as 0000:02:00.0, or 0000:02:00 for all functions of the device';

/** A function, or with all functions of the device, its slot. */
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
    .meta({ description: `The ${what} that the guest sees; the device's if absent.`, examples: [0x1af4] });

const flag = (description: string) =>
  z
    .boolean()
    .optional()
    .meta({ description, examples: [true] });

const VLAN = 'a VLAN from 0 to 4094';
const QOS = 'a priority from 0 to 7';

const device = z.strictObject({
  host: hostAddress.meta({
    description: "The host's PCI function; without its last part, all functions of the device.",
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
    .meta({ description: 'Its name in the VM; numbered if absent.', examples: ['gpu'] }),
  bus: z
    .string(BUS)
    .max(16, BUS)
    .optional()
    .meta({ description: `Its bus in the guest: ${BUS}.`, examples: ['port0'] }),
  addr: pciPlace,
  multifunction: flag(
    'Functions of one device keep their places in one slot of the guest; each has its own if absent.',
  ),
  keep: flag('When the VM stops, the device stays with vfio-pci; otherwise it returns to its driver.'),
  mac: unicastMac("Of a network card's virtual function: the MAC address that it gets as the VM starts."),
  vlan: z
    .int(VLAN)
    .min(0, VLAN)
    .max(4094, VLAN)
    .optional()
    .meta({
      description: "Of a network card's virtual function: the VLAN that all its traffic is in; 0 for none.",
      examples: [42],
    }),
  qos: z
    .int(QOS)
    .min(0, QOS)
    .max(7, QOS)
    .optional()
    .meta({ description: 'The priority in that VLAN, IEEE 802.1p.', examples: [3] }),
  trust: flag(
    'The host trusts that virtual function: its guest may change its MAC address, and receive what is not for it.',
  ),
  'spoof-check': flag(
    'Whether frames that it sends with another MAC address than its own are dropped; as the driver has it if absent.',
  ),
  iommufd: flag(
    "Whether it is opened through iommufd, or through its IOMMU group; the kernel's newest if absent.",
  ),
  'vf-token': z
    .string()
    .regex(VF_TOKEN, 'a UUID')
    .transform(token => token.toLowerCase())
    .optional()
    .meta({
      description:
        'The token, a UUID, that a physical function and its virtual functions share when all of them are with VFIO.',
      examples: ['4b20d080-1b54-4048-85b3-a6a62d165c01'],
    }),
  'unsafe-no-iommu': flag(
    'Pass it even if the host has no IOMMU: UNSAFE, the guest can read and write all host memory.',
  ),
  rombar: z
    .boolean()
    .optional()
    .meta({ description: 'Whether the guest sees its ROM; it does if absent.', examples: [false] }),
  romfile: hostPath.optional().meta({
    description: 'A file with its ROM, for a card whose own cannot be read.',
    examples: ['/usr/share/vring/gpu.rom'],
  }),
  bootindex: z
    .int()
    .min(0, 'at least 0')
    .max(2 ** 31 - 1, 'at most 2147483647')
    .optional()
    .meta({
      description: 'Its place in the order in which the firmware boots.',
      examples: [1],
    }),
  'x-vga': flag("Whether it also answers at a VGA adapter's legacy addresses, as old firmware needs."),
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
      description: 'How long after an INTx interrupt its memory is not mapped, with x-no-kvm-intx.',
      examples: [1100],
    }),
  'x-req': z
    .boolean()
    .optional()
    .meta({
      description: 'Whether the guest is asked to release it when the host wants it back; it is if absent.',
      examples: [false],
    }),
});

export type Passthrough = z.output<typeof device>;
export type PassthroughInput = z.input<typeof device>;

/** 32 slots of 8 functions. */
export const passthrough = z.array(device).max(256, 'at most 256 devices').default([]);
