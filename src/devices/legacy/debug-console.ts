import { charFields, charText } from '../backends/char-fields.ts';
import type { Device, DeviceState } from '../device.ts';
import {
  type BuiltinType,
  type ConfigurableType,
  deviceFields,
  type PortRange,
  type Zod,
} from '../device-type.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';
import { PORT } from './pc-ports.ts';

/** The value that a debug console reads as, and that SeaBIOS and OVMF check for. */
const DEBUG_CONSOLE_PRESENT = 0xe9;

/** A port: each byte written goes to `sink`. */
export class DebugConsole implements Device, ByteRegisters {
  readonly name: string;
  readonly ports: readonly PortRange[];
  readonly #sink: (bytes: Uint8Array) => void;

  constructor(name: string, port: number, sink: (bytes: Uint8Array) => void) {
    this.name = name;
    this.ports = [{ start: port, size: 1, handler: byteWide(this) }];
    this.#sink = sink;
  }

  reset(): void {}

  readByte(): number {
    return DEBUG_CONSOLE_PRESENT;
  }

  writeByte(_offset: number, value: number): void {
    this.#sink(Uint8Array.of(value));
  }

  save(): DeviceState {
    return {};
  }

  load(): void {}
}

export const debugConsole: BuiltinType = {
  type: 'debug-console',
  title: 'debug console',
  description: 'port 0x402, which prints to the console of a VM that boots a kernel directly',
  bus: 'isa',
  builtin: true,
  onlyWithKernel: true,
  create: services => {
    const console = services.backends.open('char', { options: { type: 'console' }, device: 'com1' });
    const device = new DebugConsole('debug-console', PORT.debugConsole, bytes => console.write(bytes));
    return { device, ports: device.ports };
  },
};

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'isa-debugcon'),
    iobase: z
      .int()
      .min(0, 'a port from 0 to 0xffff')
      .max(0xffff, 'a port from 0 to 0xffff')
      .default(0xe9)
      .describe('its port: firmware writes to 0x402'),
    ...charFields(z, 'console'),
  });

/** A port for messages of firmware and kernels. Its console has the device's name. */
export const isaDebugcon: ConfigurableType<ReturnType<typeof options>> = {
  type: 'isa-debugcon',
  title: 'ISA debug console port',
  description: 'a port that prints what is written to it, such as the messages of SeaBIOS',
  bus: 'isa',
  backend: 'char',
  // A user who configures one wants the messages there.
  replaces: debugConsole.type,
  prefix: 'debugcon',
  qemu: { devices: ['isa-debugcon'], properties: { iobase: 'iobase', chardev: 'chardev' } },
  config: options,
  create(services, { iobase, chardev }, name) {
    const backend = services.backends.open('char', { options: chardev, device: name });
    const device = new DebugConsole(name, iobase, bytes => backend.write(bytes));
    const facts = [
      { label: 'port', value: `0x${iobase.toString(16)}` },
      { label: 'connected to', value: backend.label ?? charText(chardev) },
    ];
    return { device, ports: device.ports, facts };
  },
};
