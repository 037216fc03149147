import type { TerminalSize } from '../../devices/backends/char.ts';
import type { ConsoleLink, ConsoleListener } from '../engine.ts';
import { COM1 } from '../vm-consoles.ts';
import type { ManagerLink } from './manager-link.ts';
import { MAX_TYPED_BYTES, type ManagerNotifications } from './protocol.ts';

/** RIS (ECMA-48): resets a terminal and clears its screen. */
const RESET_TERMINAL = Uint8Array.of(0x1b, 0x63);

/** A remote console, which the manager streams to this process; it outlives the connection. */
export class RemoteConsole implements ConsoleLink {
  readonly #number: number;
  readonly #id: string;
  readonly #port: number;
  readonly #listener: ConsoleListener;
  readonly #closed: () => void;
  #link: ManagerLink | null = null;
  #typing = false;
  #size: TerminalSize | null = null;
  #followed = false;
  /** The next output starts from a reset terminal. */
  #again = false;

  /** @param number this process's number for it */
  constructor(
    number: number,
    { id, port }: { readonly id: string; readonly port: number },
    listener: ConsoleListener,
    closed: () => void,
  ) {
    this.#number = number;
    this.#id = id;
    this.#port = port;
    this.#listener = listener;
    this.#closed = closed;
  }

  /** Attaches to the console over a new connection, and takes the keyboard again; null while disconnected. */
  follow(link: ManagerLink | null): void {
    this.#link = link;
    if (link === null) return;
    this.#again = this.#followed;
    this.#followed = true;
    // The VM may be gone, or another client may have the keyboard by now: the VM's state shows that.
    const port = this.#port === COM1 ? {} : { port: this.#port };
    link.request('console/open', { console: this.#number, id: this.#id, ...port }).catch(() => {});
    this.#sendSize();
    if (this.#typing) this.takeKeyboard().catch(() => {});
  }

  received({ bytes, replayed, again }: ManagerNotifications['console/printed']): void {
    if (again || this.#again) this.#listener.printed(RESET_TERMINAL, true);
    this.#again = false;
    this.#listener.printed(Buffer.from(bytes, 'base64'), replayed);
  }

  async takeKeyboard(take = false): Promise<void> {
    if (this.#link === null) throw new Error(`the console of ${this.#id} is out of reach`);
    this.#typing = false;
    await this.#link.request('console/takeKeyboard', { console: this.#number, take });
    this.#typing = true;
  }

  releaseKeyboard(): void {
    this.#typing = false;
    this.#link?.request('console/releaseKeyboard', { console: this.#number }).catch(() => {});
  }

  type(bytes: Uint8Array): void {
    this.#send('console/type', bytes);
  }

  async feed(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += MAX_TYPED_BYTES) {
      const chunk = Buffer.from(bytes.subarray(at, at + MAX_TYPED_BYTES)).toString('base64');
      await this.#link?.request('console/feed', { console: this.#number, bytes: chunk });
    }
  }

  answer(bytes: Uint8Array): void {
    this.#send('console/answer', bytes);
  }

  setSize(size: TerminalSize): void {
    this.#size = size;
    this.#sendSize();
  }

  close(): void {
    this.#link?.request('console/close', { console: this.#number }).catch(() => {});
    this.#link = null;
    this.#closed();
  }

  #sendSize(): void {
    if (this.#size !== null) this.#link?.notify('console/resize', { console: this.#number, ...this.#size });
  }

  #send(method: 'console/type' | 'console/answer', bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; at += MAX_TYPED_BYTES) {
      const chunk = Buffer.from(bytes.subarray(at, at + MAX_TYPED_BYTES));
      this.#link?.notify(method, { console: this.#number, bytes: chunk.toString('base64') });
    }
  }
}
