import type * as z from 'zod';
import { type DiskOptions, diskFields, diskOptionsOf } from '../../backends/disk.ts';
import {
  cdFields,
  identityText,
  physicalBlock,
  rotationRate,
  worldWideName,
} from '../../backends/drive-fields.ts';
import { bootFields } from '../../boot-device.ts';
import type { BusKind, ConfigurableType, DefinitionKey, LibvirtNames, QemuNames } from '../../device-type.ts';
import { deviceFields, type Zod } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { Drive } from '../drive.ts';
import { AtaDisk } from './ata-disk.ts';
import { AtapiDrive } from './atapi-drive.ts';
import { QUEUE_DEPTH } from './identify.ts';
import { CD_BLOCK } from './mmc.ts';
import { SECTOR } from './registers.ts';

const FIRMWARE = '1.0';

/** The options for what every drive reports about itself. */
function identityFields(z: Zod) {
  return {
    serial: identityText(z, 20).describe(
      "the serial number that the guest reads (default: the device's name)",
    ),
    model: identityText(z, 40).describe('its model (default: that of the type)'),
    ver: identityText(z, 8).describe(`the revision of its firmware (default: ${FIRMWARE})`),
    wwn: worldWideName(z).describe('its world-wide name (default: none)'),
  };
}

type IdentityOptions = z.output<z.ZodObject<ReturnType<typeof identityFields>>>;

const identityOf = (options: IdentityOptions, name: string, model: string) => ({
  serial: options.serial ?? name,
  firmware: options.ver ?? FIRMWARE,
  model: options.model ?? model,
  wwn: BigInt(options.wwn ?? 0),
});

/** QEMU's properties for these options, and for the disk. */
const PROPERTIES = {
  ...{ drive: 'path', bootindex: 'bootindex', serial: 'serial', model: 'model', ver: 'ver', wwn: 'wwn' },
} as const;

/** What distinguishes the rows of one kind of bus from those of another. */
type AtaBus = {
  readonly bus: BusKind;
  /** `sata` for `sata-hd`. */
  readonly word: string;
  readonly title: string;
  /** What it is connected to: `a SATA port`. */
  readonly on: string;
  readonly qemu?: { readonly disk: QemuNames['devices']; readonly cd: QemuNames['devices'] };
  readonly libvirt?: LibvirtNames['models'];
  readonly definition: NonNullable<DefinitionKey['value']>;
};

const SATA: AtaBus = {
  ...{ bus: 'sata', word: 'sata', title: 'SATA', on: 'a port of a SATA controller' },
  libvirt: ['sata'],
  definition: 'sata',
};

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
      'rotation-rate': rotationRate(z),
      'physical-block-size': z
        .int()
        .refine(bytes => [512, 1024, 2048, 4096].includes(bytes), '512, 1024, 2048 or 4096')
        .optional()
        .describe("bytes of a block of the medium (default: as the host's disk has them)"),
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
      const drive = openDrive(services, name, type, options, diskOptionsOf(options));
      const disk = new AtaDisk({
        drive,
        identity: identityOf(options, name, 'VRING HARDDISK'),
        physicalBlock: options['physical-block-size'] ?? physicalBlock(SECTOR, drive.disk),
        rotationRate: options['rotation-rate'],
      });
      return {
        device: disk,
        ata: disk,
        boot: { kind: 'disk', index: options.bootindex },
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
  const options = (z: Zod) =>
    z.strictObject({ ...deviceFields(z, type), ...cdFields(z), ...identityFields(z) });
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
      const { path } = options;
      const medium = path === undefined ? null : diskOptionsOf({ ...options, path });
      const drive = openDrive(services, name, type, options, medium, CD_BLOCK);
      const cd = new AtapiDrive(drive, identityOf(options, name, 'VRING CD-ROM'));
      return {
        device: cd,
        ata: cd,
        boot: { kind: 'cdrom', index: options.bootindex },
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
