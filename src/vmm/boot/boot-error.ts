/** Why a kernel can't be booted: one sentence for the user, naming the file. */
export class BootError extends Error {
  override readonly name = 'BootError';
}
