import type { CharBackend, TerminalSize } from '../../devices/backends/char.ts';
import type { SerialConsole } from './serial-console.ts';

/** A console of a machine: its port number in messages, and the name of the port. */
export type ConsoleLabel = {
  readonly port: number;
  readonly name: string;
  /** The manager's own, to a program in the guest: not shown on screens. */
  readonly agent?: true;
};

/** Most consoles of one machine. */
export const MAX_CONSOLES = 16;

type Port = ConsoleLabel & { readonly console: SerialConsole };

/**
 * The character ports of a machine that are consoles, numbered in the order in which its devices open them: COM1 is 0.
 */
export class ConsolePorts {
  readonly #create: (port: number) => SerialConsole;
  readonly #wholly: (port: number, console: SerialConsole) => CharBackend;
  readonly #ports: Port[] = [];

  /**
   * @param create makes the console of a port
   * @param wholly wraps one whose output the manager reads completely, for the device
   */
  constructor(
    create: (port: number) => SerialConsole,
    wholly: (port: number, console: SerialConsole) => CharBackend = (_, console) => console,
  ) {
    this.#create = create;
    this.#wholly = wholly;
  }

  /**
   * The console of the port with this name, which several devices may share.
   * @throws an error for the user if there are too many
   */
  open(name: string, isAgent = false): CharBackend {
    let port = this.#ports.find(port => port.name === name);
    if (port === undefined) {
      // COM1 is always 0: the manager's own ports are numbered from the end.
      const agents = this.#ports.filter(({ agent }) => agent).length;
      const number = isAgent ? MAX_CONSOLES - 1 - agents : this.#ports.length - agents;
      if (this.#ports.length === MAX_CONSOLES)
        throw new Error(`a VM has at most ${MAX_CONSOLES} consoles: connect ${name} to null instead`);
      port = { port: number, name, ...(isAgent && { agent: true }), console: this.#create(number) };
      this.#ports.push(port);
    }
    return isAgent ? this.#wholly(port.port, port.console) : port.console;
  }

  get labels(): ConsoleLabel[] {
    return this.#ports.map(({ console: _, ...label }) => label);
  }

  /** Passes on input. Bytes for a port that the machine does not have are dropped. */
  typed(port: number, bytes: Uint8Array): void {
    this.#ports.find(each => each.port === port)?.console.onInput?.(bytes);
  }

  /** Passes on the size of the terminal at a port. */
  resize(port: number, size: TerminalSize): void {
    this.#ports.find(each => each.port === port)?.console.resize(size);
  }

  /** Sends what the ports hold, and reports what the guest has read, before another process continues with them. */
  settle(): void {
    for (const { console } of this.#ports) console.settle();
  }

  /** Sends what the ports have printed and still hold. */
  flush(): void {
    for (const { console } of this.#ports) console.flush();
  }
}
