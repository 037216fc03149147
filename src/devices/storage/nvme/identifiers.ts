import { sha256 } from '../../../text/sha256.ts';

/** The UUID of a name, which is always the same (RFC 9562 §5.8, version 8). */
export function nameBasedUuid(name: string): { readonly bytes: Uint8Array; readonly text: string } {
  const bytes = Uint8Array.from(sha256(`vring nvme ${name}`).subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  const text = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { bytes, text };
}
