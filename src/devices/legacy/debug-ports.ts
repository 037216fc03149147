import type { AccessSize, Device, DeviceState, IoHandler, RequestMachine } from '../device.ts';
import {
  type BuiltinType,
  type ConfigurableType,
  deviceFields,
  type PortRange,
  type Zod,
} from '../device-type.ts';
import { numberOf } from '../state.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';
import { PORT } from './pc-ports.ts';

/** Port 0x80: firmware and kernels write progress codes, or any value as a short delay. */
export class PostCode implements Device, ByteRegisters {
  readonly name = 'post-code';
  readonly ports: readonly PortRange[];
  #code = 0;

  constructor(port: number) {
    this.ports = [{ start: port, size: 1, handler: byteWide(this) }];
  }

  /** The value written last. */
  get code(): number {
    return this.#code;
  }

  reset(): void {
    this.#code = 0;
  }

  readByte(): number {
    return this.#code;
  }

  writeByte(_offset: number, value: number): void {
    this.#code = value;
  }

  save(): DeviceState {
    return { code: this.#code };
  }

  load(state: DeviceState): void {
    this.#code = numberOf(state, 'code', 0xff);
  }
}

/**
 * Port 0xf4: a guest that writes the byte v stops its machine with exit code v (not 2v + 1, as with QEMU's
 * isa-debug-exit, which is a separate device here). Reads return 0.
 */
export class DebugExit implements Device, ByteRegisters {
  readonly name = 'debug-exit';
  readonly ports: readonly PortRange[];
  readonly #request: RequestMachine;

  constructor(port: number, request: RequestMachine) {
    this.ports = [{ start: port, size: 1, handler: byteWide(this) }];
    this.#request = request;
  }

  reset(): void {}

  readByte(): number {
    return 0;
  }

  writeByte(_offset: number, value: number): void {
    this.#request({ kind: 'exit', code: value });
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

/**
 * QEMU's isa-debug-exit: a guest that writes the value v anywhere in the range stops its machine with exit code 2v + 1,
 * of which a shell sees the low byte. Reads return 0.
 */
export class IsaDebugExit implements Device, IoHandler {
  readonly name: string;
  readonly ports: readonly PortRange[];
  readonly #request: RequestMachine;

  constructor(name: string, start: number, size: number, request: RequestMachine) {
    this.name = name;
    this.ports = [{ start, size, handler: this }];
    this.#request = request;
  }

  reset(): void {}

  read(): number {
    return 0;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#request({ kind: 'exit', code: ((value << 1) | 1) & 0xff });
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

const isaDebugExitOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'isa-debug-exit'),
    iobase: z
      .int()
      .min(0, 'a port from 0 to 0xffff')
      .max(0xffff, 'a port from 0 to 0xffff')
      .default(0x501)
      .describe('its first port'),
    iosize: z
      .int()
      .min(1, 'at least 1 port')
      .max(256, 'at most 256 ports')
      .default(2)
      .describe('how many ports it has'),
  });

export const isaDebugExit: ConfigurableType<ReturnType<typeof isaDebugExitOptions>> = {
  type: 'isa-debug-exit',
  title: 'ISA debug exit port',
  description:
    'a port through which a guest stops its VM with exit code 2v + 1; replaces the debug exit port',
  bus: 'isa',
  prefix: 'exit',
  replaces: 'debug-exit',
  qemu: { devices: ['isa-debug-exit'], properties: { iobase: 'iobase', iosize: 'iosize' } },
  config: isaDebugExitOptions,
  create(services, { iobase, iosize }, name) {
    const device = new IsaDebugExit(name, iobase, iosize, services.request);
    return { device, ports: device.ports };
  },
};

export const postCode: BuiltinType = {
  type: 'post-code',
  title: 'POST code port',
  description: 'port 0x80, which stores the last byte that a guest wrote',
  bus: 'isa',
  builtin: true,
  create: () => {
    const device = new PostCode(PORT.postCode);
    return { device, ports: device.ports };
  },
};

export const debugExit: BuiltinType = {
  type: 'debug-exit',
  title: 'debug exit port',
  description:
    'port 0xf4, through which a guest that is a kernel booted directly stops its VM with an exit code',
  bus: 'isa',
  builtin: true,
  onlyWithKernel: true,
  create: services => {
    const device = new DebugExit(PORT.debugExit, services.request);
    return { device, ports: device.ports };
  },
};
