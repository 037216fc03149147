import { HandedOverError } from './vm-run.ts';

/**
 * Repeats a request that waits for something in the machine, in case that moves to another process in the meantime.
 * @param goesOn whether to repeat it. @throws what the last one threw
 */
export async function acrossHandOvers<Result>(
  request: () => Promise<Result>,
  goesOn: () => boolean,
): Promise<Result> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof HandedOverError) || !goesOn()) throw error;
    }
  }
}
