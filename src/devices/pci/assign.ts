import { PAGE } from '../host-block.ts';
import type { Bar } from './bar.ts';
import { PciBridge, swizzled } from './pci-bridge.ts';
import type { PciBus } from './pci-bus.ts';
import { COMMAND, REG } from './registers.ts';
import { RootPort } from './root-port.ts';

export type PciWindow = {
  readonly start: number;
  readonly size: number;
  /** What a user can do if devices need more; default: remove one. */
  readonly advice?: string;
};
export type PciWindows = {
  readonly io: PciWindow;
  readonly memory32: PciWindow;
  readonly memory64: PciWindow;
};

/** The BARs of a machine's devices exceed a window, or its buses exceed the bus numbers. */
export class PciWindowError extends Error {
  override readonly name = 'PciWindowError';
}

/** Granularity of the windows of a bridge. */
const BRIDGE_IO = 0x1000;
const BRIDGE_MEMORY = 0x10_0000;

/** What a root port reserves for a device that is plugged in later, as firmware does; its BARs rarely need more. */
const SPARE = { memory32: 2 * BRIDGE_MEMORY, memory64: 32 * BRIDGE_MEMORY, buses: 1 } as const;
const MAX_BUS = 255;
/** Display controller, VGA compatible (PCI Code and ID Assignment Specification). */
const VGA_CLASS = 0x03_0000;

/** The interrupt that a pin (0 for INTA#) of a slot is wired to. */
export type InterruptOfPin = (slot: number, pin: number) => number;

/**
 * Configures all of a host's functions, as firmware would: BAR addresses and bridge windows, bus numbers, the interrupt
 * line register, and decoding enabled. It goes in the order of their places, so that adding a device at the end moves
 * no other.
 *
 * @param interruptOf for the slots of bus 0
 * @returns the end of the used part of the 64-bit window
 * @throws PciWindowError
 */
export function assignResources(root: PciBus, windows: PciWindows, interruptOf: InterruptOfPin): number {
  const cursors: Cursors = {
    io: new Cursor('I/O port window', windows.io),
    memory32: new Cursor('32-bit PCI memory window', windows.memory32),
    memory64: new Cursor('64-bit PCI memory window', windows.memory64),
  };
  assignBus(root, 0, cursors, interruptOf);
  return cursors.memory64.next;
}

type Cursors = { readonly io: Cursor; readonly memory32: Cursor; readonly memory64: Cursor };

/** @returns the highest bus number from `bus` downstream */
function assignBus(bus: PciBus, number: number, cursors: Cursors, interruptOf: InterruptOfPin): number {
  let highest = number;
  for (const { slot, fn } of bus.functions) {
    let command = fn.config.u16(REG.command);
    for (const bar of fn.bars) {
      // Memory BARs get whole pages, as from firmware: those of a host device can then be mapped.
      const size = bar.space === 'memory' ? Math.max(bar.size, PAGE) : bar.size;
      bar.program(cursorFor(bar, number, cursors).take(size, size, fn.name));
      command |= bar.space === 'port' ? COMMAND.io : COMMAND.memory;
    }
    if (fn.hasInterruptPin) fn.config.setU8(REG.interruptLine, interruptOf(slot, fn.interruptPin));
    if (fn instanceof PciBridge) {
      const behind: InterruptOfPin = (inner, pin) => interruptOf(slot, swizzled(inner, pin));
      highest = assignBehind(fn, number, highest + 1, cursors, behind);
      command |= COMMAND.io | COMMAND.memory | COMMAND.busMaster;
    }
    // No BAR covers the ports and the window of a VGA.
    if (fn.config.u32(REG.revision) >>> 8 === VGA_CLASS) command |= COMMAND.io | COMMAND.memory;
    fn.config.setU16(REG.command, command);
    fn.refresh();
  }
  return highest;
}

/** A non-prefetchable BAR can't be in a bridge's 64-bit window. */
function cursorFor(bar: Bar, bus: number, cursors: Cursors): Cursor {
  if (bar.kind === 'memory64' && bus > 0 && !bar.prefetchable) return cursors.memory32;
  return cursors[bar.kind];
}

function assignBehind(
  bridge: PciBridge,
  primary: number,
  secondary: number,
  cursors: Cursors,
  interruptOf: InterruptOfPin,
): number {
  const { config, name } = bridge;
  const spare = bridge instanceof RootPort ? SPARE : { memory32: 0, memory64: 0, buses: 0 };
  const io = cursors.io.open(BRIDGE_IO, name);
  const memory = cursors.memory32.open(BRIDGE_MEMORY, name);
  const prefetch = cursors.memory64.open(BRIDGE_MEMORY, name);
  config.setU8(REG.primaryBus, primary);
  config.setU8(REG.secondaryBus, secondary);
  const highest = assignBus(bridge.secondary, secondary, cursors, interruptOf) + spare.buses;
  if (highest > MAX_BUS) {
    throw new PciWindowError(
      `there is no bus number left for "${name}": a machine has at most ${MAX_BUS + 1} buses`,
    );
  }
  config.setU8(REG.subordinateBus, highest);
  cursors.memory32.reserve(memory, spare.memory32, name);
  cursors.memory64.reserve(prefetch, spare.memory64, name);

  // An empty window gets its limit below its base, which closes it.
  config.write(REG.ioBase, 1, io >>> 8);
  config.write(REG.ioLimit, 1, cursors.io.close(BRIDGE_IO, name) >>> 8);
  config.write(REG.memoryBase, 2, Math.floor(memory / 2 ** 16));
  config.write(REG.memoryLimit, 2, Math.floor(cursors.memory32.close(BRIDGE_MEMORY, name) / 2 ** 16));
  const prefetchLimit = cursors.memory64.close(BRIDGE_MEMORY, name);
  config.write(REG.prefetchBase, 2, Math.floor((prefetch % 2 ** 32) / 2 ** 16));
  config.write(REG.prefetchLimit, 2, Math.floor((prefetchLimit % 2 ** 32) / 2 ** 16));
  config.write(REG.prefetchBaseUpper, 4, Math.floor(prefetch / 2 ** 32));
  config.write(REG.prefetchLimitUpper, 4, Math.floor(prefetchLimit / 2 ** 32));
  return highest;
}

/** The free part of a window, allocated from its start. */
class Cursor {
  readonly #what: string;
  readonly #window: PciWindow;
  #next: number;

  constructor(what: string, window: PciWindow) {
    this.#what = what;
    this.#window = window;
    this.#next = window.start;
  }

  get next(): number {
    return this.#next;
  }

  take(size: number, align: number, name: string): number {
    const start = Math.ceil(this.#next / align) * align;
    const end = this.#window.start + this.#window.size;
    if (start + size > end) {
      const { size: all, advice = 'remove a device' } = this.#window;
      throw new PciWindowError(
        `the ${this.#what} (${all} bytes) has no room for ${size} bytes of "${name}": ${advice}`,
      );
    }
    this.#next = start + size;
    return start;
  }

  /** Reserves what is missing from `start` to `size` bytes. */
  reserve(start: number, size: number, name: string): void {
    if (this.#next < start + size) this.take(start + size - this.#next, 1, name);
  }

  /** Starts a bridge's window. */
  open(granularity: number, name: string): number {
    return this.take(0, granularity, name);
  }

  /** Ends a bridge's window. @returns its last address */
  close(granularity: number, name: string): number {
    return this.take(0, granularity, name) - 1;
  }
}
