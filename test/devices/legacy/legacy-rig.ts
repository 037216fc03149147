import { Bus } from '../../../src/devices/bus.ts';
import type { Cancel, Clock, Device, MachineRequest } from '../../../src/devices/device.ts';
import type { PortRange } from '../../../src/devices/device-type.ts';

const MS = 1_000_000n;

/** A clock that moves only when a test says so; both of its scales move together. */
export class ManualClock implements Clock {
  #now = 1_000_000_000n;
  #wall: number;
  #timers: { deadline: bigint; callback: () => void }[] = [];

  constructor(wall = Date.UTC(2024, 1, 28, 23, 59, 58)) {
    this.#wall = wall;
  }

  now = (): bigint => this.#now;
  wallMs = (): number => this.#wall;

  at(deadline: bigint, callback: () => void): Cancel {
    const timer = { deadline, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Moves on by `ms`, a millisecond at a time, calling what is due on the way. */
  advance(ms: number): void {
    for (let i = 0; i < ms; i++) {
      this.#now += MS;
      this.#wall += 1;
      const due = this.#timers.filter(timer => timer.deadline <= this.#now);
      this.#timers = this.#timers.filter(timer => timer.deadline > this.#now);
      for (const timer of due) timer.callback();
    }
  }

  /** Moves on by `ns` at once; timers that became due fire afterwards. */
  jump(ns: bigint): void {
    this.#now += ns - MS;
    this.#wall += Number(ns / MS) - 1;
    this.advance(1);
  }
}

/** An interrupt line that counts its rising edges, as an edge-triggered input would. */
export class CountingLine {
  level = false;
  edges = 0;

  set(level: boolean): void {
    if (level && !this.level) this.edges++;
    this.level = level;
  }
}

export class Requests {
  readonly all: MachineRequest[] = [];
  readonly request = (request: MachineRequest): void => {
    this.all.push(request);
  };
}

/** A port bus with `device` on it. */
export function portBus(device: Device & { ports: readonly PortRange[] }): Bus {
  const bus = new Bus({ space: 'port', counters: () => ({ read: () => {}, written: () => {} }) });
  for (const { start, size, handler } of device.ports) bus.claim(device.name, start, size, handler);
  return bus;
}

/** Every port of the device and a few beyond, read and written with every size and a spread of values. */
export function writeRubbish(device: Device & { ports: readonly PortRange[] }): void {
  const bus = portBus(device);
  let seed = 0x2545_f491;
  const random = () => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return seed >>> 0;
  };
  for (let round = 0; round < 20_000; round++) {
    const range = device.ports[random() % device.ports.length]!;
    const size = ([1, 2, 4] as const)[random() % 3]!;
    const port = range.start + (random() % range.size);
    const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
    if (random() % 3 === 0) {
      const value = bus.read(port, size);
      if (!Number.isInteger(value) || value < 0 || value > mask) {
        throw new Error(`port 0x${port.toString(16)} reads ${value}`);
      }
      continue;
    }
    const edge = [0, 0xffff_ffff, 0x8080_8080, random()][random() % 4]!;
    bus.write(port, size, (edge & mask) >>> 0);
  }
}
