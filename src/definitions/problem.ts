/** What is wrong at one place of a definition. */
export type DefinitionProblem = {
  /** The file as the user named it, or a name for text that is not from a file. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  /** The path of the key: `disks[0].bus`; empty for the whole file. */
  readonly path: string;
  /** What was expected. */
  readonly message: string;
};

/** A definition that cannot be used; the message is one paragraph for the user. */
export class DefinitionError extends Error {
  override readonly name = 'DefinitionError';
  readonly problems: readonly DefinitionProblem[];

  constructor(problems: readonly DefinitionProblem[]) {
    super(problems.map(problemText).join('; '));
    this.problems = problems;
  }
}

/** `web.yaml:3:8: disks[0].bus: expected virtio, scsi or ide, not "sata"`. */
export function problemText({ file, line, column, path, message }: DefinitionProblem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}
