/** One row of the report. */
export type Measurement = {
  readonly what: string;
  readonly unit: string;
  /** Medians by who was measured; vring first. */
  readonly values: Readonly<Record<string, number>>;
  /** What vring should reach. */
  readonly aim?: Aim;
};

export type Aim = {
  /** In words, as in "at most 0.25 x QEMU". */
  readonly text: string;
  /** The number that the aim is about: a ratio or a value. */
  readonly reached: number;
  readonly met: boolean;
};

export function atMost(limit: number, of: string, reached: number): Aim {
  return { text: `<= ${limit} ${of}`, reached, met: reached <= limit };
}

export function atLeast(limit: number, of: string, reached: number): Aim {
  return { text: `>= ${limit} ${of}`, reached, met: reached >= limit };
}
