import type { DeviceState } from '../device.ts';
import type { PortRange } from '../device-type.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { type ByteRegisters, byteWide } from '../legacy/byte-wide.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf, statesOf } from '../state.ts';

/**
 * Registers of one controller, by the offset from its first port: 8237A data sheet, "Software commands". 0-7 are
 * addresses and counts.
 */
const REG = {
  /** Read: status, write: command. */
  status: 0x8,
  request: 0x9,
  mask: 0xa,
  mode: 0xb,
  clearFlipFlop: 0xc,
  /** Read: temporary register. */
  masterClear: 0xd,
  clearMask: 0xe,
  allMasks: 0xf,
} as const;

const COMMAND_DISABLE = 0x04;
const MODE_DIRECTION = 0x0c;
/** To memory, which the data sheet calls a write. */
const MODE_WRITE = 0x04;
const MODE_READ = 0x08;
const MODE_AUTO_INITIALIZE = 0x10;
const MODE_DECREMENT = 0x20;
const SELECT_ON = 0x04;

const CHANNELS = 4;
const PAGE = 4096;
const MASK_ALL = 0xf;

/** The first ports of the two controllers, and of the page registers: port 0x80 is for POST codes. */
const PORTS = { first: 0x00, second: 0xc0, pages: 0x81 } as const;
const PAGE_REGISTERS = 15;
/** The page register of each channel, as an offset from 0x80. Channel 4 connects the controllers. */
const PAGE_OF_CHANNEL = [0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa] as const;

/** The result of a transfer. */
export type DmaProgress = {
  readonly bytes: number;
  /** Terminal count: the driver expects no more. */
  readonly ended: boolean;
};

/** One channel, as seen by the device that is connected to it. */
export interface DmaChannel {
  /** Whether a transfer can begin now: the driver has set the channel up. */
  readonly isReady: boolean;
  /** Moves bytes to memory, until all are moved or the count is reached. Only while it is ready. */
  toMemory(bytes: Uint8Array): DmaProgress;
  /** Fills `bytes` from memory. */
  fromMemory(bytes: Uint8Array): DmaProgress;
  /** Called when the channel becomes ready; null if the device needs nothing. */
  onReady: (() => void) | null;
}

/**
 * The two 8237A controllers of a PC with their page registers, through which ISA devices access the first 16 MiB of
 * memory.
 */
export class IsaDma {
  readonly ports: readonly PortRange[];
  readonly #controllers: readonly [Controller, Controller];
  readonly #pages = new Uint8Array(PAGE_REGISTERS + 1);

  constructor(memory: GuestMemory) {
    const page = (channel: number) => this.#pages[PAGE_OF_CHANNEL[channel]!]!;
    this.#controllers = [
      new Controller(memory, 0, channel => page(channel) << 16),
      // It counts words, and its addresses are shifted.
      new Controller(memory, 1, channel => (page(CHANNELS + channel) & 0xfe) << 16),
    ];
    const [first, second] = this.#controllers;
    const pages: ByteRegisters = {
      readByte: offset => this.#pages[1 + offset]!,
      writeByte: (offset, value) => {
        this.#pages[1 + offset] = value;
      },
    };
    this.ports = [
      { start: PORTS.first, size: 16, handler: byteWide(first) },
      { start: PORTS.second, size: 32, handler: byteWide(everySecond(second)) },
      { start: PORTS.pages, size: PAGE_REGISTERS, handler: byteWide(pages) },
    ];
  }

  /** @param number 0-3 for bytes, 5-7 for words */
  channel(number: number): DmaChannel {
    return this.#controllers[number < CHANNELS ? 0 : 1].channels[number % CHANNELS]!;
  }

  reset(): void {
    for (const controller of this.#controllers) controller.reset();
    this.#pages.fill(0);
  }

  save(): DeviceState {
    return {
      controllers: this.#controllers.map(controller => controller.save()),
      pages: this.#pages.slice(),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const pages = bytesOf(state, 'pages');
    if (pages.length !== this.#pages.length) throw new DeviceStateError('pages', '16 bytes');
    const controllers = statesOf(state, 'controllers', 2);
    this.#controllers.forEach((controller, index) => {
      controller.load(controllers[index]!);
    });
    this.#pages.set(pages);
  }
}

/** The registers of the second controller are at even ports; address line 0 is not connected to it. */
function everySecond(registers: ByteRegisters): ByteRegisters {
  return {
    readByte: offset => registers.readByte(offset >>> 1),
    writeByte: (offset, value) => registers.writeByte(offset >>> 1, value),
  };
}

class Controller implements ByteRegisters {
  readonly channels: readonly Channel[];
  #command = 0;
  /** Channels that have reached terminal count since status was read. */
  #ended = 0;
  /** Which half of an address or a count is next. */
  #highByte = false;

  /** @param shift 0 for bytes, 1 for words. @param page the address in a channel's page register */
  constructor(memory: GuestMemory, shift: 0 | 1, page: (channel: number) => number) {
    this.channels = Array.from(
      { length: CHANNELS },
      (_, index) =>
        new Channel({
          ...{ memory, shift, page: () => page(index) },
          isOn: () => (this.#command & COMMAND_DISABLE) === 0,
          onEnded: () => {
            this.#ended |= 1 << index;
          },
        }),
    );
  }

  readByte(offset: number): number {
    if (offset < REG.status) {
      const { address, count } = this.channels[offset >>> 1]!;
      return this.#half((offset & 1) === 0 ? address : count);
    }
    if (offset === REG.status) return this.#readStatus();
    if (offset === REG.allMasks) return 0xf0 | this.#masks;
    return 0;
  }

  writeByte(offset: number, value: number): void {
    if (offset < REG.status) {
      this.channels[offset >>> 1]!.setHalf((offset & 1) === 0 ? 'address' : 'count', this.#next(), value);
      return;
    }
    const selected = this.channels[value & 0x3]!;
    switch (offset) {
      case REG.status:
        this.#command = value;
        break;
      case REG.mask:
        selected.masked = (value & SELECT_ON) !== 0;
        break;
      case REG.mode:
        selected.mode = value & 0xfc;
        break;
      case REG.clearFlipFlop:
        this.#highByte = false;
        break;
      case REG.masterClear:
        this.#clear();
        break;
      case REG.clearMask:
        this.#masks = 0;
        break;
      case REG.allMasks:
        this.#masks = value & MASK_ALL;
        break;
      // Software requests are for block mode between memory and memory, which a PC does not support.
    }
    for (const channel of this.channels) channel.offer();
  }

  get #masks(): number {
    return this.channels.reduce((bits, { masked }, index) => bits | (masked ? 1 << index : 0), 0);
  }

  set #masks(bits: number) {
    this.channels.forEach((channel, index) => {
      channel.masked = (bits & (1 << index)) !== 0;
    });
  }

  #readStatus(): number {
    const requests = this.channels.reduce(
      (bits, { onReady }, index) => bits | (onReady === null ? 0 : 0x10 << index),
      0,
    );
    const status = this.#ended | requests;
    this.#ended = 0;
    return status;
  }

  #half(value: number): number {
    return this.#next() ? value >>> 8 : value & 0xff;
  }

  /** Whether the high byte is next. */
  #next(): boolean {
    const high = this.#highByte;
    this.#highByte = !high;
    return high;
  }

  #clear(): void {
    this.#command = 0;
    this.#ended = 0;
    this.#highByte = false;
    this.#masks = MASK_ALL;
  }

  reset(): void {
    this.#clear();
    for (const channel of this.channels) channel.reset();
  }

  save(): DeviceState {
    return {
      command: this.#command,
      ended: this.#ended,
      highByte: this.#highByte,
      channels: this.channels.map(channel => channel.save()),
    };
  }

  load(state: DeviceState): void {
    const channels = statesOf(state, 'channels', CHANNELS);
    this.channels.forEach((channel, index) => {
      channel.load(channels[index]!);
    });
    this.#command = numberOf(state, 'command', 0xff);
    this.#ended = numberOf(state, 'ended', MASK_ALL);
    this.#highByte = booleanOf(state, 'highByte');
  }
}

type ChannelOptions = {
  readonly memory: GuestMemory;
  readonly shift: 0 | 1;
  readonly page: () => number;
  readonly isOn: () => boolean;
  readonly onEnded: () => void;
};

class Channel implements DmaChannel {
  readonly #options: ChannelOptions;
  #address = 0;
  #count = 0;
  #baseAddress = 0;
  #baseCount = 0;
  mode = 0;
  masked = true;
  onReady: (() => void) | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** The current address and count. */
  get address(): number {
    return this.#address;
  }

  get count(): number {
    return this.#count;
  }

  setHalf(register: 'address' | 'count', high: boolean, value: number): void {
    const set = (before: number) => (high ? (before & 0xff) | (value << 8) : (before & 0xff00) | value);
    if (register === 'address') this.#address = this.#baseAddress = set(this.#baseAddress);
    else this.#count = this.#baseCount = set(this.#baseCount);
  }

  get isReady(): boolean {
    return !this.masked && this.#options.isOn();
  }

  /** Lets a waiting device continue, if it can. */
  offer(): void {
    if (this.isReady) this.onReady?.();
  }

  toMemory(bytes: Uint8Array): DmaProgress {
    return this.#transfer(bytes, 'write');
  }

  fromMemory(bytes: Uint8Array): DmaProgress {
    return this.#transfer(bytes, 'read');
  }

  #transfer(bytes: Uint8Array, access: 'read' | 'write'): DmaProgress {
    const { shift } = this.#options;
    const wanted = bytes.length >>> shift;
    const units = Math.min(wanted, this.#count + 1);
    const direction = this.mode & MODE_DIRECTION;
    // With the wrong direction no data reaches memory, and a verify transfer only counts.
    if (direction === (access === 'write' ? MODE_WRITE : MODE_READ))
      this.#move(bytes.subarray(0, units << shift), access);
    const step = this.mode & MODE_DECREMENT ? -units : units;
    this.#address = (this.#address + step) & 0xffff;
    const ended = units === this.#count + 1;
    this.#count = (this.#count - units) & 0xffff;
    if (ended) this.#end();
    return { bytes: units << shift, ended };
  }

  /** Terminal count: the channel restarts, or must be set up again. */
  #end(): void {
    this.#options.onEnded();
    if (this.mode & MODE_AUTO_INITIALIZE) {
      this.#address = this.#baseAddress;
      this.#count = this.#baseCount;
    } else {
      this.masked = true;
    }
  }

  /** The 16 bits of the address wrap; the page stays. */
  #move(bytes: Uint8Array, access: 'read' | 'write'): void {
    const { shift } = this.#options;
    const page = this.#options.page();
    const unit = 1 << shift;
    if (this.mode & MODE_DECREMENT) {
      for (let at = 0; at < bytes.length; at += unit) {
        const address = (this.#address - (at >>> shift)) & 0xffff;
        this.#access(page + (address << shift), bytes.subarray(at, at + unit), access);
      }
      return;
    }
    const end = 0x1_0000 << shift;
    for (let at = 0; at < bytes.length; ) {
      const offset = ((this.#address << shift) + at) % end;
      const length = Math.min(bytes.length - at, end - offset, PAGE - (offset % PAGE));
      this.#access(page + offset, bytes.subarray(at, at + length), access);
      at += length;
    }
  }

  /** Within a page. Unmapped memory does not respond. */
  #access(address: number, bytes: Uint8Array, access: 'read' | 'write'): void {
    const { memory } = this.#options;
    if (!memory.contains(address, bytes.length, access)) {
      if (access === 'read') bytes.fill(0xff);
    } else if (access === 'read') bytes.set(memory.readable(address, bytes.length));
    else memory.writable(address, bytes.length).set(bytes);
  }

  reset(): void {
    this.#address = 0;
    this.#count = 0;
    this.#baseAddress = 0;
    this.#baseCount = 0;
    this.mode = 0;
    this.masked = true;
  }

  save(): DeviceState {
    return {
      address: this.#address,
      count: this.#count,
      baseAddress: this.#baseAddress,
      baseCount: this.#baseCount,
      mode: this.mode,
      masked: this.masked,
    };
  }

  load(state: DeviceState): void {
    this.#address = numberOf(state, 'address', 0xffff);
    this.#count = numberOf(state, 'count', 0xffff);
    this.#baseAddress = numberOf(state, 'baseAddress', 0xffff);
    this.#baseCount = numberOf(state, 'baseCount', 0xffff);
    this.mode = numberOf(state, 'mode', 0xff) & 0xfc;
    this.masked = booleanOf(state, 'masked');
  }
}
