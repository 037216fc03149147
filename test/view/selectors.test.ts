import { beforeEach, describe, expect, test } from 'vitest';
import { type AppStore, createAppStore } from '../../src/store/app-store.ts';
import { createSelectors } from '../../src/view/selectors.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('selectors', () => {
  let store: AppStore;
  const select = createSelectors();

  beforeEach(() => {
    const engine = new FakeEngine(new ManualClock());
    for (const name of ['web-1', 'web-2', 'db']) engine.add(name, idle);
    store = createAppStore();
    store.getState().vmsListed(engine.vms());
  });

  test('return the same list while nothing in it changes, however often VMs change', () => {
    const before = select.visibleVms(store.getState());
    const vm = store.getState().infos['web-1']!;
    store.getState().vmChanged({ ...vm, state: 'paused' });
    expect(select.visibleVms(store.getState())).toBe(before);
    store.getState().setFilter('web');
    expect(select.visibleVms(store.getState())).toEqual(['web-1', 'web-2']);
  });

  test('insert a new VM in order of its name', () => {
    const { vmChanged, infos } = store.getState();
    store.getState().vmsListed([]);
    for (const id of ['web-1', 'db', 'web-2']) vmChanged(infos[id]!);
    expect(select.visibleVms(store.getState())).toEqual(['db', 'web-1', 'web-2']);
  });

  test('put the cursor on the first row when its VM is filtered out', () => {
    store.getState().selectVm('db');
    expect(select.cursorRow(store.getState())).toBe(2);
    store.getState().setFilter('web');
    expect(select.cursorRow(store.getState())).toBe(0);
    expect(select.targetVm(store.getState())!.name).toBe('web-1');
  });

  test('have no current VM when none is visible', () => {
    store.getState().setFilter('nothing has this name');
    expect(select.targetVm(store.getState())).toBeNull();
  });
});
