/**
 * Names the words that count how long accesses take: those of the last one's range and address. An exit has one access,
 * or several related ones, and its time is known once its vCPU continues: the native library adds it then, and clears
 * these slots (`WaitPage`).
 */
export class AccessTimes {
  readonly #slots: Uint32Array;

  /** @param slots the index of the range's word and of the address's word, 0 for none */
  constructor(slots: Uint32Array) {
    this.#slots = slots;
  }

  /**
   * An access is being answered.
   * @param range @param address the words that count the nanoseconds of its range, and of its address
   */
  accessed(range: number, address: number): void {
    this.#slots[0] = range;
    this.#slots[1] = address;
  }

  /** Forgets the words: they may be reassigned from now on. */
  forget(): void {
    this.#slots.fill(0);
  }
}
