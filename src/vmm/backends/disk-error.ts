/** A disk cannot be used; the message gives the reason and the next step. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
}
