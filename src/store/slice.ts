/** Makes one slice of the state. `Seen` is what of the whole state it reads or changes beside its own part. */
export type SliceCreator<Own, Seen = Own> = (
  set: (change: Partial<Seen> | ((state: Seen) => Partial<Seen>)) => void,
  get: () => Seen,
) => Own;
