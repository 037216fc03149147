import { isaDevice } from '../../acpi/acpi-parts.ts';
import { concat } from '../../acpi/aml.ts';
import { isaDmaChannel, isaInterrupt, ports } from '../../acpi/resources.ts';
import { diskFields, diskOptionsOf } from '../../backends/disk.ts';
import { type BootPath, bootFields } from '../../boot-device.ts';
import {
  type BuiltDevice,
  type BusAddress,
  type CmosBits,
  type ConfigurableType,
  type DeviceBus,
  deviceFields,
  type Zod,
} from '../../device-type.ts';
import { byteWide } from '../../legacy/byte-wide.ts';
import { IRQ, PORT } from '../../legacy/pc-ports.ts';
import { IsaDma } from '../isa-dma.ts';
import { Fdc } from './fdc.ts';
import { FloppyDrive } from './floppy-drive.ts';
import { FLOPPY_DRIVES, type FloppyDriveKind, floppyDrives } from './media.ts';
import { REG } from './registers.ts';

/** A PC has cables for two drives. */
const UNITS = 2;
const DMA_CHANNEL = 2;
/** Its ports except for the last one. */
const FIRST_PORTS = 6;

/** CMOS RAM: the kind of each drive, and their number. */
const CMOS = { drives: 0x10, equipment: 0x14 } as const;
const EQUIPMENT = { mask: 0xc1, any: 0x01, countShift: 6 } as const;

class FloppyBus implements DeviceBus {
  readonly bootPath: BootPath = {
    node: 'isa',
    below: ({ unit }) => `/fdc@${PORT.fdc.toString(16).padStart(4, '0')}/floppy@${unit}`,
  };
  readonly #fdc: Fdc;
  readonly #drives = new Map<BuiltDevice, { readonly unit: number; readonly kind: FloppyDriveKind }>();

  constructor(fdc: Fdc) {
    this.#fdc = fdc;
  }

  attach(built: BuiltDevice, given: BusAddress | null): void {
    const { floppy, device } = built;
    if (floppy === undefined) return;
    const taken = new Set([...this.#drives.values()].map(({ unit }) => unit));
    const unit = given?.unit ?? [0, 1].find(free => !taken.has(free));
    if (unit === undefined)
      throw new Error(`${device.name}: ${this.#fdc.name} has two drives already: remove one of them`);
    this.#fdc.connect(unit, floppy);
    this.#drives.set(built, { unit, kind: floppy.kind });
  }

  detach(built: BuiltDevice): void {
    const drive = this.#drives.get(built);
    if (drive === undefined) return;
    this.#drives.delete(built);
    this.#fdc.disconnect(drive.unit);
  }

  addressOf(built: BuiltDevice): BusAddress | null {
    const drive = this.#drives.get(built);
    return drive === undefined ? null : { unit: drive.unit, function: 0 };
  }

  get cmos(): readonly CmosBits[] {
    const drives = [...this.#drives.values()];
    const value = drives.reduce(
      (bits, { unit, kind }) => bits | (floppyDrives[kind].cmos << (unit === 0 ? 4 : 0)),
      0,
    );
    const count = drives.length === 0 ? 0 : EQUIPMENT.any | ((drives.length - 1) << EQUIPMENT.countShift);
    return [
      { register: CMOS.drives, mask: 0xff, value },
      { register: CMOS.equipment, mask: EQUIPMENT.mask, value: count },
    ];
  }
}

const controllerOptions = (z: Zod) => z.strictObject({ ...deviceFields(z, 'isa-fdc') });

export const isaFdc: ConfigurableType<ReturnType<typeof controllerOptions>> = {
  type: 'isa-fdc',
  title: 'floppy controller',
  description: '82078 at the usual ports, interrupt and DMA channel of a PC, for two floppy drives',
  bus: 'isa',
  provides: { kind: 'floppy', first: 0, units: UNITS },
  prefix: 'fdc',
  qemu: { devices: ['isa-fdc'], properties: {} },
  config: controllerOptions,
  create(services, _, name) {
    const dma = new IsaDma(services.memory);
    const fdc = new Fdc({ name, line: services.interruptLine(IRQ.floppy), dma, channel: DMA_CHANNEL });
    const bus = new FloppyBus(fdc);
    const registers = byteWide(fdc);
    const { fdc: first, fdcEnd: last } = PORT;
    const end: typeof registers = {
      read: (offset, size) => registers.read(REG.digitalInput + offset, size),
      write: (offset, size, value) => registers.write(REG.digitalInput + offset, size, value),
    };
    const dmaAml = isaDevice('DMAC', 'PNP0200', ...dma.ports.map(({ start, size }) => ports(start, size)));
    const aml = isaDevice(
      'FDC0',
      'PNP0700',
      ports(first, FIRST_PORTS),
      ports(last, 1),
      isaInterrupt(IRQ.floppy),
      isaDmaChannel(DMA_CHANNEL),
    );
    return {
      device: fdc,
      bus,
      ports: [
        ...dma.ports,
        { start: first, size: FIRST_PORTS, handler: registers },
        // The port in between belongs to an IDE controller.
        { start: last, size: 1, handler: end },
      ],
      acpi: { systemBus: concat(dmaAml, aml) },
      get cmos() {
        return bus.cmos;
      },
    };
  },
};

const driveOptions = (z: Zod) => {
  const { path, ...fields } = diskFields(z);
  return z.strictObject({
    ...deviceFields(z, 'floppy'),
    ...fields,
    ...bootFields(z),
    path: path.optional().describe('the file or block device on the host (default: none: an empty drive)'),
    'drive-type': z
      .enum(['auto', ...FLOPPY_DRIVES])
      .default('auto')
      .describe(
        '120 for 5.25 inches with 1.2 MB, 144 and 288 for 3.5 inches; auto: the one that the medium is for',
      ),
  });
};

export const floppyDrive: ConfigurableType<ReturnType<typeof driveOptions>> = {
  type: 'floppy',
  title: 'floppy drive',
  description: 'a floppy disk drive of 1.2, 1.44 or 2.88 MB, whose medium can be changed while the VM runs',
  bus: 'floppy',
  backend: 'disk',
  definition: { key: 'disks', value: 'floppy' },
  libvirt: { element: 'disk', models: ['fdc'] },
  prefix: 'fd',
  qemu: {
    devices: ['floppy'],
    properties: { drive: 'path', unit: 'addr', 'drive-type': 'drive-type', bootindex: 'bootindex' },
  },
  config: driveOptions,
  create(services, options, name) {
    const { path, limits = {}, bootindex } = options;
    const type = options['drive-type'];
    const drive = new FloppyDrive({
      ...{ name, services, limits, kind: type === 'auto' ? null : type },
      medium: path === undefined ? null : diskOptionsOf({ ...options, path }),
    });
    return {
      device: drive,
      floppy: drive,
      boot: { kind: 'floppy', index: bootindex },
      capabilities: { disk: drive },
      get facts() {
        return drive.facts;
      },
    };
  },
};
