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
] as const satisfies readonly BackendType[];

export type CharType = (typeof charBackends)[number]['type'];

export type CharOptions =
  /** `name`: of the port. Devices that name the same one share it: the last that reads gets its input. */
  { readonly type: 'console'; readonly name: string } | { readonly type: 'null' };

/** The host's end of a character device: takes guest output and supplies user input. */
export interface CharBackend {
  write(bytes: Uint8Array): void;
  /** The device's receiver; the backend calls it with typed bytes. */
  onInput: ((bytes: Uint8Array) => void) | null;
  /** `count` more typed bytes were read by the guest or dropped, and `waiting` are still queued. */
  inputTaken?(count: number, waiting: number): void;
}
