import { sha256 as digest } from '@noble/hashes/sha2.js';

/** The SHA-256 of a text in UTF-8, for starts of VMs, which hash a name or two: loading Node's crypto takes milliseconds. */
export function sha256(text: string): Buffer {
  return Buffer.from(digest(Buffer.from(text)));
}
