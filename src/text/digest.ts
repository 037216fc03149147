/**
 * Loads Node's crypto on first use: it takes a machine thread a twentieth of its start, and most machines have nothing
 * to hash.
 */
const crypto = () => process.getBuiltinModule('node:crypto');

/** The SHA-256 of a text. */
export function sha256(text: string): Buffer {
  return crypto().createHash('sha256').update(text).digest();
}

/** Random bytes, in hexadecimal. */
export function randomHex(bytes: number): string {
  return crypto().randomBytes(bytes).toString('hex');
}
