/** Repeatable pseudo-random numbers (xorshift32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 0x9e37_79b9 || 1;
  }

  u32(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  below(limit: number): number {
    return this.u32() % limit;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}
