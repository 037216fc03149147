import type { TerminalSize } from '../devices/backends/char.ts';
import { MAX_CONSOLES } from '../vmm/machine/console-ports.ts';
import { Scrollback } from '../vmm/machine/scrollback.ts';
import { Consoles } from './consoles.ts';
import type { ConsoleLink, ConsoleListener, ConsoleWatcher } from './engine.ts';
import type { VmInfo } from './vm-info.ts';

/** How much of each console's output is kept. */
const SCROLLBACK_BYTES = 64 * 1024;
/** The first serial port. */
export const COM1 = 0;

/** The machine's side of its consoles. */
export type ConsoleMachine = {
  type(port: number, bytes: Uint8Array): void;
  /** Resolves when the guest has read enough of the typed bytes to accept more. */
  room(port: number): Promise<void>;
  /** The keyboard of a console changed hands, or was released. */
  keyboardChanged(): void;
  /** Passes a terminal's size to the guest. */
  resize(port: number, size: TerminalSize): void;
};

/** The keyboard holder of a VM's console, as `user@tty`; null if there is none. */
export function keyboardHolderOf({ keyboardHolder, keyboardHolders }: VmInfo, port: number): string | null {
  return port === COM1 ? keyboardHolder : (keyboardHolders?.[port] ?? null);
}

/** @throws when a VM has no such console, as far as is known */
export function checkConsole({ name, topology }: Pick<VmInfo, 'name' | 'topology'>, port: number): void {
  const consoles = topology?.consoles ?? [];
  if (port === COM1 || consoles.some(each => each.port === port)) return;
  const names = consoles.map(each => each.name).join(', ');
  throw new Error(
    `${name} has no console ${port}: ${names === '' ? 'it has not been built yet' : `its consoles are ${names}`}`,
  );
}

type Port = {
  readonly scrollback: Scrollback;
  readonly consoles: Consoles;
  /** Of the last keyboard holder's terminal; null if not known. */
  size: TerminalSize | null;
};

/** The consoles of one VM, by port. */
export class VmConsoles {
  readonly #machine: ConsoleMachine;
  readonly #ports = new Map<number, Port>();

  constructor(machine: ConsoleMachine) {
    this.#machine = machine;
  }

  /** The keyboard holder of the first console. */
  get keyboardHolder(): string | null {
    return this.#ports.get(COM1)?.consoles.keyboardHolder ?? null;
  }

  /** The keyboard holders of the others, by port. */
  get otherKeyboardHolders(): Record<number, string> {
    const holders: Record<number, string> = {};
    for (const [port, { consoles }] of this.#ports) {
      if (port !== COM1 && consoles.keyboardHolder !== null) holders[port] = consoles.keyboardHolder;
    }
    return holders;
  }

  /** Output to an impossible port is dropped: the guest may have compromised its machine. */
  printed(port: number, bytes: Uint8Array): void {
    if (port >= MAX_CONSOLES) return;
    const { scrollback, consoles } = this.#port(port);
    scrollback.append(bytes);
    consoles.printed(bytes);
  }

  /** The last bytes printed to a port, oldest first. */
  scrollback(port: number): Uint8Array {
    return this.#ports.get(port)?.scrollback.read() ?? new Uint8Array();
  }

  clearScrollback(): void {
    for (const { scrollback } of this.#ports.values()) scrollback.clear();
  }

  /** Called for a new machine, which does not know the terminals yet. */
  sendSizes(): void {
    for (const [number, { size }] of this.#ports) if (size !== null) this.#machine.resize(number, size);
  }

  open(port: number, listener: ConsoleListener, watcher: ConsoleWatcher): ConsoleLink {
    return this.#port(port).consoles.open(listener, watcher);
  }

  #port(number: number): Port {
    const known = this.#ports.get(number);
    if (known !== undefined) return known;
    const scrollback = new Scrollback(SCROLLBACK_BYTES);
    const consoles = new Consoles({
      scrollback: () => scrollback.read(),
      type: bytes => this.#machine.type(number, bytes),
      room: () => this.#machine.room(number),
      keyboardChanged: () => this.#machine.keyboardChanged(),
      resized: size => {
        port.size = size;
        this.#machine.resize(number, size);
      },
    });
    const port: Port = { scrollback, consoles, size: null };
    this.#ports.set(number, port);
    return port;
  }
}
