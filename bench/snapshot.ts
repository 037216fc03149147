/** The time of a snapshot, and of a restore until the guest runs, which must not depend on the VM's memory size. */
import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RemoteEngine } from '../src/engine/remote/remote-engine.ts';
import { GUEST, workDirectory } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { median } from './statistics.ts';
import { VringManager } from './vring-manager.ts';

const MiB = 2 ** 20;
const ROUNDS = 7;
const TOUCHED = 100 * MiB;
const RESTORE_MS = 30;
/** Time for the next spare process to get ready. */
const BETWEEN_MS = 1500;

export async function measureSnapshots(): Promise<Measurement[]> {
  await using manager = await VringManager.start('snapshot');
  const initrd = join(workDirectory, 'snapshot-initrd');
  // Its contents end up in the guest's memory.
  writeFileSync(initrd, randomFillSync(Buffer.alloc(TOUCHED)));
  const rows: Measurement[] = [];
  for (const memory of [256, 1024, 4096]) {
    const { snapshotMs, restoreMs } = await measure(
      manager.engine,
      `snapshot-${memory}`,
      memory * MiB,
      initrd,
    );
    const what = `${memory} MiB, ${TOUCHED / MiB} MiB touched`;
    rows.push({ what: `snapshot of ${what}`, unit: 'ms', values: { vring: snapshotMs } });
    rows.push({
      what: `restore to running, ${what}`,
      unit: 'ms',
      values: { vring: restoreMs },
      target: atMost(RESTORE_MS, 'ms', restoreMs),
    });
  }
  return rows;
}

async function measure(engine: RemoteEngine, name: string, bytes: number, initrd: string) {
  const boot = { kind: 'kernel', path: GUEST, initrd, append: 'quiet' } as const;
  const id = await engine.start({ name, memory: { bytes }, boot });
  const snapshots: number[] = [];
  const restores: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const taken = performance.now();
    await engine.snapshot(id, { name: `round-${round}`, disks: false });
    snapshots.push(performance.now() - taken);
    await engine.kill(id);
    await sleep(BETWEEN_MS);
    const asked = performance.now();
    await engine.restore(id, `round-${round}`, {});
    restores.push(performance.now() - asked);
    await engine.deleteSnapshot(id, `round-${round}`);
  }
  await engine.kill(id);
  return { snapshotMs: median(snapshots), restoreMs: median(restores) };
}
