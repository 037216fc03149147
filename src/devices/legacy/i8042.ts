import { isaDevice } from '../acpi/acpi-parts.ts';
import { concat } from '../acpi/aml.ts';
import { isaInterrupt, ports } from '../acpi/resources.ts';
import type { Clock, Device, DeviceState, InterruptLine, RequestMachine } from '../device.ts';
import type { BuiltinType, PortRange } from '../device-type.ts';
import { litLeds } from '../input/input-event.ts';
import { Ps2Keyboard } from '../input/ps2-keyboard.ts';
import { Ps2Mouse } from '../input/ps2-mouse.ts';
import { BREAK, translate } from '../input/scan-codes.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../state.ts';
import { type ByteRegisters, byteWide } from './byte-wide.ts';
import { IRQ, PORT } from './pc-ports.ts';

/** Status register, port 0x64 (Intel 8242 data sheet). */
const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
/** The last write was a command (to 0x64), not data. */
const STATUS_COMMAND = 0x08;
/** The keyboard is not locked. */
const STATUS_UNLOCKED = 0x10;
/** The byte in the output buffer is from the auxiliary device, the mouse. */
const STATUS_AUX = 0x20;

const COMMAND = {
  readMode: 0x20,
  writeMode: 0x60,
  disableAux: 0xa7,
  enableAux: 0xa8,
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
const MODE_AUX_INTERRUPT = 0x02;
const MODE_SYSTEM = 0x04;
const MODE_KEYBOARD_DISABLED = 0x10;
const MODE_AUX_DISABLED = 0x20;
const MODE_TRANSLATE = 0x40;
const MODE_BITS = 0x77;
const POWER_ON_MODE = MODE_KEYBOARD_INTERRUPT | MODE_SYSTEM | MODE_AUX_DISABLED | MODE_TRANSLATE;

const SELF_TEST_PASSED = 0x55;
const TEST_PASSED = 0x00;

/** Output port: bit 0 is the processor's reset line (active low), bit 1 the A20 gate. */
const OUTPUT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_FULL = 0x10;
const OUTPUT_AUX_FULL = 0x20;
const INPUT_UNLOCKED = 0x80;

/** Far more than a driver asks for without reading. */
const REPLIES_MAX = 16;
/** Marks a reply that looks as if it came from the mouse. */
const FROM_AUX = 0x100;

/** Where the byte in the output buffer comes from. */
const SOURCES = ['none', 'controller', 'keyboard', 'mouse'] as const;
type Source = (typeof SOURCES)[number];

export type I8042Options = {
  readonly dataPort: number;
  readonly commandPort: number;
  readonly keyboardLine: InterruptLine;
  readonly mouseLine: InterruptLine;
  readonly clock: Clock;
  readonly request: RequestMachine;
};

/**
 * The keyboard controller, with a PS/2 keyboard and a PS/2 mouse. Guests reset the machine through it.
 *
 * The output buffer shows the first byte of one of three queues. Replies of the controller come first: a driver that
 * has sent a command reads its answer before what was typed in the meantime.
 */
export class I8042 implements Device {
  readonly name = 'i8042';
  readonly ports: readonly PortRange[];
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse;
  readonly #keyboardLine: InterruptLine;
  readonly #mouseLine: InterruptLine;
  readonly #request: RequestMachine;
  /** The controller's own replies, each with or without FROM_AUX. */
  #replies: number[] = [];
  #source: Source = 'none';
  #mode = POWER_ON_MODE;
  /** The command that waits for its parameter, 0 if none. */
  #pending = 0;
  #lastWasCommand = false;
  /**
   * The byte that the output buffer keeps showing after it is read. A BIOS that has polled for a reply still gets the
   * interrupt, and reads again.
   */
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
    this.#keyboardLine = options.keyboardLine;
    this.#mouseLine = options.mouseLine;
    this.#request = options.request;
    const sent = () => this.#update();
    this.keyboard = new Ps2Keyboard({ clock: options.clock, sent });
    this.mouse = new Ps2Mouse(sent);
  }

  reset(): void {
    this.#replies = [];
    this.#source = 'none';
    this.#mode = POWER_ON_MODE;
    this.#pending = 0;
    this.#lastWasCommand = false;
    this.#lastByte = 0;
    this.keyboard.reset();
    this.mouse.reset();
    this.#update();
  }

  quiesce(done: () => void): void {
    this.keyboard.quiesce();
    done();
  }

  resume(): void {
    this.keyboard.resume();
    this.mouse.resume();
  }

  get #status(): number {
    return (
      (this.#source === 'none' ? 0 : STATUS_OUTPUT_FULL) |
      (this.#isAux ? STATUS_AUX : 0) |
      (this.#mode & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#lastWasCommand ? STATUS_COMMAND : 0) |
      STATUS_UNLOCKED
    );
  }

  /** Whether the byte in the output buffer is from the mouse, or looks as if it were. */
  get #isAux(): boolean {
    return (
      this.#source === 'mouse' || (this.#source === 'controller' && (this.#replies[0]! & FROM_AUX) !== 0)
    );
  }

  #readData(): number {
    const source = this.#source;
    // The buffer is briefly empty, so that an edge-triggered interrupt sees a transition.
    this.#source = 'none';
    this.#setLines();
    this.#lastByte = this.#take(source) ?? this.#lastByte;
    this.#update();
    return this.#lastByte;
  }

  #take(source: Source): number | undefined {
    switch (source) {
      case 'controller':
        return this.#replies.shift()! & 0xff;
      case 'keyboard': {
        const byte = this.keyboard.take();
        return byte !== undefined && this.#mode & MODE_TRANSLATE ? this.#translated(byte) : byte;
      }
      case 'mouse':
        return this.mouse.take();
      case 'none':
        return undefined;
    }
  }

  /** In scan code set 1 a key release is the key's code with bit 7 set, instead of the two bytes of the other sets. */
  #translated(byte: number): number | undefined {
    if (byte !== BREAK) return translate(byte);
    const code = this.keyboard.take();
    return code === undefined ? undefined : translate(code) | 0x80;
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
    if (command === COMMAND.disableAux) this.#mode |= MODE_AUX_DISABLED;
    if (command === COMMAND.enableAux) this.#mode &= ~MODE_AUX_DISABLED;
    if (command === COMMAND.selfTest) this.#mode |= MODE_SYSTEM;
    if (command >= COMMAND.pulse && !(command & OUTPUT_RESET)) this.#request({ kind: 'reset' });
    const answer = this.#answer(command);
    if (answer !== null) this.#reply(answer);
    else this.#update();
  }

  #answer(command: number): number | null {
    switch (command) {
      case COMMAND.readMode:
        return this.#mode;
      case COMMAND.selfTest:
        return SELF_TEST_PASSED;
      case COMMAND.testAux:
      case COMMAND.testKeyboard:
        return TEST_PASSED;
      case COMMAND.readInputPort:
        return INPUT_UNLOCKED;
      case COMMAND.readOutputPort:
        return (
          OUTPUT_RESET |
          OUTPUT_A20 |
          (this.#source === 'none' ? 0 : this.#isAux ? OUTPUT_AUX_FULL : OUTPUT_FULL)
        );
      default:
        return null;
    }
  }

  #commandWithParameter(command: number, value: number): void {
    switch (command) {
      case COMMAND.writeMode:
        this.#mode = value & MODE_BITS;
        this.#update();
        break;
      case COMMAND.writeOutputPort:
        // The A20 gate has no effect: address line 20 is always on.
        if (!(value & OUTPUT_RESET)) this.#request({ kind: 'reset' });
        break;
      case COMMAND.writeKeyboardBuffer:
        this.#reply(value);
        break;
      case COMMAND.writeAuxBuffer:
        this.#reply(value | FROM_AUX);
        break;
      case COMMAND.writeAux:
        // Sending to a device enables its interface.
        this.#mode &= ~MODE_AUX_DISABLED;
        this.mouse.receive(value);
        this.#update();
        break;
    }
  }

  #sendToKeyboard(value: number): void {
    this.#mode &= ~MODE_KEYBOARD_DISABLED;
    this.keyboard.receive(value);
    this.#update();
  }

  #reply(value: number): void {
    if (this.#replies.length < REPLIES_MAX) this.#replies.push(value);
    this.#update();
  }

  /**
   * Fills the output buffer. A byte in it stays, so that a driver reads what the status announced, unless the
   * controller has a reply or the device's interface was disabled.
   */
  #update(): void {
    const keyboard = !this.keyboard.isEmpty && (this.#mode & MODE_KEYBOARD_DISABLED) === 0;
    const mouse = !this.mouse.isEmpty && (this.#mode & MODE_AUX_DISABLED) === 0;
    if (this.#replies.length > 0) this.#source = 'controller';
    else if (this.#source === 'mouse' && mouse) this.#source = 'mouse';
    else this.#source = keyboard ? 'keyboard' : mouse ? 'mouse' : 'none';
    this.#setLines();
  }

  #setLines(): void {
    const full = this.#source !== 'none';
    const aux = this.#isAux;
    this.#keyboardLine.set(full && !aux && (this.#mode & MODE_KEYBOARD_INTERRUPT) !== 0);
    this.#mouseLine.set(full && aux && (this.#mode & MODE_AUX_INTERRUPT) !== 0);
  }

  save(): DeviceState {
    return {
      keyboard: this.keyboard.save(),
      mouse: this.mouse.save(),
      controllerReplies: [...this.#replies],
      source: this.#source,
      mode: this.#mode,
      pending: this.#pending,
      lastWasCommand: this.#lastWasCommand ? 1 : 0,
      lastByte: this.#lastByte,
    };
  }

  load(state: DeviceState): void {
    // States of versions without a mouse had a keyboard without keys.
    if ('keyboard' in state) this.#loadDevices(state);
    else {
      this.#replies = [...bytesOf(state, 'replies').subarray(0, REPLIES_MAX)];
      this.keyboard.reset();
      this.mouse.reset();
    }
    this.#mode = numberOf(state, 'mode', 0xff) & MODE_BITS;
    this.#pending = numberOf(state, 'pending', 0xff);
    this.#lastWasCommand = numberOf(state, 'lastWasCommand', 1) === 1;
    // Absent from states of versions without firmware.
    this.#lastByte = 'lastByte' in state ? numberOf(state, 'lastByte', 0xff) : 0;
    this.#update();
  }

  #loadDevices(state: DeviceState): void {
    const source = SOURCES.find(each => each === state.source);
    if (source === undefined) throw new DeviceStateError('source', 'source of a byte');
    const { controllerReplies } = state;
    // Copied: a list may have holes, which `every` would skip.
    const replies: readonly unknown[] = Array.isArray(controllerReplies) ? [...controllerReplies] : [null];
    const fits = (each: unknown): each is number =>
      typeof each === 'number' && Number.isInteger(each) && each >= 0 && each < 2 * FROM_AUX;
    if (replies.length > REPLIES_MAX || !replies.every(fits))
      throw new DeviceStateError('controllerReplies', 'list of replies');
    this.keyboard.load(stateOf(state, 'keyboard'));
    this.mouse.load(stateOf(state, 'mouse'));
    this.#replies = [...replies];
    this.#source = source;
  }
}

export const i8042: BuiltinType = {
  type: 'i8042',
  title: 'keyboard controller',
  description: 'PS/2 keyboard and mouse; resets the machine when the guest asks',
  bus: 'isa',
  builtin: true,
  create: services => {
    const device = new I8042({
      dataPort: PORT.i8042Data,
      commandPort: PORT.i8042Command,
      keyboardLine: services.interruptLine(IRQ.keyboard),
      mouseLine: services.interruptLine(IRQ.mouse),
      clock: services.clock,
      request: services.request,
    });
    const keyboard = [ports(PORT.i8042Data, 1), ports(PORT.i8042Command, 1), isaInterrupt(IRQ.keyboard)];
    const systemBus = concat(
      isaDevice('KBD', 'PNP0303', ...keyboard),
      isaDevice('MOU', 'PNP0F13', isaInterrupt(IRQ.mouse)),
    );
    return {
      device,
      ports: device.ports,
      acpi: { systemBus, is8042: true },
      capabilities: { keyboard: device.keyboard, pointer: device.mouse },
      get facts() {
        return [{ label: 'lit LEDs', value: litLeds(device.keyboard.leds) }];
      },
    };
  },
};
