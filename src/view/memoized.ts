import type { AppState } from '../store/app-store.ts';

/** A selector that recomputes only when one of its inputs has changed. */
export function memoized<Inputs extends readonly unknown[], Result>(
  inputs: (state: AppState) => Inputs,
  compute: (...inputs: [...Inputs]) => Result,
): (state: AppState) => Result {
  let last: { inputs: Inputs; result: Result } | null = null;
  return state => {
    const now = inputs(state);
    if (last === null || now.some((input, index) => input !== last!.inputs[index])) {
      last = { inputs: now, result: compute(...([...now] as [...Inputs])) };
    }
    return last.result;
  };
}
