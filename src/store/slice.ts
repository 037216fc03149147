/** Creates one slice of the state. `Seen` is the part of the whole state that it reads or changes beside its own. */
export type SliceCreator<Own, Seen = Own> = (
  set: (change: Partial<Seen> | ((state: Seen) => Partial<Seen>)) => void,
  get: () => Seen,
) => Own;
