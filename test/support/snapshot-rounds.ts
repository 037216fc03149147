import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { LocalEngine } from '../../src/engine/local-engine.ts';
import { QUEUE } from '../../src/vmm/counters/counters.ts';
import { GuestVm, resultOf } from './guest-vm.ts';

const DISK_BYTES = 32 * 2 ** 20;
const BLOCKS = 1000;

/** A disk of zeros. */
export function emptyDisk(folder: string, name: string): string {
  const disk = join(folder, name);
  writeFileSync(disk, '');
  truncateSync(disk, DISK_BYTES);
  return disk;
}

/**
 * A guest writes blocks to its disk, reads them back and compares them. In the middle of that, at a different point
 * each round, a snapshot with the disk is taken. The guest must complete, and complete again after a restore, with the
 * disk's contents at the snapshot.
 */
export async function snapshotRounds(engine: LocalEngine, disk: string, rounds: number): Promise<void> {
  const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path: disk, queues: 1 }] });
  for (let round = 0; round < rounds; round++) {
    const name = `round-${round}`;
    const begun = requestsBegun(engine, guest, 1 + ((round * 613) % BLOCKS));
    const verified = guest.command(`blk verify ${BLOCKS}`);
    await begun;
    await engine.snapshot(guest.id, { name, disks: true });
    expect(resultOf(await verified, 'blk-verify'), name).toMatchObject({ errors: 0 });
    await engine.kill(guest.id);
    await engine.restore(guest.id, name, {});
    // The console's output at that time, followed by that of the command in progress.
    const restored = GuestVm.of(engine, guest.id);
    const lastCommand = `> blk verify ${BLOCKS}(?![\\s\\S]*> blk verify)`;
    await restored.printed(new RegExp(`${lastCommand}[\\s\\S]*result blk-verify .*errors=0`));
    expect(resultOf(await restored.command('blk read 4k 8 100'), 'blk-read')).toMatchObject({ errors: 0 });
    await engine.deleteSnapshot(guest.id, name);
  }
  await engine.kill(guest.id);
}

/** Resolves once the guest has made this many more requests. */
export async function requestsBegun(engine: LocalEngine, guest: GuestVm, count: number): Promise<void> {
  const wanted = requestsOf(engine, guest) + BigInt(count);
  while (requestsOf(engine, guest) < wanted) await new Promise(resolve => setImmediate(resolve));
}

function requestsOf(engine: LocalEngine, guest: GuestVm): bigint {
  const { words, layout } = engine.counters(guest.id)!;
  const { slot } = guest.info.topology!.queues.find(({ type }) => type === 'virtio-blk')!;
  return words[layout.queue(slot) + QUEUE.requests]!;
}
