import { describe, expect, test } from 'vitest';
import type { Launch } from '../../../src/engine/machines/machine.ts';
import { threadMachines } from '../../../src/engine/machines/thread-machine.ts';
import { counterShape } from '../../../src/vmm/counters/counter-shape.ts';
import { createCounters } from '../../../src/vmm/counters/shared-counters.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { openFds } from '../../support/fds.ts';
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
  test('that has not come up is gone as soon as it is ended, with its fds', async () => {
    const fds = openFds();
    const machine = launched();
    // On the thread itself nothing has run yet.
    machine.destroy();
    expect(await machine.gone).toBeNull();
    await until(() => openFds() === fds);
  });

  test('that is under way ends before it is gone', async () => {
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
