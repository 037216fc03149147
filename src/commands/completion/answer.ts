import { printable } from '../../text/printable.ts';

/** One thing that may stand at the cursor. */
export type Candidate = { readonly value: string; readonly description: string };

/** What completes the word at the cursor. Files are left to the shell, which knows its user's ways with them. */
export type Answer =
  | { readonly kind: 'files' | 'directories' }
  | { readonly kind: 'words'; readonly candidates: readonly Candidate[] };

/** The answer as the shells' scripts read it: its kind, then a candidate a line, its description after a tab. */
export function answerLines(answer: Answer): string[] {
  if (answer.kind !== 'words') return [answer.kind];
  return [
    'words',
    ...answer.candidates.map(({ value, description }) =>
      description ? `${printable(value)}\t${printable(description)}` : printable(value),
    ),
  ];
}
