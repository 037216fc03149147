import { printable } from '../../text/printable.ts';

/** One completion candidate. */
export type Candidate = { readonly value: string; readonly description: string };

/** Completions of the word at the cursor. Files are left to the shell, which has its user's settings. */
export type Answer =
  | { readonly kind: 'files' | 'directories' }
  | { readonly kind: 'words'; readonly candidates: readonly Candidate[] };

/** The answer in the format of the shell scripts: its kind, then one candidate per line, with its description after a tab. */
export function answerLines(answer: Answer): string[] {
  if (answer.kind !== 'words') return [answer.kind];
  return [
    'words',
    ...answer.candidates.map(({ value, description }) =>
      description ? `${printable(value)}\t${printable(description)}` : printable(value),
    ),
  ];
}
