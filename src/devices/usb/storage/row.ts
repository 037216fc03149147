import { diskFields, diskOptionsOf } from '../../backends/disk.ts';
import { identityText } from '../../backends/drive-fields.ts';
import { bootFields } from '../../boot-device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { Drive } from '../../storage/drive.ts';
import { BulkOnlyDisk } from './bulk-only.ts';
import { ScsiDisk } from './scsi-disk.ts';

const PRODUCT = 'VRING USB DISK';
/** Its transport carries out one command at a time. */
const DEPTH = 1;

const options = (z: Zod) => {
  const { discard: _, ...disk } = diskFields(z);
  return z.strictObject({
    ...deviceFields(z, 'usb-storage'),
    ...disk,
    ...bootFields(z),
    serial: identityText(z, 36).describe(
      "the serial number that the guest reads (default: the device's name)",
    ),
    removable: z.boolean().default(false).describe('its medium is removable, as in a card reader'),
  });
};

export const usbStorage: ConfigurableType<ReturnType<typeof options>> = {
  type: 'usb-storage',
  title: 'USB disk',
  description:
    'a USB stick or disk (bulk-only mass storage), backed by an image file or a block device of the host',
  bus: 'usb',
  backend: 'disk',
  definition: { key: 'disks', value: 'usb' },
  libvirt: { element: 'disk', models: ['usb'] },
  prefix: 'stick',
  qemu: {
    devices: ['usb-storage'],
    properties: { drive: 'path', bootindex: 'bootindex', serial: 'serial', removable: 'removable' },
  },
  config: options,
  queues: () => 1,
  create(services, options, name) {
    const { limits = {}, removable } = options;
    const medium = diskOptionsOf({ ...options, discard: 'ignore' });
    const drive = new Drive(services, { name, type: 'usb-storage', medium, limits, depth: DEPTH });
    const serial = options.serial ?? name;
    const identity = { vendor: 'VRING', product: 'USB DISK', revision: '1.0', serial, removable };
    const disk = new ScsiDisk(drive, identity);
    if (removable) drive.lock = disk;
    const device = new BulkOnlyDisk({ drive, disk, serial, product: PRODUCT });
    return {
      device,
      usb: device,
      boot: { kind: 'disk', index: options.bootindex },
      capabilities: { disk: drive },
      get facts() {
        return [
          ...drive.facts.filter(({ label }) => label !== 'discard'),
          { label: 'serial', value: serial },
          ...(removable ? [{ label: 'medium', value: disk.locked ? 'locked' : 'not locked' }] : []),
        ];
      },
    };
  },
};
