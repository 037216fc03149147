import { fstatSync, openSync, readSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PrivateRamCopy } from '../../../../src/vmm/machine/hand-over/private-ram.ts';
import { GuestRam } from '../../../../src/vmm/memory/guest-ram.ts';
import { isSealed } from '../../../../src/vmm/memory/sealed-memfd.ts';
import { openFds } from '../../../support/fds.ts';
import { LocalOwner } from '../../../support/local-owner.ts';
import { ManualLoop } from '../../../support/manual-loop.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { until } from '../../../support/until.ts';

const MiB = 2 ** 20;

/** RAM of a snapshot's file, in which a guest has written since. */
function restored(owner: LocalOwner) {
  const path = join(temporaryFolder(), 'ram');
  writeFileSync(path, '');
  truncateSync(path, 8 * MiB);
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from('of the snapshot'), 0, 15, MiB);
  writeSync(fd, Buffer.from('of the snapshot'), 0, 15, 2 * MiB);
  const ram = new GuestRam(owner, { bytes: 8 * MiB }, { kind: 'file', fd });
  ram.writable(2 * MiB, 12).set(Buffer.from('of the guest'));
  ram.writable(5 * MiB, 12).set(Buffer.from('of the guest'));
  return ram;
}

test('private memory is copied into a file that another process can map', async () => {
  const owner = new LocalOwner();
  const ram = restored(owner);
  const fds = openFds();
  const loop = new ManualLoop();
  const copy = new PrivateRamCopy({ ram, pagemap: null, vm: 0, loop });
  expect([fstatSync(copy.fd).size, isSealed(copy.fd)]).toEqual([8 * MiB, true]);
  const results: (string | null)[] = [];
  copy.copy(failure => results.push(failure));
  await until(() => {
    loop.run();
    return results.length > 0;
  });
  expect(results).toEqual([null]);
  const text = (address: number) => {
    const bytes = Buffer.alloc(15);
    readSync(copy.fd, bytes, 0, 15, address);
    return bytes.toString().replaceAll('\0', '');
  };
  expect([MiB, 2 * MiB, 3 * MiB, 5 * MiB].map(text)).toEqual([
    'of the snapshot',
    'of the guesthot',
    '',
    'of the guest',
  ]);
  // Holes and zeroes take no memory.
  expect(fstatSync(copy.fd).blocks * 512).toBeLessThan(MiB);
  copy.close();
  await until(() => openFds() <= fds);
  owner.release();
});

test('a canceled copy reports nothing', () => {
  const owner = new LocalOwner();
  const ram = restored(owner);
  const loop = new ManualLoop();
  const copy = new PrivateRamCopy({ ram, pagemap: null, vm: 0, loop });
  const results: (string | null)[] = [];
  copy.copy(failure => results.push(failure));
  copy.cancel();
  loop.run();
  expect(results).toEqual([]);
  copy.close();
  owner.release();
});
