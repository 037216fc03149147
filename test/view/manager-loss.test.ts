import { expect, test } from 'vitest';
import { lossText } from '../../src/view/manager-loss.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

test('the next step has precedence over the names of the VMs', () => {
  const engine = new FakeEngine(new ManualClock());
  for (const name of ['web', 'db']) engine.add(name, idle);
  const at = (cells: number, key: string | null = 'A') =>
    lossText({ kind: 'died', text: 'it died' }, engine.vms(), { key, cells });
  expect(at(70)).toBe('the manager died; web and db keep running; A starts another manager');
  expect(at(65)).toBe('the manager died; 2 VMs keep running; A starts another manager');
  expect(at(50)).toBe('the manager died; A starts another manager');
  expect(at(50, null)).toBe('the manager died; web and db keep running');
});
