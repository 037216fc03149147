import { closeSync, fstatSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import type { Launch } from '../../../src/engine/machines/machine.ts';
import { threadMachines } from '../../../src/engine/machines/thread-machine.ts';
import { counterShape } from '../../../src/vmm/counters/counter-shape.ts';
import { createCounters } from '../../../src/vmm/counters/shared-counters.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { openFds } from '../../support/fds.ts';
import { GuestVm } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const config = parseMachineConfig({ name: 'web', boot: { kind: 'kernel', path: '/no/such' } });

function launched() {
  const counters = createCounters(counterShape(config));
  const launch: Launch = { config, startedAt: 0, countersFd: counters.fd, registration: null };
  const machine = threadMachines.launch(launch);
  counters.closeFd();
  counters.unmap();
  return machine;
}

describe('a machine on a thread', () => {
  test('that has not come up is gone as soon as it is killed, with its fds', async () => {
    const fds = openFds();
    const machine = launched();
    // On the thread itself nothing has run yet.
    machine.destroy();
    expect(await machine.gone).toBeNull();
    await until(() => openFds() === fds);
  });

  test('that is running ends before it is gone', async () => {
    const machine = launched();
    const ended = new Promise<string>(resolve => {
      machine.connection!.listen({
        message: message => {
          if (message.kind === 'ended') resolve(message.end.reason);
        },
        printed: () => {},
      });
    });
    expect(await ended).toContain('/no/such');
    machine.connection!.send({ kind: 'collected' });
    expect(await machine.gone).toBeNull();
  });
});

describe.skipIf(noKvm !== null)(onKvm('a machine on a thread'), () => {
  test('closes each of its fds once: the next file with the same number stays open', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'disk.img');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 20);
    const engine = new LocalEngine();
    const guest = await GuestVm.start(engine, {
      devices: [
        { type: 'virtio-scsi', name: 'scsi0' },
        { type: 'scsi-hd', name: 'sd0', path, removable: true, transient: true },
      ],
    });
    await guest.printed(/> $/);
    // Its overlay is an fd that the machine opened, and closes now.
    await engine.changeMedium(guest.id, 'sd0', { medium: null, force: false });
    const files = Array.from({ length: 32 }, (_, index) => {
      const file = join(folder, `${index}`);
      writeFileSync(file, '');
      const fd = openSync(file, 'r');
      return { fd, inode: fstatSync(fd).ino };
    });
    await engine.close();
    for (const { fd, inode } of files) expect(fstatSync(fd).ino).toBe(inode);
    for (const { fd } of files) closeSync(fd);
  });
});
