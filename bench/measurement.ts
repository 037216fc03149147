/** One row of the report. */
export type Measurement = {
  readonly what: string;
  readonly unit: string;
  /** Medians by contestant; vring first. */
  readonly values: Readonly<Record<string, number>>;
  /** The target for vring. */
  readonly target?: Target;
};

export type Target = {
  /** In words: "at most 0.25 x QEMU". */
  readonly text: string;
  /** The measured number: a ratio or a value. */
  readonly reached: number;
  readonly met: boolean;
};

export function atMost(limit: number, of: string, reached: number): Target {
  return { text: `<= ${limit} ${of}`, reached, met: reached <= limit };
}

export function atLeast(limit: number, of: string, reached: number): Target {
  return { text: `>= ${limit} ${of}`, reached, met: reached >= limit };
}
