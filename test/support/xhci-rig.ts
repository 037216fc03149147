import * as z from 'zod';
import type { BuiltDevice } from '../../src/devices/device-type.ts';
import { COMMAND, REG } from '../../src/devices/pci/registers.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import {
  CAPABILITY,
  INTERRUPTER,
  INTERRUPTER_BYTES,
  OPERATIONAL,
  PORT,
  PORT_BYTES,
  PORT_STATUS,
  SPACE,
  USB_COMMAND,
} from '../../src/devices/usb/xhci/registers.ts';
import { CODE, CONTROL, TRB } from '../../src/devices/usb/xhci/trb.ts';
import { FakeBlockBackend } from './fake-block-backend.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeMemory } from './fake-memory.ts';

/** Addresses of the driver's memory. */
export const COMMAND_RING = 0x1000;
export const EVENT_TABLE = 0x2000;
export const EVENT_RING = 0x3000;
export const CONTEXT_ARRAY = 0x4000;
export const INPUT_CONTEXT = 0x5000;
const OUTPUT_CONTEXTS = 0x8000;
const RINGS = 0x2_0000;
export const DATA = 0x8_0000;
const RING_TRBS = 64;
const EVENT_TRBS = 32;

/** An event as the driver reads it. */
export type SeenEvent = {
  readonly type: number;
  readonly pointer: number;
  readonly code: number;
  readonly length: number;
  readonly slot: number;
  readonly dci: number;
};

type TrbWords = {
  readonly low?: number;
  readonly high?: number;
  readonly status?: number;
  readonly control: number;
};

/** The driver's end of a ring: the last TRB links to the first. */
class DriverRing {
  readonly #memory: FakeMemory;
  readonly start: number;
  #at = 0;
  #cycle = 1;

  constructor(memory: FakeMemory, start: number) {
    this.#memory = memory;
    this.start = start;
    memory.writable(start, RING_TRBS * 16).fill(0);
  }

  /** Address of the next TRB. */
  get next(): number {
    return this.start + this.#at * 16;
  }

  get cycle(): number {
    return this.#cycle;
  }

  /** @returns its address */
  add({ low = 0, high = 0, status = 0, control }: TrbWords): number {
    const at = this.next;
    [low, high, status, (control & ~1) | this.#cycle].forEach((word, index) => {
      this.#memory.writeU32(at + 4 * index, word >>> 0);
    });
    if (++this.#at === RING_TRBS - 1) {
      const link = this.next;
      this.#memory.writeU32(link, this.start);
      this.#memory.writeU32(link + 12, (TRB.link << 10) | CONTROL.toggle | this.#cycle);
      this.#at = 0;
      this.#cycle ^= 1;
    }
    return at;
  }
}

export type UsbInterface = { readonly endpoint: number; readonly type: number; readonly maxPacket: number };

/** A machine with an xHCI controller, and the actions of a driver on it and the devices on its ports. */
export class XhciRig {
  readonly machine = new FakeMachine(new FakeMemory(2 ** 20));
  readonly disk = new FakeBlockBackend();
  readonly controller: BuiltDevice;
  readonly memory = this.machine.memory;
  commands = new DriverRing(this.memory, COMMAND_RING);
  readonly rings = new Map<string, DriverRing>();
  /** Connected devices, in order. */
  readonly plugged: BuiltDevice[] = [];
  #eventAt = 0;
  #eventCycle = 1;

  constructor() {
    this.machine.disk = this.disk;
    this.controller = this.build('qemu-xhci');
    this.machine.pci.plug(this.controller.pci!);
    this.machine.pci.assign();
    this.controller.pci!.writeConfig(REG.command, 2, COMMAND.memory | COMMAND.busMaster);
  }

  build(type: string, options: Record<string, unknown> = {}): BuiltDevice {
    const row = deviceTable.configurable.find(row => row.type === type)!;
    return row.create(this.machine.services, row.config(z).parse({ type, ...options }), `${row.prefix}0`);
  }

  /** Connects a device to a port. */
  plug(type: string, options: Record<string, unknown> = {}, port = 1): BuiltDevice {
    const built = this.build(type, options);
    this.controller.bus!.attach(built, { unit: port, function: 0 });
    this.plugged.push(built);
    return built;
  }

  get base(): number {
    return this.controller.pci!.bars[0]!.address!;
  }

  read(offset: number): number {
    return this.machine.memoryBus.read(this.base + offset, 4);
  }

  write(offset: number, value: number): void {
    this.machine.memoryBus.write(this.base + offset, 4, value >>> 0);
  }

  capability(register: keyof typeof CAPABILITY): number {
    return this.read(CAPABILITY[register]);
  }

  operational(register: keyof typeof OPERATIONAL): number {
    return this.read(SPACE.operational + OPERATIONAL[register]);
  }

  setOperational(register: keyof typeof OPERATIONAL, value: number): void {
    this.write(SPACE.operational + OPERATIONAL[register], value);
  }

  port(number = 1): number {
    return this.read(SPACE.ports + (number - 1) * PORT_BYTES + PORT.status);
  }

  setPort(value: number, number = 1): void {
    this.write(SPACE.ports + (number - 1) * PORT_BYTES + PORT.status, value);
  }

  interrupter(register: keyof typeof INTERRUPTER, index = 0): number {
    return this.read(SPACE.interrupters + index * INTERRUPTER_BYTES + INTERRUPTER[register]);
  }

  setInterrupter(register: keyof typeof INTERRUPTER, value: number, index = 0): void {
    this.write(SPACE.interrupters + index * INTERRUPTER_BYTES + INTERRUPTER[register], value);
  }

  /** Sets up the controller's memory, and starts it with interrupts. */
  start(): this {
    const { memory } = this;
    memory.writeU32(EVENT_TABLE, EVENT_RING);
    memory.writeU32(EVENT_TABLE + 4, 0);
    memory.writeU32(EVENT_TABLE + 8, EVENT_TRBS);
    this.setOperational('configure', 8);
    this.setOperational('contexts', CONTEXT_ARRAY);
    this.setOperational('contextsHigh', 0);
    this.setOperational('commandRing', COMMAND_RING | 1);
    this.setOperational('commandRingHigh', 0);
    this.setInterrupter('tableSize', 1);
    this.setInterrupter('dequeue', EVENT_RING);
    this.setInterrupter('dequeueHigh', 0);
    this.setInterrupter('table', EVENT_TABLE);
    this.setInterrupter('tableHigh', 0);
    this.setInterrupter('management', 2);
    this.setOperational('usbCommand', USB_COMMAND.run | USB_COMMAND.interrupts);
    return this;
  }

  /** Another driver, with all of the memory to itself. */
  anew(): this {
    this.memory.writable(0, 2 ** 20).fill(0);
    this.commands = new DriverRing(this.memory, COMMAND_RING);
    this.rings.clear();
    this.#eventAt = 0;
    this.#eventCycle = 1;
    return this;
  }

  ringDoorbell(target: number, value = 0): void {
    this.write(SPACE.doorbells + 4 * target, value);
  }

  /** Takes the pending events. */
  events(): SeenEvent[] {
    const seen: SeenEvent[] = [];
    for (;;) {
      const at = EVENT_RING + this.#eventAt * 16;
      const control = this.memory.readU32(at + 12);
      if ((control & 1) !== this.#eventCycle) break;
      const status = this.memory.readU32(at + 8);
      seen.push({
        type: (control >>> 10) & 0x3f,
        pointer: this.memory.readU32(at),
        code: status >>> 24,
        length: status & 0xff_ffff,
        slot: control >>> 24,
        dci: (control >>> 16) & 0x1f,
      });
      if (++this.#eventAt === EVENT_TRBS) {
        this.#eventAt = 0;
        this.#eventCycle ^= 1;
      }
    }
    this.setInterrupter('dequeue', (EVENT_RING + this.#eventAt * 16) | 8);
    return seen;
  }

  /** Runs a command. @returns its completion */
  command(type: number, words: Partial<TrbWords> = {}): SeenEvent {
    this.commands.add({ ...words, control: (type << 10) | (words.control ?? 0) });
    this.ringDoorbell(0);
    this.disk.port?.settle();
    const completion = this.events().find(event => event.type === TRB.commandCompletion);
    if (completion === undefined) throw new Error('the command has not been completed');
    return completion;
  }

  /** Resets a port. */
  resetPort(port = 1): void {
    this.setPort(PORT_STATUS.power | PORT_STATUS.reset, port);
  }

  ring(slot: number, dci: number): DriverRing {
    const key = `${slot}.${dci}`;
    const ring = this.rings.get(key) ?? new DriverRing(this.memory, RINGS + (slot * 8 + (dci % 8)) * 0x400);
    this.rings.set(key, ring);
    return ring;
  }

  outputContext(slot: number, index = 0): number {
    return OUTPUT_CONTEXTS + slot * 0x400 + index * 32;
  }

  endpointState(slot: number, dci: number): number {
    return this.memory.readU32(this.outputContext(slot, dci)) & 7;
  }

  /** Writes an input context: slot, then endpoints. */
  input(slot: number, port: number, add: number, endpoints: readonly UsbInterface[], drop = 0): void {
    const { memory } = this;
    memory.writable(INPUT_CONTEXT, 33 * 32).fill(0);
    memory.writeU32(INPUT_CONTEXT, drop);
    memory.writeU32(INPUT_CONTEXT + 4, add);
    const last = Math.max(1, ...endpoints.map(({ endpoint }) => endpoint));
    memory.writeU32(INPUT_CONTEXT + 32, ((last << 27) | (3 << 20)) >>> 0);
    memory.writeU32(INPUT_CONTEXT + 36, port << 16);
    for (const { endpoint, type, maxPacket } of endpoints) {
      const at = INPUT_CONTEXT + 32 * (endpoint + 1);
      const ring = this.ring(slot, endpoint);
      memory.writeU32(at + 4, ((maxPacket << 16) | (type << 3) | (3 << 1)) >>> 0);
      memory.writeU32(at + 8, ring.next | ring.cycle);
      memory.writeU32(at + 12, 0);
    }
  }

  /** Resets a port, and assigns a slot and an address to its device. @returns the slot */
  address(port = 1): number {
    this.resetPort(port);
    const { slot } = this.command(TRB.enableSlot);
    this.memory.writeU32(CONTEXT_ARRAY + 8 * slot, this.outputContext(slot));
    this.memory.writeU32(CONTEXT_ARRAY + 8 * slot + 4, 0);
    this.input(slot, port, 3, [{ endpoint: 1, type: 4, maxPacket: 64 }]);
    const { code } = this.command(TRB.addressDevice, { low: INPUT_CONTEXT, control: slot << 24 });
    if (code !== CODE.success) throw new Error(`addressing gave ${code}`);
    return slot;
  }

  /** Enables endpoints, and sets configuration 1. */
  configure(slot: number, endpoints: readonly UsbInterface[], port = 1): void {
    const add = endpoints.reduce((bits, { endpoint }) => bits | (1 << endpoint), 1);
    this.input(slot, port, add, endpoints);
    const { code } = this.command(TRB.configureEndpoint, { low: INPUT_CONTEXT, control: slot << 24 });
    if (code !== CODE.success) throw new Error(`configuring gave ${code}`);
    this.control(slot, { type: 0x00, request: 9, value: 1 });
  }

  /** A control transfer with its data at DATA. @returns the bytes received, or the error's completion code */
  control(
    slot: number,
    {
      type,
      request,
      value = 0,
      index = 0,
      length = 0,
      data,
    }: {
      type: number;
      request: number;
      value?: number;
      index?: number;
      length?: number;
      data?: readonly number[];
    },
  ): Uint8Array | number {
    const ring = this.ring(slot, 1);
    const size = data?.length ?? length;
    const toHost = (type & 0x80) !== 0;
    if (data !== undefined) this.memory.writable(DATA, size).set(data);
    ring.add({
      low: type | (request << 8) | (value << 16),
      high: index | (size << 16),
      status: 8,
      control: (TRB.setup << 10) | CONTROL.immediate,
    });
    if (size > 0) {
      const direction = toHost ? CONTROL.toHost : 0;
      ring.add({ low: DATA, status: size, control: (TRB.data << 10) | CONTROL.onShortPacket | direction });
    }
    ring.add({ control: (TRB.status << 10) | CONTROL.onCompletion | (toHost ? 0 : CONTROL.toHost) });
    this.ringDoorbell(slot, 1);
    const events = this.events().filter(event => event.type === TRB.transferEvent);
    const short = events.find(({ code }) => code === CODE.shortPacket);
    const failed = events.find(({ code }) => code !== CODE.success && code !== CODE.shortPacket);
    if (failed !== undefined) {
      this.recover(slot, 1);
      return failed.code;
    }
    return this.memory.readable(DATA, toHost ? size - (short?.length ?? 0) : 0).slice();
  }

  /** Makes a halted endpoint continue after the pending TRBs. */
  recover(slot: number, dci: number): void {
    this.command(TRB.resetEndpoint, { control: (slot << 24) | (dci << 16) });
    const ring = this.ring(slot, dci);
    this.command(TRB.setDequeue, { low: ring.next | ring.cycle, control: (slot << 24) | (dci << 16) });
  }

  /** Starts a transfer on an endpoint. @returns the address of its TRB */
  begin(
    slot: number,
    dci: number,
    length: number,
    address = DATA,
    flags: number = CONTROL.onShortPacket,
  ): number {
    const control = (TRB.normal << 10) | CONTROL.onCompletion | flags;
    const at = this.ring(slot, dci).add({ low: address, status: length, control });
    this.ringDoorbell(slot, dci);
    return at;
  }
}

export const KEYBOARD_ENDPOINT: UsbInterface = { endpoint: 3, type: 7, maxPacket: 8 };
export const BULK_ENDPOINTS: readonly UsbInterface[] = [
  { endpoint: 3, type: 6, maxPacket: 512 },
  { endpoint: 4, type: 2, maxPacket: 512 },
];
