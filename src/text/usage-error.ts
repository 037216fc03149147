/** Wrong use of the command line: exit status 2, where a failure has 1. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
