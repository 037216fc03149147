/** What is wrong in several respects: a sentence where there is one line, a list where there are more. */
export class ListedError extends Error {
  override readonly name = 'ListedError';
  /** `web cannot have its devices of the host` */
  readonly heading: string;
  readonly problems: readonly string[];

  constructor(heading: string, problems: readonly string[]) {
    super(`${heading}: ${problems.join('; ')}`);
    this.heading = heading;
    this.problems = problems;
  }
}

/** An error in as many lines as it takes. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof ListedError) || error.problems.length < 2) return error.message;
  return [`${error.heading}:`, ...error.problems.map(problem => `  - ${problem}`)].join('\n');
}
