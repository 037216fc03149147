import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import type { Launch } from '../../../src/engine/machines/machine.ts';
import { mainThreadMachines } from '../../../src/engine/machines/main-thread-machine.ts';
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
  const machine = mainThreadMachines.launch(launch);
  counters.closeFd();
  counters.unmap();
  return machine;
}

describe('a machine on the main thread', () => {
  test('that has not begun is gone as soon as it is killed, with its fds', async () => {
    const fds = openFds();
    const machine = launched();
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

describe.skipIf(noKvm !== null)(onKvm('a machine on the main thread'), () => {
  test.each([1, 2])('with %i vCPUs lets timers and sockets run', async cpus => {
    const engine = new LocalEngine({ machines: mainThreadMachines });
    const guest = await GuestVm.start(engine, { cpus, append: 'run="spin 600s"' });
    await guest.printed(/MiB memory/);
    // A timer fires while the guest is busy and the machine is idle.
    await sleep(50);
    const server = createServer(socket => socket.pipe(socket)).listen(join(temporaryFolder(), 'socket'));
    await once(server, 'listening');
    const client = connect(server.address() as string);
    await once(client, 'connect');
    for (const text of ['one', 'two', 'three']) {
      client.write(text);
      expect(String((await once(client, 'data'))[0])).toBe(text);
      await new Promise(resolve => setImmediate(resolve));
    }
    client.destroy();
    await once(client, 'close');
    server.close();
    await once(server, 'close');
    expect(guest.info.state).toBe('running');
    await engine.close();
  });

  test('is controlled over its console, and powers off', async () => {
    const engine = new LocalEngine({ machines: mainThreadMachines });
    const guest = await GuestVm.start(engine);
    await guest.command('exit 5');
    expect((await guest.reached('off')).exitCode).toBe(5);
    await engine.close();
  });

  test('is killed while its guest is busy, and closes all that it has opened', async () => {
    const engine = new LocalEngine({ machines: mainThreadMachines });
    const fds = openFds();
    const guest = await GuestVm.start(engine, { append: 'run="spin 600s"' });
    await guest.printed(/MiB memory/);
    await engine.kill(guest.id);
    expect(guest.info.state).toBe('off');
    await until(() => openFds() === fds);
    await engine.close();
  });
});
