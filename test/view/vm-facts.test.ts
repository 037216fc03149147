import { expect, test } from 'vitest';
import { restingText } from '../../src/view/vm-facts.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

test.each([
  [{ state: 'off' }, false, 'The VM is off: S starts it'],
  [{ state: 'off' }, true, 'The VM is off'],
  [{ state: 'crashed' }, false, 'The VM has crashed: S starts it again'],
  [
    { state: 'off', problem: 'the kernel /k is missing' },
    false,
    'The VM cannot start: the kernel /k is missing',
  ],
] as const)('a VM that is %j shows its state', (change, isReadOnly, text) => {
  const engine = new FakeEngine(new ManualClock());
  engine.add('demo', idle, { ...change, topology: null });
  expect(restingText(engine.vms()[0]!, isReadOnly)).toBe(text);
});
