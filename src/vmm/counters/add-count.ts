const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

/**
 * Adds a number from 0 to 2^53, cut to whole, to a word of 64 bits. It goes by way of two halves because BigInt(number)
 * allocates, which costs several times as much as all else that an access is counted with.
 */
export function addCount(words: BigUint64Array, word: number, amount: number): void {
  halves[0] = amount;
  halves[1] = amount / 2 ** 32;
  words[word]! += whole[0]!;
}
