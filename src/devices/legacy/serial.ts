import { isaDevice } from '../acpi/acpi-parts.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import type { CharBackend } from '../backends/char.ts';
import type { Device, DeviceState, InterruptLine } from '../device.ts';
import type { BuiltDevice, BuiltinType, PortRange } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import { bytesOf, numberOf } from '../state.ts';
import { ByteQueue } from './byte-queue.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';
import { IRQ, PORT } from './pc-ports.ts';

/** National Semiconductor PC16550D data sheet, "Registers": address in the chip. The divisor latch needs LCR.DLAB. */
const REG = {
  /** Receiver buffer (read), transmitter holding (write), divisor latch low. */
  rbr: 0,
  /** Interrupt enable, divisor latch high. */
  ier: 1,
  /** Interrupt identification (read), FIFO control (write). */
  iir: 2,
  lcr: 3,
  mcr: 4,
  lsr: 5,
  msr: 6,
  scr: 7,
} as const;
/** The number of its ports. */
export const SERIAL_PORTS = 8;

const IER_ERBFI = 0x01;
const IER_ETBEI = 0x02;
const IER_ELSI = 0x04;
const IER_EDSSI = 0x08;
const IER_BITS = 0x0f;

/** In order of priority. */
const IIR_LINE_STATUS = 0x06;
const IIR_DATA_AVAILABLE = 0x04;
const IIR_CHARACTER_TIMEOUT = 0x0c;
const IIR_THR_EMPTY = 0x02;
const IIR_MODEM_STATUS = 0x00;
const IIR_NONE = 0x01;
const IIR_FIFOS_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVER = 0x02;
/** The receiver's trigger level, by FCR bits 7 and 6. */
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

const LCR_DLAB = 0x80;

const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;
const MCR_BITS = 0x1f;

const LSR_DATA_READY = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;

const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
const MSR_LINES = 0xf0;
/** The delta bits are the lines' bits shifted right by four; for RI, only the falling edge counts. */
const MSR_DELTA_SHIFT = 4;

const FIFO_SIZE = 16;
/** Typed bytes queued for the receiver; more are dropped, as an overrun. */
const INPUT_MAX = 2 ** 20;
/** 9600 baud, as set by firmware. */
const DEFAULT_DIVISOR = 12;

export type SerialOptions = {
  readonly name: string;
  /** First of the eight ports. */
  readonly port: number;
  readonly line: InterruptLine;
  readonly backend: CharBackend;
};

/**
 * A 16550A serial port. Guest output is sent immediately, so the transmitter is always empty and the baud rate has no
 * effect. User input is queued until the guest has room for it, so pasted text isn't lost.
 */
export class Serial implements Device, ByteRegisters {
  readonly name: string;
  readonly ports: readonly PortRange[];
  readonly #line: InterruptLine;
  readonly #backend: CharBackend;
  /** The receiver's FIFO, or its one-byte buffer. */
  readonly #received = new ByteQueue(FIFO_SIZE);
  /** Typed, but not yet received. */
  readonly #input = new ByteQueue(INPUT_MAX);
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #msr = 0;
  #scr = 0;
  #divisor = DEFAULT_DIVISOR;
  #overrun = false;
  /** The transmitter has become empty and the guest hasn't been notified yet. */
  #thrEmptyPending = false;

  constructor(options: SerialOptions) {
    this.name = options.name;
    this.ports = [{ start: options.port, size: SERIAL_PORTS, handler: byteWide(this) }];
    this.#line = options.line;
    this.#backend = options.backend;
    this.#backend.onInput = bytes => this.#type(bytes);
    this.reset();
  }

  /** Input that has not been received yet stays on the line. */
  reset(): void {
    this.#received.clear();
    this.#ier = 0;
    this.#fcr = 0;
    this.#lcr = 0;
    this.#mcr = 0;
    this.#msr = this.#modemLines();
    this.#scr = 0;
    this.#divisor = DEFAULT_DIVISOR;
    this.#overrun = false;
    this.#thrEmptyPending = false;
    this.#receiveTyped();
    this.#updateInterrupt();
  }

  readByte(register: number): number {
    switch (register) {
      case REG.rbr:
        return this.#dlab ? this.#divisor & 0xff : this.#readReceiver();
      case REG.ier:
        return this.#dlab ? this.#divisor >> 8 : this.#ier;
      case REG.iir:
        return this.#readInterruptIdentification();
      case REG.lcr:
        return this.#lcr;
      case REG.mcr:
        return this.#mcr;
      case REG.lsr:
        return this.#readLineStatus();
      case REG.msr:
        return this.#readModemStatus();
      case REG.scr:
        return this.#scr;
      default:
        return 0xff;
    }
  }

  writeByte(register: number, value: number): void {
    switch (register) {
      case REG.rbr:
        if (this.#dlab) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case REG.ier:
        if (this.#dlab) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else this.#writeInterruptEnable(value);
        break;
      case REG.iir:
        this.#writeFifoControl(value);
        break;
      case REG.lcr:
        this.#lcr = value;
        break;
      case REG.mcr:
        this.#writeModemControl(value);
        break;
      case REG.scr:
        this.#scr = value;
        break;
      // LSR and MSR are read-only.
    }
  }

  get #dlab(): boolean {
    return (this.#lcr & LCR_DLAB) !== 0;
  }

  get #fifosEnabled(): boolean {
    return (this.#fcr & FCR_ENABLE) !== 0;
  }

  get #loopback(): boolean {
    return (this.#mcr & MCR_LOOP) !== 0;
  }

  #readReceiver(): number {
    const byte = this.#received.shift() ?? 0;
    this.#receiveTyped();
    this.#updateInterrupt();
    return byte;
  }

  #readInterruptIdentification(): number {
    const source = this.#interruptSource();
    if (source === IIR_THR_EMPTY) {
      this.#thrEmptyPending = false;
      this.#updateInterrupt();
    }
    return source | (this.#fifosEnabled ? IIR_FIFOS_ENABLED : 0);
  }

  #readLineStatus(): number {
    const errors = this.#overrun ? LSR_OVERRUN : 0;
    const ready = this.#received.length > 0 ? LSR_DATA_READY : 0;
    this.#overrun = false;
    if (errors !== 0) this.#updateInterrupt();
    return ready | errors | LSR_THRE | LSR_TEMT;
  }

  #readModemStatus(): number {
    const status = this.#msr;
    this.#msr &= MSR_LINES;
    if (status !== this.#msr) this.#updateInterrupt();
    return status;
  }

  #transmit(byte: number): void {
    // The register is briefly full, so that an edge-triggered interrupt sees a transition.
    this.#thrEmptyPending = false;
    this.#updateInterrupt();
    if (this.#loopback) this.#receive(byte);
    else this.#backend.write(Uint8Array.of(byte));
    this.#thrEmptyPending = true;
    this.#updateInterrupt();
  }

  #writeInterruptEnable(value: number): void {
    const enabled = value & ~this.#ier;
    this.#ier = value & IER_BITS;
    // Drivers start sending by enabling this interrupt with the register empty.
    if (enabled & IER_ETBEI) this.#thrEmptyPending = true;
    this.#updateInterrupt();
  }

  #writeFifoControl(value: number): void {
    const toggled = ((value ^ this.#fcr) & FCR_ENABLE) !== 0;
    if (toggled || value & FCR_CLEAR_RECEIVER) this.#received.clear();
    // The other bits can only be programmed together with FCR0.
    this.#fcr = value & FCR_ENABLE ? value : 0;
    this.#receiveTyped();
    this.#updateInterrupt();
  }

  #writeModemControl(value: number): void {
    this.#mcr = value & MCR_BITS;
    const lines = this.#modemLines();
    const rose = lines & ~this.#msr;
    const fell = this.#msr & MSR_LINES & ~lines;
    const deltas = ((rose & ~MSR_RI) | fell) >> MSR_DELTA_SHIFT;
    this.#msr = lines | (this.#msr & ~MSR_LINES) | deltas;
    this.#receiveTyped();
    this.#updateInterrupt();
  }

  /** The other end is always connected and ready; in loopback mode the chip's outputs are looped back. */
  #modemLines(): number {
    if (!this.#loopback) return MSR_CTS | MSR_DSR | MSR_DCD;
    const mcr = this.#mcr;
    return (
      (mcr & MCR_RTS ? MSR_CTS : 0) |
      (mcr & MCR_DTR ? MSR_DSR : 0) |
      (mcr & MCR_OUT1 ? MSR_RI : 0) |
      (mcr & MCR_OUT2 ? MSR_DCD : 0)
    );
  }

  #type(bytes: Uint8Array): void {
    const before = this.#input.length;
    if (!this.#input.push(bytes)) this.#overrun = true;
    this.#receiveInput();
    this.#taken(before + bytes.length - this.#input.length);
    this.#updateInterrupt();
  }

  #receive(byte: number): void {
    if (this.#received.length < this.#receiverRoom) this.#received.push(Uint8Array.of(byte));
    else this.#overrun = true;
  }

  #receiveTyped(): void {
    const before = this.#input.length;
    this.#receiveInput();
    this.#taken(before - this.#input.length);
  }

  #taken(count: number): void {
    if (count > 0) this.#backend.inputTaken?.(count, this.#input.length);
  }

  /** Moves typed bytes to the receiver while it has room and the guest accepts them. */
  #receiveInput(): void {
    if (this.#loopback || this.#holdsSender) return;
    while (this.#received.length < this.#receiverRoom && this.#input.length > 0) {
      this.#receive(this.#input.shift()!);
    }
  }

  get #receiverRoom(): number {
    return this.#fifosEnabled ? FIFO_SIZE : 1;
  }

  /** Hardware flow control: a guest that asserts DTR but drops RTS can't take more for now. */
  get #holdsSender(): boolean {
    return (this.#mcr & (MCR_DTR | MCR_RTS)) === MCR_DTR;
  }

  #interruptSource(): number {
    const ier = this.#ier;
    if (ier & IER_ELSI && this.#overrun) return IIR_LINE_STATUS;
    if (ier & IER_ERBFI && this.#received.length > 0) {
      // No more bytes are in transit when the FIFO is below its trigger level, so the timeout has already elapsed.
      const trigger = TRIGGER_LEVELS[this.#fcr >> 6]!;
      return !this.#fifosEnabled || this.#received.length >= trigger
        ? IIR_DATA_AVAILABLE
        : IIR_CHARACTER_TIMEOUT;
    }
    if (ier & IER_ETBEI && this.#thrEmptyPending) return IIR_THR_EMPTY;
    if (ier & IER_EDSSI && this.#msr & ~MSR_LINES) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #updateInterrupt(): void {
    this.#line.set(this.#interruptSource() !== IIR_NONE);
  }

  close(): void {
    this.#backend.close?.();
  }

  save(): DeviceState {
    return {
      received: this.#received.toBytes(),
      input: this.#input.toBytes(),
      ier: this.#ier,
      fcr: this.#fcr,
      lcr: this.#lcr,
      mcr: this.#mcr,
      msr: this.#msr,
      scr: this.#scr,
      divisor: this.#divisor,
      overrun: this.#overrun ? 1 : 0,
      thrEmptyPending: this.#thrEmptyPending ? 1 : 0,
    };
  }

  load(state: DeviceState): void {
    this.#received.replace(bytesOf(state, 'received'));
    this.#input.replace(bytesOf(state, 'input'));
    this.#ier = numberOf(state, 'ier', IER_BITS);
    this.#fcr = numberOf(state, 'fcr', 0xff);
    this.#lcr = numberOf(state, 'lcr', 0xff);
    this.#mcr = numberOf(state, 'mcr', MCR_BITS);
    this.#msr = numberOf(state, 'msr', 0xff);
    this.#scr = numberOf(state, 'scr', 0xff);
    this.#divisor = numberOf(state, 'divisor', 0xffff);
    this.#overrun = numberOf(state, 'overrun', 1) === 1;
    this.#thrEmptyPending = numberOf(state, 'thrEmptyPending', 1) === 1;
    this.#updateInterrupt();
  }
}

export const com1: BuiltinType = {
  type: 'serial',
  title: '16550A serial port',
  description: 'COM1, connected to the console of the VM',
  bus: 'isa',
  backend: 'char',
  builtin: true,
  name: 'com1',
  create: services => {
    const backend = services.backends.open('char', { options: { type: 'console' }, device: 'com1' });
    return buildCom1(services, backend, 'com1');
  },
};

/** COM1, connected to a back end. */
export function buildCom1(
  services: Pick<MachineServices, 'interruptLine'>,
  backend: CharBackend,
  name: string,
): BuiltDevice {
  const line = services.interruptLine(IRQ.com1);
  const device = new Serial({ name, port: PORT.com1, line, backend });
  const aml = isaDevice('COM1', 'PNP0501', ports(PORT.com1, SERIAL_PORTS), isaInterrupt(IRQ.com1));
  return { device, ports: device.ports, acpi: { systemBus: aml } };
}
