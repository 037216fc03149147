/** Random bytes, in hexadecimal. Node's crypto is loaded on first use: most machines need none. */
export function randomHex(bytes: number): string {
  return process.getBuiltinModule('node:crypto').randomBytes(bytes).toString('hex');
}
