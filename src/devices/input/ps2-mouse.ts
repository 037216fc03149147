import type { DeviceState } from '../device.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../state.ts';
import { BUTTON, type InputEvent, MOTION_MAX, type PointerControl } from './input-event.ts';
import { Ps2Output, REPLY } from './ps2-device.ts';

/** Commands to a PS/2 mouse (IBM Personal System/2 Technical Reference, "Auxiliary Device"). */
const COMMAND = {
  resetScaling: 0xe6,
  setScaling: 0xe7,
  setResolution: 0xe8,
  statusRequest: 0xe9,
  setStreamMode: 0xea,
  readData: 0xeb,
  resetWrapMode: 0xec,
  setWrapMode: 0xee,
  setRemoteMode: 0xf0,
  readDeviceType: 0xf2,
  setSampleRate: 0xf3,
  enable: 0xf4,
  disable: 0xf5,
  setDefaults: 0xf6,
  resend: 0xfe,
  reset: 0xff,
} as const;

/** Status, first byte: buttons in the low bits. */
const STATUS = { scaling: 0x10, enabled: 0x20, remote: 0x40 } as const;
const STATUS_BUTTON = { left: 0x04, middle: 0x02, right: 0x01 } as const;

/** First byte of a packet. */
const PACKET = { alwaysSet: 0x08, xSign: 0x10, ySign: 0x20 } as const;
/** Buttons as encoded in packets; the last two in the fourth byte of the five-button protocol. */
const BUTTON_BITS: ReadonlyMap<number, number> = new Map([
  [BUTTON.left, 0x01],
  [BUTTON.right, 0x02],
  [BUTTON.middle, 0x04],
  [BUTTON.side, 0x10],
  [BUTTON.extra, 0x20],
]);
const FIRST_BUTTONS = 0x07;
const MORE_BUTTONS = 0x30;
const ALL_BUTTONS = FIRST_BUTTONS | MORE_BUTTONS;

/** Device types: standard, with a wheel (IntelliMouse), with a wheel and five buttons (IntelliMouse Explorer). */
const TYPE = { standard: 0, wheel: 3, fiveButtons: 4 } as const;
/** Sequences of sample rates with which a driver enables a mouse's extensions. */
const TO_WHEEL = [200, 100, 80] as const;
const TO_FIVE_BUTTONS = [200, 200, 80] as const;

const DEFAULT_RATE = 100;
/** In powers of two per mm. */
const DEFAULT_RESOLUTION = 2;
const COUNTS_MAX = 255;
/** Room for 16 packets. */
const INPUT_MAX = 64;

/** A PS/2 mouse. It sends a packet once the guest has taken the previous one, and for each change of a button. */
export class Ps2Mouse implements PointerControl {
  readonly absolute = false;
  readonly #output: Ps2Output;
  #pending = 0;
  #type: number = TYPE.standard;
  /** The last sample rates, the latest at the end. */
  #rates: number[] = [0, 0, DEFAULT_RATE];
  #resolution = DEFAULT_RESOLUTION;
  #scaling = false;
  #remote = false;
  #wrap = false;
  #enabled = false;
  #buttons = 0;
  /** Buttons that were held in a loaded state, whose user is not here: they are released once the guest has room. */
  #abandoned = 0;
  /** Motion that has not been reported yet. */
  #dx = 0;
  #dy = 0;
  #dz = 0;

  /** @param sent there is a byte to take */
  constructor(sent: () => void) {
    this.#output = new Ps2Output(INPUT_MAX, sent);
  }

  get active(): boolean {
    return this.#enabled;
  }

  get isEmpty(): boolean {
    return this.#output.isEmpty;
  }

  take(): number | undefined {
    const byte = this.#output.take();
    if (!this.#output.hasInput) this.#stream();
    this.#releaseAbandoned();
    return byte;
  }

  reset(): void {
    this.#output.reset();
    this.#pending = 0;
    this.#type = TYPE.standard;
    this.#wrap = false;
    this.#setDefaults();
  }

  resume(): void {
    this.#releaseAbandoned();
  }

  point(event: Exclude<InputEvent, { kind: 'key' }>): boolean {
    switch (event.kind) {
      case 'motion':
        this.#dx = bounded(this.#dx + event.dx);
        this.#dy = bounded(this.#dy + event.dy);
        break;
      case 'wheel':
        this.#dz = bounded(this.#dz + event.dy);
        break;
      case 'button':
        return this.#press(BUTTON_BITS.get(event.code) ?? 0, event.down);
      case 'position':
        return true;
    }
    if (!this.#output.hasInput) this.#stream();
    return true;
  }

  #press(bit: number, down: boolean): boolean {
    const buttons = down ? this.#buttons | bit : this.#buttons & ~bit;
    if (buttons === this.#buttons) return true;
    // One packet for the button, and one for the motion before it.
    if (this.#streams && this.#output.room < 2 * this.#packetSize) return false;
    this.#stream();
    this.#buttons = buttons;
    this.#abandoned &= ~bit;
    if (this.#streams) this.#output.input(this.#packet());
    return true;
  }

  #releaseAbandoned(): void {
    if (this.#abandoned !== 0) this.#press(this.#abandoned, false);
  }

  get #streams(): boolean {
    return this.#enabled && !this.#remote && !this.#wrap;
  }

  /** Reports motion since the last packet. */
  #stream(): void {
    if (!this.#streams || (this.#dx === 0 && this.#dy === 0 && this.#dz === 0)) return;
    if (this.#output.room >= this.#packetSize) this.#output.input(this.#packet());
  }

  get #packetSize(): number {
    return this.#type === TYPE.standard ? 3 : 4;
  }

  #packet(): number[] {
    const [x, y] = [clamp(this.#dx, COUNTS_MAX), clamp(-this.#dy, COUNTS_MAX)];
    const z = clamp(this.#dz, this.#type === TYPE.fiveButtons ? 7 : 127);
    this.#dx -= x;
    this.#dy += y;
    this.#dz = this.#type === TYPE.standard ? 0 : this.#dz - z;
    const first =
      PACKET.alwaysSet |
      (this.#buttons & FIRST_BUTTONS) |
      (x < 0 ? PACKET.xSign : 0) |
      (y < 0 ? PACKET.ySign : 0);
    const packet = [first, x & 0xff, y & 0xff];
    if (this.#type === TYPE.wheel) packet.push(z & 0xff);
    if (this.#type === TYPE.fiveButtons) packet.push((z & 0x0f) | (this.#buttons & MORE_BUTTONS));
    return packet;
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    const command = this.#pending;
    this.#pending = 0;
    if (this.#wrap && byte !== COMMAND.resetWrapMode && byte !== COMMAND.reset) this.#output.reply(byte);
    else if (command !== 0) this.#parameter(command, byte);
    else this.#command(byte);
  }

  #command(byte: number): void {
    const output = this.#output;
    switch (byte) {
      case COMMAND.resetScaling:
      case COMMAND.setScaling:
        this.#scaling = byte === COMMAND.setScaling;
        output.reply(REPLY.ack);
        break;
      case COMMAND.setResolution:
      case COMMAND.setSampleRate:
        this.#pending = byte;
        output.reply(REPLY.ack);
        break;
      case COMMAND.statusRequest:
        output.reply(REPLY.ack, this.#status, this.#resolution, this.#rates[2]!);
        break;
      case COMMAND.setStreamMode:
      case COMMAND.setRemoteMode:
        this.#remote = byte === COMMAND.setRemoteMode;
        output.dropInput();
        this.#forgetMotion();
        output.reply(REPLY.ack);
        break;
      case COMMAND.readData:
        output.dropInput();
        output.reply(REPLY.ack, ...this.#packet());
        break;
      case COMMAND.resetWrapMode:
      case COMMAND.setWrapMode:
        this.#wrap = byte === COMMAND.setWrapMode;
        output.dropInput();
        output.reply(REPLY.ack);
        break;
      case COMMAND.readDeviceType:
        output.reply(REPLY.ack, this.#type);
        break;
      case COMMAND.enable:
      case COMMAND.disable:
        this.#enabled = byte === COMMAND.enable;
        output.dropInput();
        this.#forgetMotion();
        output.reply(REPLY.ack);
        break;
      case COMMAND.setDefaults:
        output.dropInput();
        this.#setDefaults();
        output.reply(REPLY.ack);
        break;
      case COMMAND.resend:
        output.resend();
        break;
      case COMMAND.reset:
        this.reset();
        output.reply(REPLY.ack, REPLY.selfTestPassed, TYPE.standard);
        break;
      default:
        output.reply(REPLY.resend);
        break;
    }
  }

  #parameter(command: number, value: number): void {
    if (command === COMMAND.setResolution) {
      if (value > 3) {
        this.#output.reply(REPLY.resend);
        return;
      }
      this.#resolution = value;
    } else {
      this.#rates = [this.#rates[1]!, this.#rates[2]!, value];
      const asks = (rates: readonly number[]) => rates.every((rate, index) => rate === this.#rates[index]);
      if (asks(TO_WHEEL) && this.#type === TYPE.standard) this.#type = TYPE.wheel;
      if (asks(TO_FIVE_BUTTONS) && this.#type !== TYPE.standard) this.#type = TYPE.fiveButtons;
    }
    this.#output.reply(REPLY.ack);
  }

  get #status(): number {
    const on = (code: number) => (this.#buttons & BUTTON_BITS.get(code)!) !== 0;
    return (
      (on(BUTTON.left) ? STATUS_BUTTON.left : 0) |
      (on(BUTTON.middle) ? STATUS_BUTTON.middle : 0) |
      (on(BUTTON.right) ? STATUS_BUTTON.right : 0) |
      (this.#scaling ? STATUS.scaling : 0) |
      (this.#enabled ? STATUS.enabled : 0) |
      (this.#remote ? STATUS.remote : 0)
    );
  }

  #setDefaults(): void {
    this.#rates = [0, 0, DEFAULT_RATE];
    this.#resolution = DEFAULT_RESOLUTION;
    this.#scaling = false;
    this.#remote = false;
    this.#enabled = false;
    this.#buttons = 0;
    this.#abandoned = 0;
    this.#forgetMotion();
  }

  #forgetMotion(): void {
    this.#dx = 0;
    this.#dy = 0;
    this.#dz = 0;
  }

  save(): DeviceState {
    return {
      output: this.#output.save(),
      pending: this.#pending,
      type: this.#type,
      rates: [...this.#rates],
      resolution: this.#resolution,
      scaling: this.#scaling,
      remote: this.#remote,
      wrap: this.#wrap,
      enabled: this.#enabled,
      buttons: this.#buttons,
      motion: [this.#dx, this.#dy, this.#dz],
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const type = numberOf(state, 'type', TYPE.fiveButtons);
    if (!(Object.values(TYPE) as number[]).includes(type)) throw new DeviceStateError('type', 'mouse type');
    const pending = numberOf(state, 'pending', 0xff);
    if (pending !== 0 && pending !== COMMAND.setResolution && pending !== COMMAND.setSampleRate)
      throw new DeviceStateError('pending', 'command with a parameter');
    const rates = threeOf(state, 'rates', 0, 0xff);
    const [dx, dy, dz] = threeOf(state, 'motion', -MOTION_MAX, MOTION_MAX);
    this.#output.load(stateOf(state, 'output'));
    this.#pending = pending;
    this.#type = type;
    this.#rates = rates;
    this.#resolution = numberOf(state, 'resolution', 3);
    this.#scaling = booleanOf(state, 'scaling');
    this.#remote = booleanOf(state, 'remote');
    this.#wrap = booleanOf(state, 'wrap');
    this.#enabled = booleanOf(state, 'enabled');
    this.#buttons = numberOf(state, 'buttons', 0xff) & ALL_BUTTONS;
    this.#abandoned = this.#buttons;
    this.#dx = dx!;
    this.#dy = dy!;
    this.#dz = dz!;
  }
}

const clamp = (value: number, max: number) => Math.max(-max, Math.min(max, value));
/** Avoids minus zero. */
const bounded = (value: number) => clamp(Math.trunc(value), MOTION_MAX) || 0;

function threeOf(state: DeviceState, key: string, min: number, max: number): number[] {
  // Copied: a list may have holes, which `every` would skip.
  const list: readonly unknown[] = Array.isArray(state[key]) ? [...state[key]] : [];
  const fits = (each: unknown): each is number =>
    typeof each === 'number' && Number.isInteger(each) && each >= min && each <= max;
  if (list.length === 3 && list.every(fits)) return [...list];
  throw new DeviceStateError(key, 'list of three numbers');
}
