import { PortBus } from '../../src/devices/bus.ts';
import type { Device, MachineRequest } from '../../src/devices/device.ts';
import type { PortRange } from '../../src/devices/device-type.ts';
import { UNCOUNTED } from './counters.ts';
import { Random } from './random.ts';

export class Requests {
  readonly all: MachineRequest[] = [];
  readonly request = (request: MachineRequest): void => {
    this.all.push(request);
  };
}

/** A port bus with `device` on it. */
export function portBus(device: Device & { ports: readonly PortRange[] }): PortBus {
  const bus = new PortBus({ counters: () => UNCOUNTED });
  for (const { start, size, handler } of device.ports) bus.claim(device.name, start, size, handler);
  return bus;
}

/** Every port of the device and a few beyond, read and written with every size and a spread of values. */
export function writeGarbage(device: Device & { ports: readonly PortRange[] }): void {
  const bus = portBus(device);
  const random = new Random(1);
  for (let round = 0; round < 20_000; round++) {
    const range = random.pick(device.ports);
    const size = random.pick([1, 2, 4] as const);
    const port = range.start + random.below(range.size);
    const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
    if (random.below(3) === 0) {
      const value = bus.read(port, size);
      if (!Number.isInteger(value) || value < 0 || value > mask) {
        throw new Error(`port 0x${port.toString(16)} reads ${value}`);
      }
      continue;
    }
    const edge = random.pick([0, 0xffff_ffff, 0x8080_8080, random.u32()]);
    bus.write(port, size, (edge & mask) >>> 0);
  }
}
