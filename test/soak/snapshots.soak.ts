import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { SnapshotStore } from '../../src/engine/snapshots/store.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { emptyDisk, snapshotRounds } from '../support/snapshot-rounds.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ROUNDS = 100;

describe.skipIf(noKvm !== null)(onKvm('snapshots'), () => {
  const folder = temporaryFolder('/dev/shm');
  const store = new SnapshotStore(join(folder, 'snapshots'));
  const engine = new LocalEngine({ snapshots: { store, disks: join(folder, 'disks') } });
  afterAll(() => engine.close());

  test(`bring disks and memory back ${ROUNDS} times in the middle of I/O`, {
    timeout: 1_800_000,
  }, async () => {
    await snapshotRounds(engine, emptyDisk(folder, 'disk.img'), ROUNDS);
  });
});
