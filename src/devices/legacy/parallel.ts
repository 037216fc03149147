import { isaDevice } from '../acpi/acpi-parts.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import type { CharBackend } from '../backends/char.ts';
import { charFields, charText } from '../backends/char-fields.ts';
import type { Device, DeviceState, InterruptLine } from '../device.ts';
import { type ConfigurableType, deviceFields, type PortRange, type Zod } from '../device-type.ts';
import { booleanOf, numberOf } from '../state.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';

/**
 * Offsets from the first port (IEEE 1284-2000, compatibility mode; the registers are those of the IBM PC's printer
 * adapter).
 */
const REG = { data: 0, status: 1, control: 2, size: 3 } as const;

/**
 * The printer is selected, has paper and no error, and is neither busy nor about to acknowledge; the other bits read as
 * ones.
 */
const STATUS_READY = 0xdf;
/** Low while the printer acknowledges a byte. */
const STATUS_ACKNOWLEDGE = 0x40;

const CONTROL_STROBE = 0x01;
const CONTROL_INIT = 0x04;
const CONTROL_INTERRUPTS = 0x10;
const CONTROL_BITS = 0x1f;
/** Bits that do not exist read as ones. */
const CONTROL_FIXED = 0xc0;

export type ParallelOptions = {
  readonly name: string;
  /** The first of its ports. */
  readonly port: number;
  readonly line: InterruptLine;
  readonly backend: CharBackend;
};

/** A parallel port with a printer that takes every byte immediately, and sends none. */
export class Parallel implements Device, ByteRegisters {
  readonly name: string;
  readonly ports: readonly PortRange[];
  readonly #line: InterruptLine;
  readonly #backend: CharBackend;
  #data = 0;
  #control = CONTROL_INIT;
  /** The guest has not read the status since the last byte: BIOSes wait until they have seen the acknowledgment. */
  #acknowledges = false;

  constructor({ name, port, line, backend }: ParallelOptions) {
    this.name = name;
    this.ports = [{ start: port, size: REG.size, handler: byteWide(this) }];
    this.#line = line;
    this.#backend = backend;
  }

  reset(): void {
    this.#data = 0;
    this.#control = CONTROL_INIT;
    this.#acknowledges = false;
  }

  readByte(offset: number): number {
    switch (offset) {
      case REG.data:
        return this.#data;
      case REG.status:
        return this.#readStatus();
      case REG.control:
        return this.#control | CONTROL_FIXED;
      default:
        return 0xff;
    }
  }

  #readStatus(): number {
    const status = this.#acknowledges ? STATUS_READY & ~STATUS_ACKNOWLEDGE : STATUS_READY;
    this.#acknowledges = false;
    return status;
  }

  writeByte(offset: number, value: number): void {
    if (offset === REG.data) this.#data = value;
    if (offset === REG.control) this.#setControl(value & CONTROL_BITS);
  }

  /**
   * A byte is taken when the strobe begins, and acknowledged when it ends, unless INIT holds the printer in reset
   * (active low).
   */
  #setControl(value: number): void {
    const changed = this.#control ^ value;
    this.#control = value;
    if ((changed & CONTROL_STROBE) === 0 || (value & CONTROL_INIT) === 0) return;
    if (value & CONTROL_STROBE) this.#backend.write(Uint8Array.of(this.#data));
    else this.#acknowledge();
  }

  /** The acknowledgment is a pulse, and its end raises the interrupt. */
  #acknowledge(): void {
    this.#acknowledges = true;
    if ((this.#control & CONTROL_INTERRUPTS) === 0) return;
    this.#line.set(true);
    this.#line.set(false);
  }

  save(): DeviceState {
    return { data: this.#data, control: this.#control, acknowledges: this.#acknowledges };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#data = numberOf(state, 'data', 0xff);
    this.#control = numberOf(state, 'control', CONTROL_BITS);
    this.#acknowledges = booleanOf(state, 'acknowledges');
  }

  close(): void {
    this.#backend.close?.();
  }
}

/** The ports of LPT1 and LPT2 on a PC. */
export const LPT_PORTS = [
  { name: 'lpt1', iobase: 0x378, irq: 7 },
  { name: 'lpt2', iobase: 0x278, irq: 5 },
] as const;

const options = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'isa-parallel'),
    iobase: z
      .int()
      .min(0x100, 'a port from 0x100 to 0x7ff8')
      .max(0x7ff8, 'a port from 0x100 to 0x7ff8')
      .multipleOf(4, 'a multiple of 4')
      .default(0x378)
      .describe('its first of 3 ports: 0x378 is LPT1, 0x278 LPT2'),
    irq: z
      .int()
      .min(3, 'an interrupt from 3 to 15')
      .max(15, 'an interrupt from 3 to 15')
      .default(7)
      .describe('its ISA interrupt'),
    ...charFields(z, 'console'),
  });

/** What a guest prints goes to the back end; its console has the device's name. */
export const isaParallel: ConfigurableType<ReturnType<typeof options>> = {
  type: 'isa-parallel',
  title: 'parallel port',
  description: 'a parallel port with a printer, which passes on everything it is sent',
  bus: 'isa',
  backend: 'char',
  prefix: 'parallel',
  qemu: { devices: ['isa-parallel'], properties: { iobase: 'iobase', irq: 'irq', chardev: 'chardev' } },
  config: options,
  create(services, { iobase, irq, chardev }, name) {
    const line = services.interruptLine(irq);
    const backend = services.backends.open('char', { options: chardev, device: name });
    const device = new Parallel({ name, port: iobase, line, backend });
    const known = LPT_PORTS.find(port => port.iobase === iobase)?.name.toUpperCase();
    const path = known ?? `L${iobase.toString(16).toUpperCase().padStart(3, '0').slice(-3)}`;
    const aml = isaDevice(path, 'PNP0400', ports(iobase, REG.size), isaInterrupt(irq));
    const facts = [
      { label: 'port', value: `0x${iobase.toString(16)}` },
      { label: 'interrupt', value: irq },
      { label: 'connected to', value: backend.label ?? charText(chardev) },
    ];
    return { device, ports: device.ports, acpi: { systemBus: aml }, facts };
  },
};
