import { render } from 'ink-testing-library';
import type { ReactElement } from 'react';
import { beforeEach, describe, expect, test } from 'vitest';
import { Ui } from '../../src/actions/ui.ts';
import { ThemeContext, UiContext } from '../../src/components/contexts.ts';
import { VmScreen } from '../../src/screens/vm.tsx';
import { VmsScreen } from '../../src/screens/vms.tsx';
import { FIRST_VIEW, VM_TABS } from '../../src/store/vm-view-slice.ts';
import { createTheme } from '../../src/theme/theme.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy, complete, idle, withVcpus } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let engine: FakeEngine;
let ui: Ui;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  ui = new Ui(
    engine,
    { quit: () => {}, repaint: () => {}, lend: use => use(), stop: async () => {}, copy: () => {} },
    clock,
  );
  return () => ui.close();
});

/** Draws a screen on 100 columns, which is what ink-testing-library has. */
function draw(screen: ReactElement): string {
  const { lastFrame, unmount } = render(
    <ThemeContext value={createTheme({ color: false, ascii: false })}>
      <UiContext value={ui}>{screen}</UiContext>
    </ThemeContext>,
  );
  const frame = lastFrame() ?? '';
  unmount();
  return frame;
}

const state = () => ui.store.getState();

describe('the list of VMs', () => {
  const list = () => draw(<VmsScreen size={{ columns: 100, rows: 8 }} />);

  test('without any VM shows how to start one', () => {
    expect(list()).toContain('vring run KERNEL --ui');
  });

  test('without a match shows how to clear the filter', () => {
    engine.add('demo', idle);
    state().setFilter('web');
    expect(list()).toContain('Esc clears it');
    expect(list()).not.toContain('demo');
  });

  test('has states of every kind, and no rates for VMs that do not run', () => {
    for (const vmState of ['starting', 'paused', 'stopping', 'off', 'crashed', 'running'] as const) {
      engine.add(vmState, busy, { state: vmState });
    }
    clock.advance(250);
    expect(list()).toMatchSnapshot();
  });

  test('truncates a long name, and shows none of its control characters', () => {
    engine.add(`a\x1b[2J\u202eb${'long'.repeat(10)}`, idle);
    expect(list()).toMatch(/a\?\[2J\?blong.*…/);
  });
});

describe('the screen of a VM', () => {
  const open = (id: string) => {
    state().openScreen({ kind: 'vm', id });
    clock.advance(250);
  };
  const vm = (id: string, columns = 100, rows = 21) => draw(<VmScreen id={id} size={{ columns, rows }} />);

  test('shows vCPUs, exits and queues', () => {
    const id = engine.add('demo', withVcpus(4));
    open(id);
    expect(vm(id)).toMatchSnapshot();
  });

  test('shows the exits of the vCPU under the cursor', () => {
    const [vcpu] = busy.vcpus;
    const id = engine.add('demo', { ...busy, devices: [], vcpus: [vcpu!, { exits: {}, guest: 0, kvm: 0 }] });
    open(id);
    expect(vm(id)).toMatch(/EXITS \(all\)[\s\S]*?IO/);
    state().changeVmView(id, { cursors: { ...FIRST_VIEW.cursors, vcpus: 2 } });
    expect(vm(id)).toMatch(/EXITS \(vCPU 1\)/);
    expect(vm(id)).not.toContain('MMIO');
  });

  test.each(VM_TABS)('has a tab for %s', tab => {
    const id = engine.add('demo', withVcpus(2));
    open(id);
    state().changeVmView(id, { tab });
    const frame = vm(id, 80, 12);
    expect(frame).toMatchSnapshot();
    expect(frame.split('\n').length).toBeLessThanOrEqual(12);
  });

  test('marks a queue whose device is broken', () => {
    const id = engine.add('demo', busy, { broken: { blk0: 'its ring is not in RAM' } });
    open(id);
    expect(vm(id)).toMatch(/blk0 BROKEN/);
    expect(vm(id)).toMatch(/rng0 requests/);
  });

  test('marks a queue whose disk fails', () => {
    const id = engine.add('demo', complete, { diskErrors: { blk0: 'flush failed: EIO (I/O error)' } });
    open(id);
    expect(vm(id)).toMatch(/blk0 ! requests/);
    expect(vm(id)).toMatch(/rng0 requests/);
    state().changeVmView(id, { tab: 'devices' });
    expect(vm(id)).toMatch(/blk0 !/);
  });

  test('is empty for a VM that never ran', () => {
    const id = engine.add('demo', idle, { state: 'off', topology: null });
    state().openScreen({ kind: 'vm', id });
    expect(vm(id)).toMatch(/The VM is off: S starts it/);
    expect(vm(id)).toMatch(/No virtqueues/);
  });
});
