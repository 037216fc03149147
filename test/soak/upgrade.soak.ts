import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { Random } from '../support/random.ts';
import { Survival } from '../support/survival.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { UpgradedGuest } from '../support/upgrades.ts';

/** `npm run soak` sets it. */
const upgrades = Number(process.env.VRING_SOAK_ROUNDS) / 2;
const SEED = Number(process.env.VRING_SOAK_SEED ?? 1);

withOwnFolders();

describe.skipIf(noKvm !== null)(onKvm('a VM in the long run'), () => {
  test.each([1, 2])(
    `does not notice ${upgrades} upgrades, with %i vCPUs`,
    { timeout: 3_600_000 },
    async cpus => {
      const folder = join(temporaryFolder(), 'disks');
      mkdirSync(folder, { recursive: true });
      const survival = new Survival(SEED);
      onTestFinished(() => survival[Symbol.asyncDispose]());
      await survival.startManager();
      const guest = await UpgradedGuest.start(survival.engine, folder, new Random(SEED), { cpus });
      onTestFinished(() => guest.close());
      const still: number[] = [];
      guest.work();
      for (let upgrade = 0; upgrade < upgrades; upgrade++) {
        await guest.soon();
        still.push(await guest.upgrade());
      }
      await guest.rest();
      guest.check();
      await guest.checkReplay();
      await guest.checkLeftovers();
      const sorted = still.toSorted((a, b) => a - b);
      console.info(
        `${upgrades} upgrades, ${guest.done} commands: stood still for ${sorted[still.length >> 1]!.toFixed(1)} ms at the median, ${sorted.at(-1)!.toFixed(1)} at most`,
      );
      expect(guest.done).toBeGreaterThan(upgrades);
    },
  );
});
