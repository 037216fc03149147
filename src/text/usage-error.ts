/** Wrong usage of the command line: exit status 2, while a failure is 1. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
