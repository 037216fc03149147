import type { InterruptLine } from '../device.ts';

/** A level-triggered wire shared by several functions: it is high while any of them asserts it. */
export class SharedWire {
  readonly #line: InterruptLine;
  #asserted = 0;

  constructor(line: InterruptLine) {
    this.#line = line;
  }

  /** One function's end of the wire. */
  source(): InterruptLine {
    let level = false;
    return {
      set: next => {
        if (next === level) return;
        level = next;
        this.#asserted += next ? 1 : -1;
        if (this.#asserted === (next ? 1 : 0)) this.#line.set(next);
      },
    };
  }
}
