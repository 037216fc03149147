import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { VCPU } from '../../../src/vmm/counters/counters.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';

const engines: LocalEngine[] = [];
const newEngine = () => {
  const engine = new LocalEngine();
  engines.push(engine);
  return engine;
};
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

describe.skipIf(noKvm !== null)(onKvm('vCPUs of a running guest'), () => {
  test('are added, work, and are removed and added again', async () => {
    const engine = newEngine();
    const guest = await GuestVm.start(engine, { cpus: 1, maxCpus: 4 });
    expect(resultOf(await guest.command('cpus enable'), 'cpus')).toMatchObject({ present: 1 });
    const adding = engine.setVcpus(guest.id, 4);
    await guest.command('cpus answer 200ms');
    expect(await adding).toEqual({ vcpus: 4, running: true, noticed: true });
    expect(guest.info).toMatchObject({ vcpus: 4, topology: { vcpus: 4 } });
    expect(await guest.command('cpus run 50ms')).toMatch(/present=4 busy=f/);
    const { words, layout } = engine.counters(guest.id)!;
    expect([0, 1, 2, 3].every(index => words[layout.vcpu(index) + VCPU.tid]! > 0n)).toBe(true);
    const removing = engine.setVcpus(guest.id, 2);
    await guest.command('cpus answer 200ms');
    expect(await removing).toEqual({ vcpus: 2, running: true, noticed: true });
    expect(await guest.command('cpus run 50ms')).toMatch(/present=2 busy=3/);
    const again = engine.setVcpus(guest.id, 3);
    await guest.command('cpus answer 200ms');
    await again;
    expect(await guest.command('cpus run 50ms')).toMatch(/present=3 busy=7/);
  });
});
