import type * as z from 'zod';
import { type DiskOptions, diskFields, errorPolicyOf } from '../../backends/disk.ts';
import { type BootDevice, bootFields } from '../../boot-device.ts';
import type { BusKind, ConfigurableType, DefinitionKey, LibvirtNames, QemuNames } from '../../device-type.ts';
import { deviceFields, type Zod } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import type { BlockBackend } from '../../virtio/block-backend.ts';
import { Drive } from '../drive.ts';
import { AtaDisk } from './ata-disk.ts';
import { AtapiDrive } from './atapi-drive.ts';
import { QUEUE_DEPTH } from './identify.ts';
import { CD_BLOCK } from './mmc.ts';

const FIRMWARE = '1.0';
/** The most that a disk says its physical blocks have. */
const MAX_PHYSICAL_BLOCK = 4096;

const text = (z: Zod, most: number) =>
  z
    .string()
    .regex(new RegExp(`^[\\x20-\\x7e]{1,${most}}$`), `1 to ${most} printable ASCII characters`)
    .optional();

/** What every drive says of itself. */
function identityFields(z: Zod) {
  return {
    serial: text(z, 20).describe("the serial number that the guest reads; the device's name if absent"),
    model: text(z, 40).describe('its model; that of the type if absent'),
    ver: text(z, 8).describe(`the revision of its firmware; ${FIRMWARE} if absent`),
    wwn: z
      .string()
      .regex(/^0x[0-9a-f]{1,16}$/i, 'an identifier such as 0x5000c50015ea71ac')
      .optional()
      .describe('its world-wide name; none if absent'),
  };
}

type IdentityOptions = z.output<z.ZodObject<ReturnType<typeof identityFields>>>;

const identityOf = (options: IdentityOptions, name: string, model: string) => ({
  serial: options.serial ?? name,
  firmware: options.ver ?? FIRMWARE,
  model: options.model ?? model,
  wwn: BigInt(options.wwn ?? 0),
});

/** QEMU's properties for them, and for the disk. */
const PROPERTIES = {
  ...{ drive: 'path', bootindex: 'bootindex', serial: 'serial', model: 'model', ver: 'ver', wwn: 'wwn' },
} as const;

/** What tells the rows of one kind of bus from those of another. */
type AtaBus = {
  readonly bus: BusKind;
  /** `sata` for `sata-hd`. */
  readonly word: string;
  readonly title: string;
  /** What it is connected to: `a SATA port`. */
  readonly on: string;
  /** Where firmware finds the drive; absent: its bus knows. */
  readonly path?: Pick<BootDevice, 'node' | 'below'>;
  readonly qemu?: { readonly disk: QemuNames['devices']; readonly cd: QemuNames['devices'] };
  readonly libvirt?: LibvirtNames['models'];
  readonly definition: NonNullable<DefinitionKey['value']>;
};

const SATA: AtaBus = {
  ...{ bus: 'sata', word: 'sata', title: 'SATA', on: 'a port of a SATA controller' },
  path: { node: 'pci8086,2922', below: ({ unit }) => `/drive@${unit.toString(16)}/disk@0` },
  libvirt: ['sata'],
  definition: 'sata',
};

/** Their bus says where firmware finds them. */
const IDE: AtaBus = {
  ...{ bus: 'ide', word: 'ide', title: 'IDE', on: 'a cable of an IDE controller' },
  qemu: { disk: ['ide-hd', 'ide-drive'], cd: ['ide-cd'] },
  libvirt: ['ide'],
  definition: 'ide',
};

export const ideHd = diskRow(IDE);
export const ideCd = cdRow(IDE);
export const sataHd = diskRow(SATA);
export const sataCd = cdRow(SATA);

function diskRow(ata: AtaBus) {
  const type = `${ata.word}-hd`;
  const options = (z: Zod) =>
    z.strictObject({
      ...deviceFields(z, type),
      ...diskFields(z),
      ...bootFields(z),
      ...identityFields(z),
      'rotation-rate': z
        .int()
        .min(0, 'a number from 0 to 65534')
        .max(65534, 'a number from 0 to 65534')
        .default(0)
        .describe('turns per minute; 1 for a disk that does not rotate, 0 for one that does not say'),
      'physical-block-size': z
        .int()
        .refine(bytes => [512, 1024, 2048, 4096].includes(bytes), '512, 1024, 2048 or 4096')
        .optional()
        .describe("bytes of a block of the medium; as the host's disk has them if absent"),
    });
  const row: ConfigurableType<ReturnType<typeof options>> = {
    type,
    title: `${ata.title} disk`,
    description: `a disk on ${ata.on}, backed by an image file or a block device of the host`,
    bus: ata.bus,
    backend: 'disk',
    definition: { key: 'disks', value: ata.definition },
    ...(ata.libvirt && { libvirt: { element: 'disk', models: ata.libvirt } }),
    prefix: ata.word === 'sata' ? 'sata' : 'hd',
    qemu: {
      devices: ata.qemu?.disk ?? [],
      properties: {
        ...PROPERTIES,
        rotation_rate: 'rotation-rate',
        physical_block_size: 'physical-block-size',
      },
    },
    config: options,
    queues: () => 1,
    create(services, options, name) {
      const { path, format, readonly, cache } = options;
      const drive = openDrive(services, name, type, options, {
        ...{ path, format, readonly, cache },
        keepsDiscarded: options.discard === 'ignore',
        policy: errorPolicyOf(options),
      });
      const disk = new AtaDisk({
        drive,
        identity: identityOf(options, name, 'VRING HARDDISK'),
        physicalBlock: options['physical-block-size'] ?? physicalBlock(drive.disk),
        rotationRate: options['rotation-rate'],
      });
      return {
        device: disk,
        ata: disk,
        boot: bootOf(ata, 'disk', options.bootindex),
        capabilities: { disk: drive },
        get facts() {
          return [...drive.facts, { label: 'serial', value: options.serial ?? name }];
        },
      };
    },
  };
  return row;
}

function cdRow(ata: AtaBus) {
  const type = `${ata.word}-cd`;
  const options = (z: Zod) => {
    const { path, readonly: _, ...fields } = diskFields(z);
    return z.strictObject({
      ...deviceFields(z, type),
      ...fields,
      ...bootFields(z),
      path: path.optional().describe('the file or block device on the host; the drive is empty if absent'),
      readonly: z
        .literal(true, 'a CD cannot be written')
        .default(true)
        .describe('always: the guest cannot write to it'),
      ...identityFields(z),
    });
  };
  const row: ConfigurableType<ReturnType<typeof options>> = {
    type,
    title: `${ata.title} CD drive`,
    description: `a CD or DVD drive on ${ata.on}, whose medium can be changed while the VM runs`,
    bus: ata.bus,
    backend: 'disk',
    definition: { key: 'disks', value: ata.definition, cdrom: true },
    prefix: 'cd',
    qemu: { devices: ata.qemu?.cd ?? [], properties: PROPERTIES },
    config: options,
    queues: () => 1,
    create(services, options, name) {
      const { path, format, cache } = options;
      const policy = errorPolicyOf(options);
      const medium = path === undefined ? null : { path, format, readonly: true, cache, policy };
      const drive = openDrive(services, name, type, options, medium, CD_BLOCK);
      const cd = new AtapiDrive(drive, identityOf(options, name, 'VRING CD-ROM'));
      return {
        device: cd,
        ata: cd,
        boot: bootOf(ata, 'cdrom', options.bootindex),
        capabilities: { disk: drive },
        get facts() {
          return [
            ...drive.facts,
            { label: 'tray', value: cd.tray },
            { label: 'serial', value: options.serial ?? name },
          ];
        },
      };
    },
  };
  return row;
}

function openDrive(
  services: MachineServices,
  name: string,
  type: string,
  { limits = {} }: Pick<z.output<z.ZodObject<ReturnType<typeof diskFields>>>, 'limits'>,
  medium: DiskOptions | null,
  block?: number,
): Drive {
  return new Drive(services, {
    ...{ name, type, medium, limits, depth: QUEUE_DEPTH },
    ...(block !== undefined && { block }),
  });
}

function bootOf({ path }: AtaBus, kind: 'disk' | 'cdrom', index: number | undefined): BootDevice {
  return { kind, index, ...path };
}

/** A power of two, between a sector and what disks have. */
function physicalBlock(disk: BlockBackend | null): number {
  const ofHost = 2 ** Math.floor(Math.log2(Math.max(1, disk?.blockSize ?? 1)));
  return Math.max(512, Math.min(MAX_PHYSICAL_BLOCK, ofHost));
}
