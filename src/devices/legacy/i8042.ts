import { isaDevice } from '../acpi/acpi-parts.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import type { Device, DeviceState, InterruptLine, RequestMachine } from '../device.ts';
import type { BuiltinType, PortRange } from '../device-type.ts';
import { bytesOf, numberOf } from '../state.ts';
import { ByteQueue } from './byte-queue.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';
import { KeyboardStub } from './keyboard-stub.ts';
import { IRQ, PORT } from './pc-ports.ts';

/** Status register, port 0x64 (Intel 8242 data sheet). */
const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
/** The last write was a command (to 0x64), not data. */
const STATUS_COMMAND = 0x08;
/** The keyboard isn't locked. */
const STATUS_UNLOCKED = 0x10;

const COMMAND = {
  readMode: 0x20,
  writeMode: 0x60,
  testAux: 0xa9,
  selfTest: 0xaa,
  testKeyboard: 0xab,
  disableKeyboard: 0xad,
  enableKeyboard: 0xae,
  readInputPort: 0xc0,
  readOutputPort: 0xd0,
  writeOutputPort: 0xd1,
  writeKeyboardBuffer: 0xd2,
  writeAuxBuffer: 0xd3,
  writeAux: 0xd4,
  /** 0xf0-0xff pulse the output port bits that are clear in the low half of the command. */
  pulse: 0xf0,
} as const;
/** These take a byte through the data port. */
const WITH_PARAMETER: readonly number[] = [
  COMMAND.writeMode,
  COMMAND.writeOutputPort,
  COMMAND.writeKeyboardBuffer,
  COMMAND.writeAuxBuffer,
  COMMAND.writeAux,
];

/** Mode, also called the command byte. */
const MODE_KEYBOARD_INTERRUPT = 0x01;
const MODE_SYSTEM = 0x04;
const MODE_KEYBOARD_DISABLED = 0x10;
const MODE_AUX_DISABLED = 0x20;
const MODE_TRANSLATE = 0x40;
const MODE_BITS = 0x77;
const POWER_ON_MODE = MODE_KEYBOARD_INTERRUPT | MODE_SYSTEM | MODE_AUX_DISABLED | MODE_TRANSLATE;

const SELF_TEST_PASSED = 0x55;
const TEST_PASSED = 0x00;
/** There is no mouse port: its clock line appears stuck. */
const CLOCK_STUCK_LOW = 0x01;

/** Output port: bit 0 is the processor's reset line (active low), bit 1 the A20 gate. */
const OUTPUT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_FULL = 0x10;
const INPUT_UNLOCKED = 0x80;

/** Far more than the reply to any command. */
const REPLIES_MAX = 16;

export type I8042Options = {
  readonly dataPort: number;
  readonly commandPort: number;
  readonly keyboardLine: InterruptLine;
  readonly request: RequestMachine;
};

/**
 * The keyboard controller, through which guests reset the machine. Its keyboard responds to commands, but never sends keys.
 */
export class I8042 implements Device {
  readonly name = 'i8042';
  readonly ports: readonly PortRange[];
  readonly #line: InterruptLine;
  readonly #request: RequestMachine;
  readonly #keyboard = new KeyboardStub();
  /** Bytes for the output buffer; the first is in it. */
  readonly #replies = new ByteQueue(REPLIES_MAX);
  #mode = POWER_ON_MODE;
  /** The command that waits for its parameter, 0 if none. */
  #pending = 0;
  #lastWasCommand = false;
  /** What the output buffer goes on showing. A BIOS that has polled a reply still gets the interrupt, and reads again. */
  #lastByte = 0;

  constructor(options: I8042Options) {
    const data: ByteRegisters = {
      readByte: () => this.#readData(),
      writeByte: (_, value) => this.#writeData(value),
    };
    const command: ByteRegisters = {
      readByte: () => this.#status,
      writeByte: (_, value) => this.#command(value),
    };
    this.ports = [
      { start: options.dataPort, size: 1, handler: byteWide(data) },
      { start: options.commandPort, size: 1, handler: byteWide(command) },
    ];
    this.#line = options.keyboardLine;
    this.#request = options.request;
  }

  reset(): void {
    this.#keyboard.reset();
    this.#replies.clear();
    this.#mode = POWER_ON_MODE;
    this.#pending = 0;
    this.#lastWasCommand = false;
    this.#lastByte = 0;
    this.#updateInterrupt();
  }

  get #status(): number {
    return (
      (this.#replies.length > 0 ? STATUS_OUTPUT_FULL : 0) |
      (this.#mode & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#lastWasCommand ? STATUS_COMMAND : 0) |
      STATUS_UNLOCKED
    );
  }

  #readData(): number {
    const byte = this.#replies.shift() ?? this.#lastByte;
    this.#lastByte = byte;
    // The buffer is briefly empty: an edge-triggered interrupt must see that.
    this.#line.set(false);
    this.#updateInterrupt();
    return byte;
  }

  #writeData(value: number): void {
    this.#lastWasCommand = false;
    const command = this.#pending;
    this.#pending = 0;
    if (command === 0) this.#sendToKeyboard(value);
    else this.#commandWithParameter(command, value);
  }

  #command(command: number): void {
    this.#lastWasCommand = true;
    this.#pending = WITH_PARAMETER.includes(command) ? command : 0;
    if (command === COMMAND.disableKeyboard) this.#mode |= MODE_KEYBOARD_DISABLED;
    if (command === COMMAND.enableKeyboard) this.#mode &= ~MODE_KEYBOARD_DISABLED;
    if (command === COMMAND.selfTest) this.#mode |= MODE_SYSTEM;
    if (command >= COMMAND.pulse && !(command & OUTPUT_RESET)) this.#request({ kind: 'reset' });
    const answer = this.#answer(command);
    if (answer !== null) this.#reply(answer);
  }

  #answer(command: number): number | null {
    switch (command) {
      case COMMAND.readMode:
        return this.#mode;
      case COMMAND.testAux:
        return CLOCK_STUCK_LOW;
      case COMMAND.selfTest:
        return SELF_TEST_PASSED;
      case COMMAND.testKeyboard:
        return TEST_PASSED;
      case COMMAND.readInputPort:
        return INPUT_UNLOCKED;
      case COMMAND.readOutputPort:
        return OUTPUT_RESET | OUTPUT_A20 | (this.#replies.length > 0 ? OUTPUT_FULL : 0);
      default:
        return null;
    }
  }

  #commandWithParameter(command: number, value: number): void {
    switch (command) {
      case COMMAND.writeMode:
        this.#mode = value & MODE_BITS;
        this.#updateInterrupt();
        break;
      case COMMAND.writeOutputPort:
        // The A20 gate has no effect: address line 20 is always on.
        if (!(value & OUTPUT_RESET)) this.#request({ kind: 'reset' });
        break;
      case COMMAND.writeKeyboardBuffer:
        this.#reply(value);
        break;
      // There is no mouse, so no reply.
    }
  }

  #sendToKeyboard(value: number): void {
    // Sending to the keyboard enables its interface.
    this.#mode &= ~MODE_KEYBOARD_DISABLED;
    this.#reply(...this.#keyboard.receive(value, (this.#mode & MODE_TRANSLATE) !== 0));
  }

  #reply(...bytes: number[]): void {
    this.#replies.push(Uint8Array.from(bytes));
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    this.#line.set(this.#replies.length > 0 && (this.#mode & MODE_KEYBOARD_INTERRUPT) !== 0);
  }

  save(): DeviceState {
    return {
      keyboardCommand: this.#keyboard.pendingCommand,
      replies: this.#replies.toBytes(),
      mode: this.#mode,
      pending: this.#pending,
      lastWasCommand: this.#lastWasCommand ? 1 : 0,
      lastByte: this.#lastByte,
    };
  }

  load(state: DeviceState): void {
    this.#keyboard.pendingCommand = numberOf(state, 'keyboardCommand', 0xff);
    this.#replies.replace(bytesOf(state, 'replies'));
    this.#mode = numberOf(state, 'mode', 0xff) & MODE_BITS;
    this.#pending = numberOf(state, 'pending', 0xff);
    this.#lastWasCommand = numberOf(state, 'lastWasCommand', 1) === 1;
    // Absent from states of before firmware.
    this.#lastByte = 'lastByte' in state ? numberOf(state, 'lastByte', 0xff) : 0;
    this.#updateInterrupt();
  }
}

export const i8042: BuiltinType = {
  type: 'i8042',
  title: 'keyboard controller',
  description: 'resets the machine when the guest asks; its keyboard has no keys',
  bus: 'isa',
  builtin: true,
  create: services => {
    const device = new I8042({
      dataPort: PORT.i8042Data,
      commandPort: PORT.i8042Command,
      keyboardLine: services.interruptLine(IRQ.keyboard),
      request: services.request,
    });
    const resources = [ports(PORT.i8042Data, 1), ports(PORT.i8042Command, 1), isaInterrupt(IRQ.keyboard)];
    const aml = isaDevice('KBD', 'PNP0303', ...resources);
    return { device, ports: device.ports, acpi: { systemBus: aml, is8042: true } };
  },
};
