import { describe, expect, test } from 'vitest';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { attached, guest, leftAtEnd, startManager, withOwnFolders } from '../support/manager-process.ts';

withOwnFolders();

describe.skipIf(noKvm !== null)(onKvm('the vCPUs of a VM in its own process'), () => {
  test('are added to it when it is confined, and go on in another process', {
    timeout: 120_000,
  }, async () => {
    startManager();
    const engine = leftAtEnd(await attached());
    await engine.start({ ...guest('web'), cpus: 1, maxCpus: 4 });
    const vm = GuestVm.of(engine, 'web');
    await vm.command('cpus enable');
    const run = async () => /busy=([0-9a-f]+)/.exec(await vm.command('cpus run 50ms'))![1];
    const set = async (count: number) => {
      const changed = engine.setVcpus('web', count);
      changed.catch(() => {});
      await vm.command('cpus answer 200ms');
      return await changed;
    };
    expect(await set(3)).toEqual({ vcpus: 3, running: true, noticed: true });
    expect(vm.info.confinement!.find(({ name }) => name === 'seccomp')!.state).toBe('on');
    expect(await run()).toBe('7');
    await vm.command('cpus eject 1');
    const { pid } = vm.info;
    const waiting = engine.setVcpus('web', 1);
    await expect.poll(() => vm.info.topology!.vcpuLabels!.at(-1)!.removing).toBeGreaterThan(0);
    await engine.upgrade('web');
    await expect.poll(() => vm.info.pid).not.toBe(pid);
    expect(vm.info.topology!.vcpuLabels).toMatchObject([{ index: 0 }, { index: 2 }]);
    expect(vm.info).toMatchObject({ vcpus: 2, maxVcpus: 4 });
    expect(await run()).toBe('5');
    // The guest answers in the new process.
    await vm.command('cpus answer 200ms');
    expect(await waiting).toMatchObject({ vcpus: 1 });
    expect(await set(4)).toMatchObject({ vcpus: 4 });
    expect(await run()).toBe('f');
    await engine.kill('web');
  });
});
