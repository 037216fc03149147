import type { BootPath } from '../../boot-device.ts';
import type { AccessSize, Device, DeviceState, InterruptLine, IoHandler } from '../../device.ts';
import type { BuiltDevice, BusAddress, DeviceBus, PortRange } from '../../device-type.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { type ByteRegisters, byteWide } from '../../legacy/byte-wide.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { COMMAND, REG } from '../../pci/registers.ts';
import { stateOf, statesOf } from '../../state.ts';
import { IdeChannel } from './channel.ts';
import { BUS_MASTER, FLOATING } from './registers.ts';

/**
 * The IDE function of Intel's 82371SB (PIIX3): two channels at the ports of a PC-AT, with a bus master (data sheet
 * §2.3).
 */
const IDENTITY = {
  vendor: 0x8086,
  device: 0x7010,
  revision: 0,
  classCode: 0x010180,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
} as const;

/** IDE timing (§2.3.9): the bit enables decoding of a channel's ports. */
const TIMING = { first: 0x40, second: 0x42, decode: 0x8000 } as const;
/** Timing of the second drives. */
const SLAVE_TIMING = 0x44;
const BUS_MASTER_BAR = 4;

/** The channels of a PC: command block, control block, ISA interrupt. */
export const IDE_CHANNELS = [
  { commands: 0x1f0, control: 0x3f6, irq: 14, timing: TIMING.first },
  { commands: 0x170, control: 0x376, irq: 15, timing: TIMING.second },
] as const;

export type PiixIdeOptions = {
  readonly name: string;
  readonly memory: GuestMemory;
  readonly line: (irq: number) => InterruptLine;
};

export class PiixIde implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly ports: readonly PortRange[];
  readonly channels: readonly IdeChannel[];

  constructor({ name, memory, line }: PiixIdeOptions) {
    this.name = name;
    const fn = new PciFunction(name, IDENTITY);
    this.function = fn;
    // Firmware enables decoding, and a kernel that boots without firmware expects it enabled.
    for (const { timing } of IDE_CHANNELS) fn.config.define(timing, 2, TIMING.decode, { writable: 0xffff });
    fn.config.define(SLAVE_TIMING, 1, 0, { writable: 0xff });
    this.channels = IDE_CHANNELS.map(
      ({ irq }) => new IdeChannel({ memory, line: line(irq), isMaster: () => fn.busMaster }),
    );
    fn.addBar(BUS_MASTER_BAR, { kind: 'io', size: 2 * BUS_MASTER.ports, handler: this.#busMasters });
    this.ports = IDE_CHANNELS.flatMap(({ commands, control, timing }, index) => {
      const channel = this.channels[index]!;
      const isDecoded = () =>
        (fn.config.u16(timing) & TIMING.decode) !== 0 && (fn.config.u16(REG.command) & COMMAND.io) !== 0;
      const controlBlock: ByteRegisters = {
        readByte: () => channel.readAlternateStatus(),
        writeByte: (_, value) => channel.writeControl(value),
      };
      return [
        { start: commands, size: 8, handler: whileDecoded(isDecoded, channel.commandBlock) },
        { start: control, size: 1, handler: whileDecoded(isDecoded, byteWide(controlBlock)) },
      ];
    });
  }

  readonly #busMasters: IoHandler = {
    read: (offset: number, size: AccessSize) => {
      const { busMaster } = this.channels[offset < BUS_MASTER.ports ? 0 : 1]!;
      return busMaster.read(offset % BUS_MASTER.ports, size);
    },
    write: (offset: number, size: AccessSize, value: number) => {
      const { busMaster } = this.channels[offset < BUS_MASTER.ports ? 0 : 1]!;
      busMaster.write(offset % BUS_MASTER.ports, size, value);
    },
  };

  /** The bus for its drives: 0 and 1 are those of the first channel. */
  readonly bus: DeviceBus = new IdeBus(this);

  /** Called after the function's reset, whose registers determine what the guest reaches. */
  reset(): void {
    this.function.reset();
    for (const channel of this.channels) channel.reset();
  }

  resume(): void {
    for (const channel of this.channels) channel.resume();
  }

  save(): DeviceState {
    return { function: this.function.save(), channels: this.channels.map(channel => channel.save()) };
  }

  load(state: DeviceState): void {
    const channels = statesOf(state, 'channels', this.channels.length);
    this.function.load(stateOf(state, 'function'));
    this.channels.forEach((channel, index) => {
      channel.load(channels[index]!);
    });
  }

  close(): void {
    for (const channel of this.channels) channel.close();
    this.function.close();
  }
}

class IdeBus implements DeviceBus {
  readonly bootPath: BootPath = { node: 'ide', below: ({ unit }) => `/drive@${unit >> 1}/disk@${unit & 1}` };
  readonly #controller: PiixIde;
  readonly #places = new Map<BuiltDevice, number>();

  constructor(controller: PiixIde) {
    this.#controller = controller;
  }

  attach(built: BuiltDevice, given: BusAddress | null): void {
    const { ata, device } = built;
    if (ata === undefined) return;
    const taken = new Set(this.#places.values());
    const unit = given?.unit ?? [0, 1, 2, 3].find(free => !taken.has(free));
    if (unit === undefined)
      throw new Error(
        `${device.name}: both channels of ${this.#controller.name} have two drives: add another kind of disk`,
      );
    this.#controller.channels[unit >> 1]!.connect((unit & 1) as 0 | 1, ata);
    this.#places.set(built, unit);
  }

  detach(built: BuiltDevice): void {
    const unit = this.#places.get(built);
    if (unit === undefined) return;
    this.#places.delete(built);
    this.#controller.channels[unit >> 1]!.disconnect((unit & 1) as 0 | 1);
  }

  addressOf(built: BuiltDevice): BusAddress | null {
    const unit = this.#places.get(built);
    return unit === undefined ? null : { unit, function: 0 };
  }
}

/** Ports that are unmapped unless `isDecoded` holds. */
function whileDecoded(isDecoded: () => boolean, handler: IoHandler): IoHandler {
  const { readString, writeString } = handler;
  return {
    read: (offset, size) => (isDecoded() ? handler.read(offset, size) : 0xffff_ffff >>> (32 - 8 * size)),
    write: (offset, size, value) => {
      if (isDecoded()) handler.write(offset, size, value);
    },
    ...(readString && {
      readString: (offset, size, bytes) => {
        if (isDecoded()) readString(offset, size, bytes);
        else bytes.fill(FLOATING.other);
      },
    }),
    ...(writeString && {
      writeString: (offset, size, bytes) => {
        if (isDecoded()) writeString(offset, size, bytes);
      },
    }),
  };
}
