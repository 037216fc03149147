import type { Zod } from '../zod.ts';
import type { BackendType } from './backend-type.ts';

/** The kinds of TPM that the host offers a guest. */
export const tpmBackends = [
  {
    kind: 'tpm',
    type: 'emulator',
    title: 'TPM of the VM',
    description: 'a TPM 2.0 by swtpm, which vring starts and whose state is kept with the VM',
  },
  {
    kind: 'tpm',
    type: 'socket',
    title: 'swtpm that runs',
    description: 'a TPM 2.0 by a swtpm that is already running, through its control socket',
  },
] as const satisfies readonly BackendType[];

/** A TPM as its user describes it. */
export type TpmOptions =
  | {
      readonly type: 'emulator';
      /** The folder with its state; if absent, the state is lost when the machine ends. */
      readonly state?: string | undefined;
    }
  | { readonly type: 'socket'; readonly path: string };

/** A TPM for one device. */
export type TpmRequest = { readonly options: TpmOptions; readonly device: string };

/**
 * A TPM's state: what it keeps without power, and its volatile state. Opaque, and empty for a TPM that has never been
 * on.
 */
export type TpmState = {
  readonly permanent: Uint8Array;
  readonly volatile: Uint8Array;
  readonly saved: Uint8Array;
};

export const NO_TPM_STATE: TpmState = {
  permanent: new Uint8Array(),
  volatile: new Uint8Array(),
  saved: new Uint8Array(),
};

/** The host's end of a TPM. Requests are carried out in order, asynchronously. The first command turns it on. */
export interface TpmBackend {
  readonly label: string;
  /** Carries out a command, one at a time. If the TPM is gone, the response is a failure. */
  execute(locality: number, command: Uint8Array, done: (response: Uint8Array) => void): void;
  /** Asks for the command to end early, if the TPM supports that. */
  cancel(): void;
  /** Turns it off: the next command finds it in its power-on state. */
  powerOff(): void;
  /** Null if the TPM is gone. */
  readState(done: (state: TpmState | null) => void): void;
  /** Takes effect with the next command. */
  writeState(state: TpmState): void;
  close(): void;
}

/** The options of a device with a TPM. */
export function tpmFields(z: Zod) {
  const path = z.string().min(1).startsWith('/', 'an absolute path');
  return {
    tpm: z
      .discriminatedUnion('type', [
        z.strictObject({ type: z.literal('emulator'), state: path.optional() }),
        z.strictObject({ type: z.literal('socket'), path }),
      ])
      .default({ type: 'emulator' })
      .describe(
        'what it is on the host: {type: emulator}, which vring starts, or {type: socket, path: FILE}, the control socket of a swtpm',
      ),
  };
}
