import { expect, test } from 'vitest';
import { vmLines } from '../../src/commands/vm/show.ts';
import { aboutFacts, aboutHeight } from '../../src/view/about-facts.ts';
import { layerLines, processText } from '../../src/view/confinement-facts.ts';
import type { Layer } from '../../src/vmm/confinement/layer.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

const REASON = 'only root can run a VM under a uid of its own';
const LAYERS: readonly Layer[] = [
  { name: 'user-namespace', state: 'off', reason: null },
  { name: 'uid', state: 'unavailable', reason: REASON },
  { name: 'seccomp', state: 'on', reason: null },
];

test('a VM shows its process and each layer: on, off, or why it is unavailable', () => {
  expect(processText({ pid: 7, confinement: LAYERS })).toBe('7, confined, without uid of its own');
  expect(layerLines(LAYERS)).toEqual([
    'user namespace: off',
    `uid of its own: not available (${REASON})`,
    'seccomp: on',
  ]);
  expect(processText({ pid: 7, confinement: null })).toBe('7');
  expect(processText({ pid: null, confinement: null })).toBeNull();
  expect(layerLines(null)).toEqual([]);
});

test('vm show and the UI show these facts, and the UI scrolls through all of them', () => {
  const engine = new FakeEngine(new ManualClock());
  engine.add('web', idle, { confinement: LAYERS, topology: null });
  const [vm] = engine.vms();
  const shown = vmLines(vm!, Number.POSITIVE_INFINITY);
  expect(shown).toContain('Process     4711, confined, without uid of its own');
  expect(shown).toContain('Layers      user namespace: off');
  expect(shown).toContain(`            uid of its own: not available (${REASON})`);
  const layers = aboutFacts(vm!, 60).find(fact => fact.name === 'Layers')!;
  expect(layers.lines).toHaveLength(4);
  const without = aboutHeight({ ...vm!, confinement: null }, 60);
  expect(aboutHeight(vm!, 60) - without).toBe(4);
});
