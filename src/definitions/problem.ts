/** What is wrong at one place of a definition. */
export type DefinitionProblem = {
  /** The file as it was named, or what the text is called when it is of no file. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** The way to the key: `disks[0].bus`; empty for the file as a whole. */
  readonly path: string;
  /** What was expected. */
  readonly message: string;
};

/** A definition that can't be used; the message is one paragraph for the user. */
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
