import type { Zod } from '../zod.ts';
import type { BackendType } from './backend-type.ts';

/** What a TPM of a guest may be on the host. */
export const tpmBackends = [
  {
    kind: 'tpm',
    type: 'emulator',
    title: 'TPM of the VM',
    description:
      'a TPM 2.0 of its own by the program swtpm, which vring starts, and whose state is kept with the VM',
  },
  {
    kind: 'tpm',
    type: 'socket',
    title: 'swtpm that runs',
    description: 'a TPM 2.0 by a program swtpm that somebody else has started, at its control socket',
  },
] as const satisfies readonly BackendType[];

/** A TPM as its user describes it. */
export type TpmOptions =
  | {
      readonly type: 'emulator';
      /** The folder with its state; absent: it ends with the machine. */
      readonly state?: string | undefined;
    }
  | { readonly type: 'socket'; readonly path: string };

/** A TPM for one device. */
export type TpmRequest = { readonly options: TpmOptions; readonly device: string };

/** What a TPM consists of: what it keeps when it has no power, and what it has beside that. Opaque, and empty for one that has not been on. */
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

/** The host's end of a TPM. What is asked of it is done in that order, and takes its time. It is turned on by the first command. */
export interface TpmBackend {
  readonly label: string;
  /** Carries out a command, one at a time. One that is gone answers that it has failed. */
  execute(locality: number, command: Uint8Array, done: (response: Uint8Array) => void): void;
  /** The command is to end early, if the TPM can do that. */
  cancel(): void;
  /** Turns it off: the next command finds it as at power-on. */
  powerOff(): void;
  /** Null: it is gone. */
  readState(done: (state: TpmState | null) => void): void;
  /** It has this state from the next command on. */
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
