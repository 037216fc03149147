import type * as z from 'zod';
import { type DiskOptions, diskFields, diskOptionsOf, limitsText } from '../backends/disk.ts';
import { diskFacts } from '../backends/disk-facts.ts';
import {
  cdFields,
  identityText,
  physicalBlock,
  rotationRate,
  worldWideName,
} from '../backends/drive-fields.ts';
import { type BootKind, bootFields } from '../boot-device.ts';
import {
  type BuiltDevice,
  type ConfigurableType,
  type DeviceFact,
  deviceFields,
  type Zod,
} from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import { UNIT_COMMANDS } from '../virtio/queue-counters.ts';
import { ScsiDrive } from './drive.ts';
import type { ScsiIdentity } from './scsi-host.ts';

const VENDOR = 'VRING';
const REVISION = '1.0';
const CD_BLOCK = 2048;

/** The options for what a unit reports about itself. */
function unitFields(z: Zod) {
  return {
    serial: identityText(z, 36).describe(
      "the serial number that the guest reads (default: the device's name)",
    ),
    wwn: worldWideName(z).describe('its world-wide name (default: none)'),
    'port-wwn': worldWideName(z).describe('the world-wide name of its port (default: none)'),
    vendor: identityText(z, 8).describe(`its vendor (default: ${VENDOR})`),
    product: identityText(z, 16).describe('its product name (default: that of the type)'),
    ver: identityText(z, 4).describe(`its revision (default: ${REVISION})`),
  };
}

type UnitOptions = z.output<z.ZodObject<ReturnType<typeof unitFields>>>;

/** QEMU's properties for these options, and for the disk. */
const PROPERTIES = {
  drive: 'path',
  bootindex: 'bootindex',
  serial: 'serial',
  wwn: 'wwn',
  port_wwn: 'port-wwn',
  vendor: 'vendor',
  product: 'product',
  ver: 'ver',
} as const;

const identityOf = (options: UnitOptions, name: string, product: string) => ({
  vendor: options.vendor ?? VENDOR,
  product: options.product ?? product,
  revision: options.ver ?? REVISION,
  serial: options.serial ?? name,
  wwn: BigInt(options.wwn ?? 0),
  portWwn: BigInt(options['port-wwn'] ?? 0),
});

const block = (z: Zod) =>
  z
    .int()
    .refine(
      bytes => [512, 1024, 2048, 4096, 8192, 16384, 32768].includes(bytes),
      'a power of two from 512 to 32768',
    );

const diskOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'scsi-hd'),
    ...diskFields(z),
    ...bootFields(z),
    ...unitFields(z),
    'rotation-rate': rotationRate(z),
    removable: z.boolean().default(false).describe('its medium can be changed'),
    dpofua: z.boolean().default(true).describe('it reports that it supports DPO and FUA'),
    'logical-block-size': block(z).default(512).describe('bytes of a block'),
    'physical-block-size': block(z)
      .optional()
      .describe("bytes of a block of the medium (default: as the host's disk has them)"),
    'min-io-size': z
      .int()
      .min(0, 'at least 0 bytes')
      .max(2 ** 31, 'at most 2 GiB')
      .optional()
      .describe("bytes of the smallest efficient transfer (default: as the host's disk has them)"),
    'opt-io-size': z
      .int()
      .min(0, 'at least 0 bytes')
      .max(2 ** 31, 'at most 2 GiB')
      .default(0)
      .describe('bytes of the best transfer; 0 for not known'),
  });

type DiskRowOptions = z.output<ReturnType<typeof diskOptions>>;

function diskIdentity(options: DiskRowOptions, name: string, disk: BlockBackend | null): ScsiIdentity {
  const logical = options['logical-block-size'];
  const physical = options['physical-block-size'] ?? physicalBlock(logical, disk);
  if (physical < logical)
    throw new Error(
      `${name}: a physical block of ${physical} bytes is smaller than a logical one of ${logical}`,
    );
  return {
    kind: 'disk',
    ...identityOf(options, name, 'VRING HARDDISK'),
    logicalBlock: logical,
    physicalBlock: physical,
    minIo: options['min-io-size'] ?? disk?.blockSize ?? 0,
    optimalIo: options['opt-io-size'],
    rotationRate: options['rotation-rate'],
    removable: options.removable,
    dpofua: options.dpofua,
    writeCache: true,
  };
}

export const scsiHd: ConfigurableType<ReturnType<typeof diskOptions>> = {
  type: 'scsi-hd',
  title: 'SCSI disk',
  description: 'a disk on a SCSI controller, backed by an image file or a block device of the host',
  bus: 'scsi',
  backend: 'disk',
  definition: { key: 'disks', value: 'scsi' },
  libvirt: { element: 'disk', models: ['scsi'] },
  prefix: 'sd',
  qemu: {
    devices: ['scsi-hd', 'scsi-disk'],
    properties: {
      ...PROPERTIES,
      rotation_rate: 'rotation-rate',
      removable: 'removable',
      dpofua: 'dpofua',
      logical_block_size: 'logical-block-size',
      physical_block_size: 'physical-block-size',
      min_io_size: 'min-io-size',
      opt_io_size: 'opt-io-size',
    },
  },
  config: diskOptions,
  create(services, options, name) {
    const { limits = {} } = options;
    const drive = new ScsiDrive({
      ...hostOf(services, name, 'scsi-hd'),
      identity: disk => diskIdentity(options, name, disk),
      medium: diskOptionsOf(options),
      limits,
    });
    return builtDrive(drive, 'disk', options.bootindex);
  },
};

const cdOptions = (z: Zod) =>
  z.strictObject({ ...deviceFields(z, 'scsi-cd'), ...cdFields(z), ...unitFields(z) });

export const scsiCd: ConfigurableType<ReturnType<typeof cdOptions>> = {
  type: 'scsi-cd',
  title: 'SCSI CD drive',
  description: 'a CD or DVD drive on a SCSI controller, whose medium can be changed while the VM runs',
  bus: 'scsi',
  backend: 'disk',
  definition: { key: 'disks', value: 'scsi', cdrom: true },
  prefix: 'cd',
  qemu: { devices: ['scsi-cd'], properties: PROPERTIES },
  config: cdOptions,
  create(services, options, name) {
    const { path, limits = {} } = options;
    const drive = new ScsiDrive({
      ...hostOf(services, name, 'scsi-cd'),
      identity: () => ({
        kind: 'cd',
        ...identityOf(options, name, 'VRING CD-ROM'),
        logicalBlock: CD_BLOCK,
        physicalBlock: CD_BLOCK,
        minIo: 0,
        optimalIo: 0,
        rotationRate: 0,
        removable: true,
        dpofua: false,
        writeCache: false,
      }),
      medium: path === undefined ? null : diskOptionsOf({ ...options, path }),
      limits,
    });
    return builtDrive(drive, 'cdrom', options.bootindex);
  },
};

function hostOf(services: MachineServices, name: string, type: string) {
  return {
    name,
    open: (options: DiskOptions) => services.backends.open('disk', options),
    allocateCounters: () =>
      services.allocateQueueCounters({ device: name, type, queue: UNIT_COMMANDS, size: 0 }),
    reportDiskErrors: (text: string | null) => services.reportDiskErrors(name, text),
    pause: (reason: string) => services.pauseForDisk(name, reason),
  };
}

function builtDrive(drive: ScsiDrive, kind: BootKind, index: number | undefined): BuiltDevice {
  return {
    device: drive,
    scsi: drive,
    boot: { kind, index },
    capabilities: { disk: drive },
    get facts() {
      return factsOf(drive);
    },
  };
}

function factsOf(drive: ScsiDrive): DeviceFact[] {
  const { medium, disk, identity } = drive;
  const { logicalBlock, serial, removable } = identity;
  return [
    ...diskFacts(medium, disk),
    ...(removable ? [{ label: 'tray', value: drive.tray }] : []),
    { label: 'block', value: logicalBlock, unit: 'bytes' },
    { label: 'serial', value: serial },
    { label: 'limits', value: limitsText(drive.limits) },
  ];
}
