import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GUEST, workDirectory } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { median } from './statistics.ts';
import { VringManager } from './vring-manager.ts';

const GiB = 2 ** 30;
const UPGRADES = 15;
/** Time for the next spare process to get ready. */
const BETWEEN_MS = 1500;

/**
 * How long a guest with 1 GiB and a disk in use pauses while its VM is handed to another process, beside the time to
 * start that VM: both depend on what else the host does.
 */
export async function measureUpgrade(): Promise<Measurement[]> {
  await using manager = await VringManager.start('upgrade');
  const { engine } = manager;
  const disk = join(workDirectory, 'upgrade.img');
  writeFileSync(disk, '');
  truncateSync(disk, 2 ** 26);
  const start = async () => {
    await sleep(BETWEEN_MS);
    const begun = performance.now();
    await engine.start({
      name: 'web',
      memory: { bytes: GiB },
      boot: { kind: 'kernel', path: GUEST, append: 'quiet run="demo"' },
      devices: [{ type: 'virtio-blk', path: disk }, { type: 'virtio-rng' }],
    });
    return performance.now() - begun;
  };
  const starts = [await start()];
  for (let round = 1; round < 5; round++) {
    await engine.kill('web');
    starts.push(await start());
  }
  const still: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < UPGRADES; round++) {
    await sleep(BETWEEN_MS);
    const begun = performance.now();
    const { stoodStillMs } = await engine.upgrade('web');
    whole.push(performance.now() - begun);
    still.push(stoodStillMs);
  }
  const ms = median(still);
  return [
    {
      what: 'live upgrade of a 1 GiB VM: its guest stands still',
      unit: 'ms',
      values: { vring: ms, 'a start': median(starts) },
      target: atMost(20, 'ms', ms),
    },
    { what: 'live upgrade of a 1 GiB VM: in all', unit: 'ms', values: { vring: median(whole) } },
  ];
}
