const FIRST_AFTER_MS = 1000;
const ERASE_LINE = '\r\x1b[K';

/** A progress line on stderr for operations that take longer than a second; on a terminal only. */
export class Progress {
  readonly #text: () => string;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #shown = false;

  constructor(text: () => string, stream: NodeJS.WriteStream = process.stderr) {
    this.#text = text;
    if (stream.isTTY) this.#timer = setInterval(() => this.#show(stream), FIRST_AFTER_MS);
    this.clear = () => {
      if (this.#shown) stream.write(ERASE_LINE);
      this.#shown = false;
    };
  }

  /** Erases the line, so that other output can be printed. */
  readonly clear: () => void;

  end(): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #show(stream: NodeJS.WriteStream): void {
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
    const line = `${this.#text()} (${seconds} s)`;
    stream.write(ERASE_LINE + line.slice(0, Math.max(1, (stream.columns || 80) - 1)));
    this.#shown = true;
  }
}
