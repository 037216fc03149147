/** Several problems at once: one sentence where only a line fits, else a list. */
export class ListedError extends Error {
  override readonly name = 'ListedError';
  /** `web cannot get its host devices` */
  readonly heading: string;
  readonly problems: readonly string[];

  constructor(heading: string, problems: readonly string[]) {
    super(`${heading}: ${problems.join('; ')}`);
    this.heading = heading;
    this.problems = problems;
  }
}

/** An error as text, with as many lines as needed. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof ListedError) || error.problems.length < 2) return error.message;
  return [`${error.heading}:`, ...error.problems.map(problem => `  - ${problem}`)].join('\n');
}
