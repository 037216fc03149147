import { describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { ALL_ACTIONS, Survival } from '../support/survival.ts';

withOwnFolders();

const VMS = 8;

describe.skipIf(noKvm !== null)(onKvm('VMs'), () => {
  test(`survive managers that are killed at any point, ${VMS} at once`, {
    timeout: 120_000,
  }, async () => {
    await using survival = new Survival(7);
    await survival.startManager();
    for (let index = 0; index < VMS; index++) await survival.startVm(`vm${index}`);
    const { pid } = survival.vm('vm0');
    for (const action of ALL_ACTIONS) await survival.round([action]);
    if (survival.vm('vm0').pid !== pid) expect(survival.vm('vm0').state).toBe('running');
  });
});
