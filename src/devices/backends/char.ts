import type { BackendType } from './backend-type.ts';

/** What the host's end of a character device may be. */
export const charBackends = [
  {
    kind: 'char',
    type: 'console',
    title: 'console',
    description: 'a console of the VM, for screens and commands to attach to',
  },
  {
    kind: 'char',
    type: 'null',
    title: 'nothing',
    description: 'output is dropped, and there is no input',
  },
  {
    kind: 'char',
    type: 'agent',
    title: 'guest agent',
    description: 'what vring asks the agent in the guest over: vring vm agent',
  },
  {
    kind: 'char',
    type: 'pty',
    title: 'pseudoterminal',
    description: 'a terminal of the host, whose name is shown among the facts of the device',
  },
  {
    kind: 'char',
    type: 'unix',
    title: 'Unix socket',
    description: 'a socket of the host that one client at a time connects to, or that is connected to',
  },
  {
    kind: 'char',
    type: 'tcp',
    title: 'TCP socket',
    description: "the same by TCP, on the host's own addresses only unless others are asked for",
  },
  {
    kind: 'char',
    type: 'file',
    title: 'file',
    description: 'output is added to a file, and there is no input',
  },
] as const satisfies readonly BackendType[];

export type CharType = (typeof charBackends)[number]['type'];

/** A character back end as its user describes it. */
export type CharOptions =
  | { readonly type: 'console' | 'null' | 'pty' | 'agent'; readonly logfile?: string | undefined }
  | {
      readonly type: 'unix';
      readonly path: string;
      /** Whether it listens; if not, it connects, once. */
      readonly server: boolean;
      /** For a listening socket: the permissions of the file, in octal. */
      readonly mode?: string | undefined;
      readonly logfile?: string | undefined;
    }
  | {
      readonly type: 'tcp';
      /** An address: 127.0.0.1. */
      readonly host: string;
      readonly port: number;
      readonly server: boolean;
      /** Anyone who can reach the host may connect: the address need not be a loopback one. */
      readonly anywhere: boolean;
      readonly logfile?: string | undefined;
    }
  | { readonly type: 'file'; readonly path: string; readonly append: boolean };

/** Whether it opens files of the host. */
export function needsFiles(options: CharOptions): boolean {
  const isOpenless = options.type === 'console' || options.type === 'null' || options.type === 'agent';
  return !isOpenless || ('logfile' in options && options.logfile !== undefined);
}

/** A back end for one device. */
export type CharRequest = {
  readonly options: CharOptions;
  /** The device's name; for a console, also that of its port. */
  readonly device: string;
};

/** A terminal's size, in characters. */
export type TerminalSize = { readonly columns: number; readonly rows: number };

/** The host's end of a character device: takes guest output and supplies user input. */
export interface CharBackend {
  /** For screens, if the options do not determine it: `/dev/pts/3`. */
  readonly label?: string;
  /** Drops what does not fit: a device that can wait checks `room` first. */
  write(bytes: Uint8Array): void;
  /** Bytes that it accepts now. Default: unlimited. */
  readonly room?: number;
  /** Called when there is room again, after a device has found too little. */
  onRoom?: (() => void) | null;
  /** Whether the other end is connected. Default: always. What is written while it is not is dropped. */
  readonly connected?: boolean;
  onConnected?: ((connected: boolean) => void) | null;
  /** The size of the terminal at the other end; null if unknown, or if there is none. */
  readonly size?: TerminalSize | null;
  onResized?: ((size: TerminalSize) => void) | null;
  /** The device's receiver; the backend calls it with typed bytes. */
  onInput: ((bytes: Uint8Array) => void) | null;
  /** `count` more typed bytes were read by the guest or dropped, and `waiting` are still queued. */
  inputTaken?(count: number, waiting: number): void;
  /** The device is gone. */
  close?(): void;
}
