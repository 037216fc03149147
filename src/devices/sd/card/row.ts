import { diskFields, diskOptionsOf } from '../../backends/disk.ts';
import { bootFields } from '../../boot-device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import { Drive } from '../../storage/drive.ts';
import type { BlockBackend } from '../../virtio/block-backend.ts';
import { MAX_CAPACITY, MAX_STANDARD, sizeUnit } from './registers.ts';
import { SdCard } from './sd-card.ts';

/** A card carries out one command at a time. */
const DEPTH = 1;
const SERIAL = /^(?:0x)?[0-9a-f]{1,8}$/i;

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'sd-card'),
    ...diskFields(z),
    ...bootFields(z),
    serial: z
      .string()
      .regex(SERIAL, 'a number of up to 8 hexadecimal digits, such as 0x5a17')
      .optional()
      .describe(
        "the serial number that the guest reads, in hexadecimal (default: derived from the device's name)",
      ),
  });

export const sdCard: ConfigurableType<ReturnType<typeof options>> = {
  type: 'sd-card',
  title: 'SD card',
  description: 'an SD memory card, backed by an image file or a block device of the host',
  bus: 'sd',
  backend: 'disk',
  definition: { key: 'disks', value: 'sd' },
  libvirt: { element: 'disk', models: ['sd'] },
  prefix: 'card',
  qemu: { devices: ['sd-card'], properties: { drive: 'path', bootindex: 'bootindex', serial: 'serial' } },
  config: options,
  queues: () => 1,
  create(services, options, name) {
    const { path, limits = {} } = options;
    const medium = diskOptionsOf(options);
    const check = (disk: BlockBackend) => checkSize(disk.size, path, name);
    const drive = new Drive(services, { name, type: 'sd-card', medium, limits, depth: DEPTH, check });
    const serial = options.serial === undefined ? serialOf(name) : Number.parseInt(options.serial, 16);
    const card = new SdCard({ drive, identity: { maker: 'VR', product: 'VRING', serial } });
    return {
      device: card,
      sd: card,
      boot: { kind: 'disk', index: options.bootindex },
      capabilities: { disk: drive },
      get facts() {
        const capacity = (drive.disk?.size ?? 0) > MAX_STANDARD ? 'high (SDHC)' : 'standard (SDSC)';
        return [
          ...drive.facts,
          { label: 'capacity', value: capacity },
          { label: 'serial', value: `0x${serial.toString(16).padStart(8, '0')}` },
        ];
      },
    };
  },
};

/** @throws an error for the user */
function checkSize(bytes: number, path: string, name: string): void {
  const unit = sizeUnit(bytes);
  if (bytes > 0 && bytes % unit === 0 && bytes <= MAX_CAPACITY) return;
  throw new Error(
    bytes > MAX_CAPACITY
      ? `disk ${path} of ${name} has ${bytes} bytes, and an SD card at most 2 TiB: use another bus`
      : `disk ${path} of ${name} has ${bytes} bytes, and an SD card of this size has a multiple of ${unit}: pad it with \`truncate -s %${unit}\``,
  );
}

/** FNV-1a, so that the cards of a VM get different serial numbers. */
function serialOf(name: string): number {
  let hash = 0x811c_9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193);
  return hash >>> 0;
}
