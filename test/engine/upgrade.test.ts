import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { placesWith } from '../../src/manager/machines/register.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';

withOwnFolders();

let engine: LocalEngine;
beforeEach(() => {
  engine = new LocalEngine({ machines: new ProcessMachines(), takePlace: placesWith(null) });
});
afterEach(async () => {
  await engine.close();
});

describe.skipIf(noKvm !== null)(onKvm('a VM that is upgraded'), () => {
  test('goes on in another process', async () => {
    const vm = await GuestVm.start(engine);
    await vm.command('info');
    const { pid } = vm.info;
    for (let i = 0; i < 5; i++) {
      await engine.upgrade(vm.id);
    }
    expect(vm.info.pid).not.toBe(pid);
  });
});
