const KEPT = 100;

/** Earlier command lines. */
export class CommandHistory {
  #lines: string[] = [];

  add(line: string): void {
    if (line.trim() === '') return;
    this.#lines = [...this.#lines.filter(other => other !== line), line].slice(-KEPT);
  }

  /** The line this many steps back, from 1; undefined if there are not so many. */
  recall(back: number): string | undefined {
    return back < 1 ? undefined : this.#lines.at(-back);
  }
}
