import type { CharBackend, TerminalSize } from '../../backends/char.ts';
import type { Device, DeviceState } from '../../device.ts';
import { ByteQueue } from '../../legacy/byte-queue.ts';
import { booleanOf, bytesOf, numberOf } from '../../state.ts';
import type { ModelQueue } from '../model-queue.ts';
import type { Chain } from '../ring/chain.ts';
import { EVENT, encodeMessage, encodeSize } from './control.ts';

/** The most input that is kept for a guest that does not read; more is dropped. */
const INPUT_MAX = 2 ** 20;
/** The bytes that a port moves in one batch, and in one copy. */
const WORK_BYTES = 2 ** 20;
const PIECE = 2 ** 16;

/** The device as seen by its port. */
export interface PortOwner {
  /** Sends a message to the driver, once it accepts messages and knows the port. */
  send(message: Uint8Array): void;
  /** The terminal at port `number` has another size. */
  resized(number: number): void;
}

export type SerialPortOptions = {
  readonly name: string;
  /** Whether it is a console, which Linux calls hvc0 and so on. */
  readonly isConsole: boolean;
  /** The name by which the guest finds it: `org.qemu.guest_agent.0`; empty for none. */
  readonly portName: string;
  readonly backend: CharBackend;
};

/** A port of a virtio-serial device (virtio 1.3 §5.3). */
export class SerialPort implements Device {
  readonly name: string;
  readonly isConsole: boolean;
  readonly #portName: string;
  readonly #backend: CharBackend;
  readonly #input = new ByteQueue(INPUT_MAX);
  #owner: PortOwner | null = null;
  #number = 0;
  /** The guest has opened it. */
  #guestOpen = false;
  /** The driver knows it, and accepts its messages. */
  #ready = false;
  /** The state of the other end as last reported to the driver. */
  #reportedOpen = false;
  #receive: ModelQueue | null = null;
  #transmit: ModelQueue | null = null;
  /** Output that is being written, and the bytes written so far. */
  #chain: Chain | null = null;
  #written = 0;

  constructor({ name, isConsole, portName, backend }: SerialPortOptions) {
    this.name = name;
    this.isConsole = isConsole;
    this.#portName = portName;
    this.#backend = backend;
    backend.onInput = bytes => this.#type(bytes);
    backend.onRoom = () => this.#transmit?.work();
    backend.onConnected = () => this.#sendOpen();
    backend.onResized = size => {
      this.#sendSize(size);
      this.#owner?.resized(this.#number);
    };
  }

  /** From now on it is port `number` of a device. */
  connect(owner: PortOwner, number: number): void {
    this.#owner = owner;
    this.#number = number;
  }

  get guestOpen(): boolean {
    return this.#guestOpen;
  }

  /** The terminal's size; null if unknown. */
  get size(): TerminalSize | null {
    return this.#backend.size ?? null;
  }

  /** The driver has detected the port, or failed to. */
  driverReady(ready: boolean): void {
    this.#ready = ready;
    this.#reportedOpen = false;
    if (!ready) return;
    if (this.isConsole) this.#send(EVENT.consolePort, 1);
    if (this.#portName !== '') this.#send(EVENT.portName, 1, new TextEncoder().encode(this.#portName));
    if (this.size !== null) this.#sendSize(this.size);
    this.#sendOpen();
  }

  /** The guest has opened or closed it. */
  opened(open: boolean): void {
    this.#guestOpen = open;
    if (open) this.#receive?.work();
  }

  /** Serves the queue from which the guest receives; null when it has stopped. */
  serveReceive(queue: ModelQueue | null): void {
    this.#receive = queue;
  }

  /** The same for the queue with which it sends. */
  serveTransmit(queue: ModelQueue | null): void {
    this.#transmit = queue;
    this.#chain = null;
  }

  /** Delivers typed input to the guest, as far as it has buffers. */
  deliver(queue: ModelQueue): void {
    let taken = 0;
    while (this.#guestOpen && this.#input.length > 0 && taken < WORK_BYTES) {
      const chain = queue.take();
      if (chain === null) break;
      const bytes = this.#input.take(Math.min(chain.writableBytes, PIECE));
      queue.giveBack(chain, queue.write(chain, 0, bytes));
      taken += bytes.length;
    }
    if (taken >= WORK_BYTES) queue.workSoon();
    if (taken > 0) this.#backend.inputTaken?.(taken, this.#input.length);
  }

  /** Writes the guest's output, as far as the other end accepts it: the rest stays in its ring. */
  drain(queue: ModelQueue): void {
    for (let left = WORK_BYTES; left > 0; ) {
      if (this.#chain === null) {
        this.#chain = queue.take();
        if (this.#chain === null) return;
      }
      const chain = this.#chain;
      const room = Math.min(this.#backend.room ?? PIECE, PIECE);
      if (this.#written < chain.readableBytes) {
        if (room <= 0) return;
        const bytes = queue.read(chain, this.#written, room);
        // The queue has ended.
        if (bytes.length === 0) return;
        this.#backend.write(bytes);
        this.#written += bytes.length;
        left -= bytes.length;
      }
      if (this.#written < chain.readableBytes) continue;
      queue.giveBack(chain, 0);
      this.#chain = null;
      this.#written = 0;
    }
    queue.workSoon();
  }

  /** Output without a queue, from a driver in an emergency (§5.3.4, `emerg_wr`). */
  writeByte(byte: number): void {
    this.#backend.write(Uint8Array.of(byte));
  }

  /** The driver is gone. Input that it has not received yet stays. */
  reset(): void {
    this.#guestOpen = false;
    this.#ready = false;
    this.#reportedOpen = false;
    this.#chain = null;
    this.#written = 0;
  }

  /** The other end may differ from when the state was saved. */
  resume(): void {
    this.#sendOpen();
  }

  save(): DeviceState {
    return {
      guestOpen: this.#guestOpen,
      ready: this.#ready,
      toldOpen: this.#reportedOpen,
      written: this.#written,
      input: this.#input.toBytes(),
    };
  }

  load(state: DeviceState): void {
    const [guestOpen, ready, reportedOpen] = [
      booleanOf(state, 'guestOpen'),
      booleanOf(state, 'ready'),
      booleanOf(state, 'toldOpen'),
    ];
    const written = numberOf(state, 'written', 2 ** 32);
    this.#input.replace(bytesOf(state, 'input'));
    this.#guestOpen = guestOpen;
    this.#ready = ready;
    this.#reportedOpen = reportedOpen;
    this.#chain = null;
    this.#written = written;
  }

  close(): void {
    this.#backend.close?.();
  }

  #type(bytes: Uint8Array): void {
    const before = this.#input.length;
    this.#input.push(bytes);
    const dropped = before + bytes.length - this.#input.length;
    if (dropped > 0) this.#backend.inputTaken?.(dropped, this.#input.length);
    this.#receive?.work();
  }

  #sendOpen(): void {
    const open = this.#backend.connected ?? true;
    if (!this.#ready || open === this.#reportedOpen) return;
    this.#reportedOpen = open;
    this.#send(EVENT.portOpen, Number(open));
  }

  #sendSize(size: TerminalSize): void {
    if (this.#ready && this.isConsole) this.#send(EVENT.resize, 0, encodeSize(size));
  }

  #send(event: number, value: number, rest?: Uint8Array): void {
    this.#owner?.send(encodeMessage({ id: this.#number, event, value }, rest));
  }
}
