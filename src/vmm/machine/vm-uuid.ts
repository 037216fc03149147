import { sha256 } from '../../text/sha256.ts';

/** A UUID of version 8 (RFC 9562 §5.8), always the same for a VM of this name. */
export function uuidOf(name: string): string {
  const bytes = sha256(`vring ${name}`).subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
