/** A disk can't be used; the message tells the user why and what to do. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
}
