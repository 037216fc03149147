import { Socket } from 'node:net';
import {
  FRAME,
  type Frame,
  FrameReader,
  messageFrame,
  messageOf,
  portFrame,
  portOf,
} from '../../vmm/machine/frames.ts';
import type { FromMachine, ToMachine } from '../../vmm/machine/messages.ts';
import { sendNow } from '../../vmm/native/unix-socket.ts';
import { parseFromMachine } from './machine-messages.ts';

export type MachineListener = {
  message(message: FromMachine): void;
  printed(port: number, bytes: Uint8Array): void;
};

export type ConnectionOptions = {
  /** Called as soon as the first message is on its way. */
  readonly onSent?: () => void;
  /** The machine is in this process, on the thread of its manager: there is nobody to check it for. Default: false. */
  readonly isTrusted?: boolean;
};

/**
 * A manager's end of the connection to a machine. The guest may have compromised the machine: everything it sends is
 * checked, unless its manager is in the same process.
 */
export class MachineConnection {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #isTrusted: boolean;
  readonly #closed = Promise.withResolvers<string | null>();
  #listener: MachineListener | null = null;
  readonly #early: Frame[];
  #violation: string | null = null;

  /**
   * @param fd a connected socket; this object takes ownership
   * @param reader the reader that has read from it so far
   * @param early frames already read but not yet handled
   */
  constructor(
    fd: number,
    reader = new FrameReader(),
    early: readonly Frame[] = [],
    { isTrusted = false }: Pick<ConnectionOptions, 'isTrusted'> = {},
  ) {
    this.#reader = reader;
    this.#isTrusted = isTrusted;
    this.#early = [...early];
    this.#fd = fd;
    this.#socket = new Socket({ fd });
    this.#socket.on('data', chunk => this.#received(chunk));
    // A broken connection closes as well.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#closed.resolve(this.#violation));
  }

  /**
   * Sends a message with fds as the first one on a new socket.
   * @throws when the socket does not take it; the caller then keeps ownership
   */
  static open(
    fd: number,
    message: ToMachine,
    fds: readonly number[],
    { onSent = () => {}, isTrusted = false }: ConnectionOptions = {},
  ): MachineConnection {
    const frame = messageFrame(message);
    const sent = sendNow(fd, frame, fds);
    if (sent === null || sent === 0)
      throw new Error("the machine's process does not accept its configuration: try again");
    onSent();
    const connection = new MachineConnection(fd, new FrameReader(), [], { isTrusted });
    if (sent < frame.length) connection.#socket.write(frame.subarray(sent));
    return connection;
  }

  /** Resolves when nothing more will arrive: with the protocol error, if that is why. */
  get closed(): Promise<string | null> {
    return this.#closed.promise;
  }

  /** Bytes that the machine has not taken yet. */
  get waiting(): number {
    return this.#socket.writableLength;
  }

  /** Sets the listener; earlier messages are delivered now. */
  listen(listener: MachineListener): void {
    this.#listener = listener;
    for (const frame of this.#early.splice(0)) this.#deliver(frame);
  }

  send(message: ToMachine): void {
    if (this.#socket.writable) this.#socket.write(messageFrame(message));
  }

  /**
   * Sends a message with fds, which travel with its first byte. The caller may close them once this resolves.
   * @throws when the machine accepts no more
   */
  async sendWithFds(message: ToMachine, fds: readonly number[]): Promise<void> {
    const frame = messageFrame(message);
    for (let round = 0; this.#socket.writable; round++) {
      // Earlier writes go first, and nothing may come between them and the message.
      const sent = this.#socket.writableLength === 0 ? sendNow(this.#fd, frame, fds) : 0;
      if (sent === null) break;
      if (sent > 0) {
        if (sent < frame.length) this.#socket.write(frame.subarray(sent));
        return;
      }
      await new Promise(resolve => setTimeout(resolve, Math.min(round, 20)));
    }
    throw new Error('its machine accepts no more commands');
  }

  type(port: number, bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(portFrame(port, bytes));
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(chunk: Uint8Array): void {
    try {
      for (const frame of this.#reader.push(chunk)) this.#deliver(frame);
    } catch (error) {
      this.#violation = (error as Error).message;
      this.#socket.destroy();
    }
  }

  #deliver(frame: Frame): void {
    if (this.#listener === null) {
      this.#early.push(frame);
    } else if (frame.kind === FRAME.port) {
      const { port, bytes } = portOf(frame);
      this.#listener.printed(port, bytes);
    } else if (frame.kind === FRAME.message) {
      const message = messageOf(frame);
      this.#listener.message(this.#isTrusted ? (message as FromMachine) : parseFromMachine(message));
    }
  }
}
