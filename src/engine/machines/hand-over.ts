import { closeSync } from 'node:fs';
import { explainShortage } from '../../vmm/confinement/shortage.ts';
import { counterShape } from '../../vmm/counters/counter-shape.ts';
import { createCounters, type NewCounters } from '../../vmm/counters/shared-counters.ts';
import type { TakenOver } from '../../vmm/machine/messages.ts';
import { socketPair } from '../../vmm/native/libc.ts';
import type { VmRun } from '../vm-run.ts';
import type { Launch, Machines, Succession } from './machine.ts';

/**
 * Has a run's machine hand itself to a new process, and settles its place by the outcome.
 * @param start of the machine, unchanged
 * @throws why it stays in its process; or that it is gone
 */
export async function handOver(
  run: VmRun,
  start: Pick<Launch, 'config' | 'startedAt'>,
  machines: Machines,
  { registration, handedOver, settle }: Succession,
): Promise<TakenOver> {
  // Closed as soon as they are sent: when one process ends, the other must notice.
  const fds = new Set<number>();
  const close = (fd: number) => {
    if (fds.delete(fd)) closeSync(fd);
  };
  let counters: NewCounters | null = null;
  let isLeft = false;
  try {
    const [giver, taker] = socketPair();
    for (const fd of [giver, taker]) fds.add(fd);
    counters = createCounters(counterShape(start.config));
    const launch = { ...start, countersFd: counters.fd, registration, takeOver: taker };
    const machine = machines.launch(launch);
    handedOver();
    close(taker);
    counters.closeFd();
    const successor = {
      machine,
      counters,
      isLeft: () => {
        isLeft = true;
        settle(true);
      },
    };
    counters = null;
    return await run.handOver(successor, giver, () => close(giver));
  } catch (error) {
    counters?.closeFd();
    counters?.unmap();
    throw explainShortage(error);
  } finally {
    for (const fd of fds) closeSync(fd);
    if (!isLeft) settle(false);
  }
}
