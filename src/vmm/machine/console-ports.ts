import type { CharBackend } from '../../devices/backends/char.ts';
import type { SerialConsole } from './serial-console.ts';

/** A console of a machine: its port number in messages, and the name of the port. */
export type ConsoleLabel = {
  readonly port: number;
  readonly name: string;
  /** The manager's own, to a program in the guest: no screen shows it. */
  readonly agent?: true;
};

/** Consoles of one machine. */
export const MAX_CONSOLES = 16;

type Port = ConsoleLabel & { readonly console: SerialConsole };

/** The character ports of a machine that are consoles, numbered in the order in which its devices open them: COM1 is 0. */
export class ConsolePorts {
  readonly #create: (port: number) => SerialConsole;
  readonly #ports: Port[] = [];

  /** @param create makes the console of a port */
  constructor(create: (port: number) => SerialConsole) {
    this.#create = create;
  }

  /** The console of the port with this name, which several devices may share. @throws an error for the user when there are too many */
  open(name: string, isAgent = false): CharBackend {
    let port = this.#ports.find(port => port.name === name);
    if (port === undefined) {
      const number = this.#ports.length;
      if (number === MAX_CONSOLES)
        throw new Error(`a VM has at most ${MAX_CONSOLES} consoles: connect ${name} to null instead`);
      port = { port: number, name, ...(isAgent && { agent: true }), console: this.#create(number) };
      this.#ports.push(port);
    }
    return port.console;
  }

  get labels(): ConsoleLabel[] {
    return this.#ports.map(({ console: _, ...label }) => label);
  }

  /** Somebody has typed. Bytes for a port that the machine does not have are dropped. */
  typed(port: number, bytes: Uint8Array): void {
    this.#ports[port]?.console.onInput?.(bytes);
  }

  /** Sends what the ports hold, and says what the guest has read: another process goes on with them. */
  settle(): void {
    for (const { console } of this.#ports) console.settle();
  }

  /** Sends what the ports have printed and still hold. */
  flush(): void {
    for (const { console } of this.#ports) console.flush();
  }
}
