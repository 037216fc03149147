import { describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';
import { isRunning, withOwnFolders } from '../support/manager-process.ts';
import { ALL_ACTIONS, type Round, Survival } from '../support/survival.ts';
import { until } from '../support/until.ts';

/** `npm run soak` sets it. */
const rounds = Number(process.env.VRING_SOAK_ROUNDS);
const SEED = Number(process.env.VRING_SOAK_SEED ?? 1);
const VMS = 8;
const MANY = 64;
const CROWD = 300;

withOwnFolders();

/** Milliseconds: the median, the 99th percentile and the longest. */
function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!.toFixed(0);
  return `median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms`;
}

describe.skipIf(noKvm !== null)(onKvm('VMs in the long run'), () => {
  test(`survive ${rounds} managers that are killed`, { timeout: 3_600_000 }, async () => {
    await using survival = new Survival(SEED);
    await survival.startManager();
    for (let index = 0; index < VMS; index++) await survival.startVm(`vm${index}`);
    const done: Round[] = [];
    for (let round = 0; round < rounds; round++) {
      try {
        done.push(await survival.round(ALL_ACTIONS));
      } catch (error) {
        throw new Error(`in round ${round} of seed ${SEED}`, { cause: error });
      }
    }
    const listed = done.map(({ listed }) => listed);
    const afterReady = done.map(({ listed, ready }) => listed - ready);
    console.info(
      `${rounds} rounds with ${VMS} VMs: every VM listed ${spread(listed)} after the start of the next manager,`,
    );
    console.info(`  ${spread(afterReady)} after it answers; ${survival.managerFds()} fds at the end`);
    expect(done).toHaveLength(rounds);
  });

  test(`are listed again, ${MANY} of them`, { timeout: 600_000 }, async () => {
    await using survival = new Survival(SEED);
    await survival.startManager();
    for (let index = 0; index < MANY; index++) await survival.startVm(`vm${index}`, 'quiet run="info"');
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      await survival.killManager();
      const from = performance.now();
      await survival.startManager();
      await until(() => survival.engine.vms().filter(({ state }) => state === 'running').length === MANY);
      times.push(performance.now() - from);
    }
    console.info(`a manager with ${MANY} VMs shows them all ${spread(times)} after its start`);
  });

  test(`all end, ${CROWD} of them at once`, { timeout: 600_000 }, async () => {
    await using survival = new Survival(SEED);
    await survival.startManager();
    for (let index = 0; index < CROWD; index++) await survival.startVm(`vm${index}`, 'quiet run="info"');
    const pids = survival.engine.vms().map(({ pid }) => pid!);
    expect(pids).toHaveLength(CROWD);
    // A manager that is not to wait for its guests.
    await survival.end('SIGQUIT');
    expect(pids.filter(isRunning)).toEqual([]);
  });
});
