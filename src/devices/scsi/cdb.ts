/** Numbers in command descriptor blocks, which are big-endian (SPC-4 §4.3). */

export function be16At(packet: Uint8Array, at: number): number {
  return (packet[at]! << 8) | packet[at + 1]!;
}

export function be32At(packet: Uint8Array, at: number): number {
  return be16At(packet, at) * 2 ** 16 + be16At(packet, at + 2);
}
