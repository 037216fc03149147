const KEPT = 100;

/** The command lines that were carried out, to be recalled. */
export class CommandHistory {
  #lines: string[] = [];

  add(line: string): void {
    if (line.trim() === '') return;
    this.#lines = [...this.#lines.filter(other => other !== line), line].slice(-KEPT);
  }

  /** The line so many steps back, from 1; undefined when there are not so many. */
  recall(back: number): string | undefined {
    return back < 1 ? undefined : this.#lines.at(-back);
  }
}
