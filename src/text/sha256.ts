/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4 §4.2.2). */
const ROUND_CONSTANTS: number[] = [];
/** The same of the square roots of the first 8 primes (§5.3.3). */
const INITIAL: number[] = [];
for (let candidate = 2; ROUND_CONSTANTS.length < 64; candidate++) {
  if (!isPrime(candidate)) continue;
  if (INITIAL.length < 8) INITIAL.push(fraction(Math.sqrt(candidate)));
  ROUND_CONSTANTS.push(fraction(Math.cbrt(candidate)));
}

const BLOCK = 64;
/** A byte with the first bit set, and the length of the message in bits. */
const LEAST_PADDING = 9;

/**
 * The SHA-256 of a text in UTF-8 (FIPS 180-4), for starts of VMs, which hash a name or two: loading Node's crypto takes
 * milliseconds.
 */
export function sha256(text: string): Buffer {
  const message = Buffer.from(text);
  const blocks = Buffer.alloc(Math.ceil((message.length + LEAST_PADDING) / BLOCK) * BLOCK);
  message.copy(blocks);
  blocks[message.length] = 0x80;
  blocks.writeBigUInt64BE(BigInt(message.length) * 8n, blocks.length - 8);
  let hash = INITIAL;
  for (let at = 0; at < blocks.length; at += BLOCK) hash = addBlock(hash, blocks.subarray(at, at + BLOCK));
  const digest = Buffer.alloc(hash.length * 4);
  for (const [index, word] of hash.entries()) digest.writeInt32BE(word, index * 4);
  return digest;
}

/** §6.2.2 */
function addBlock(hash: readonly number[], block: Buffer): number[] {
  const schedule = Array.from({ length: 16 }, (_, index) => block.readInt32BE(index * 4));
  for (let at = 16; at < 64; at++) {
    const early = schedule[at - 15]!;
    const late = schedule[at - 2]!;
    const s0 = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const s1 = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    schedule.push((schedule[at - 16]! + s0 + schedule[at - 7]! + s1) | 0);
  }
  let [a, b, c, d, e, f, g, h] = hash as [number, number, number, number, number, number, number, number];
  for (const [round, word] of schedule.entries()) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const choice = (e & f) ^ (~e & g);
    const first = (h + s1 + choice + ROUND_CONSTANTS[round]! + word) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + s0 + majority) | 0];
  }
  return [a, b, c, d, e, f, g, h].map((word, index) => (word + hash[index]!) | 0);
}

function rotated(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

function fraction(value: number): number {
  return ((value % 1) * 2 ** 32) | 0;
}

function isPrime(candidate: number): boolean {
  for (let divisor = 2; divisor * divisor <= candidate; divisor++)
    if (candidate % divisor === 0) return false;
  return true;
}
