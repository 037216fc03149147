/** What a device may be connected to on the host: a disk, a network, a character stream, or a TPM. */
export const BACKEND_KINDS = ['disk', 'net', 'char', 'tpm'] as const;

export type BackendKind = (typeof BACKEND_KINDS)[number];

/** A row of a table of back ends. */
export type BackendType = {
  readonly kind: BackendKind;
  /** The name in configurations: `raw`. */
  readonly type: string;
  readonly title: string;
  /** One sentence, without its period. */
  readonly description: string;
};
