import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const engines: LocalEngine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

describe.skipIf(noKvm !== null)(onKvm('a command of the guest'), () => {
  test('runs the given number of requests, however long they take', async () => {
    const engine = new LocalEngine();
    engines.push(engine);
    const path = join(temporaryFolder(), 'disk.img');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 20);
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path }] });
    const done = guest.command('blk read 4k 1 300');
    await guest.printed(/blk read 4k 1 300\r?\n/);
    await engine.pause(guest.id);
    await sleep(400);
    await engine.resume(guest.id);
    expect(resultOf(await done, 'blk-read')).toMatchObject({ requests: 300, errors: 0 });
  });

  test('runs after the previous one, even after garbage writes to the interrupt controllers', async () => {
    const engine = new LocalEngine();
    engines.push(engine);
    const guest = await GuestVm.start(engine);
    for (const seed of [1, 2, 3]) await guest.command(`rubbish ports ${seed} 4000`);
    expect(await guest.command('info')).toContain('result info');
  });
});
