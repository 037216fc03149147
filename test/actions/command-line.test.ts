import { beforeEach, describe, expect, test } from 'vitest';
import { completed, completions, runCommandLine } from '../../src/actions/command-line.ts';
import { Ui } from '../../src/actions/ui.ts';
import { inputSink } from '../../src/keys/handle-key.ts';
import { currentScreen } from '../../src/store/ui-slice.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

let ui: Ui;
let engine: FakeEngine;
let quits: number;

beforeEach(() => {
  const clock = new ManualClock();
  engine = new FakeEngine(clock);
  for (const name of ['web-1', 'web-2', 'db']) engine.add(name, idle);
  quits = 0;
  ui = new Ui(
    engine,
    { quit: () => quits++, repaint: () => {}, lend: use => use(), stop: async () => {}, copy: () => {} },
    clock,
  );
  return () => ui.close();
});

const state = () => ui.store.getState();

describe('a command line', () => {
  test('opens screens by name', () => {
    runCommandLine(ui, 'vm web-2');
    expect(currentScreen(state())).toEqual({ kind: 'vm', id: 'web-2' });
    runCommandLine(ui, ' vms ');
    expect(currentScreen(state())).toEqual({ kind: 'vms' });
  });

  test('runs commands by name, on the VM under the cursor', () => {
    state().selectVm('db');
    runCommandLine(ui, 'pause');
    expect(engine.calls).toEqual(['pause db']);
  });

  test('asks before dangerous commands', () => {
    runCommandLine(ui, 'kill');
    expect(engine.calls).toEqual([]);
    expect(state().layers.at(-1)).toMatchObject({
      kind: 'dialog',
      focus: 0,
      choices: [{ label: 'Cancel' }, { label: 'Kill' }],
    });
  });

  test.each([
    ['vm', /which VM\?/],
    ['vm nobody', /no VM named nobody/],
    ['next-tab', /cannot go to the next tab here/],
    ['explode', /no command "explode"; Tab shows/],
    ['kil', /no command "kil"; did you mean kill\?/],
    ['vm web-3', /no VM named web-3; did you mean web-1\?/],
    ['copy', /belongs to the console/],
    ['resume', /cannot resume: web-1 is running/],
  ])('%j is rejected with the reason', (line, message) => {
    runCommandLine(ui, line);
    expect(state().notice).toMatchObject({ level: 'error', text: expect.stringMatching(message) });
  });

  test('filters the list that it opens', () => {
    runCommandLine(ui, 'vms /web');
    expect(ui.select.visibleVms(state())).toEqual(['web-1', 'web-2']);
  });

  test('does nothing when empty', () => {
    runCommandLine(ui, '  ');
    expect(state().notice).toBeNull();
  });

  test('q quits, and asks if VMs are running', () => {
    runCommandLine(ui, 'q');
    expect(quits).toBe(0);
    state().popLayer();
    for (const vm of engine.vms()) engine.become(vm.id, 'off');
    runCommandLine(ui, 'q');
    expect(quits).toBe(1);
  });
});

describe('completion', () => {
  test('completes the common prefix of all candidates', () => {
    expect(completed(ui, 'vm w')).toBe('vm web-');
    expect(completed(ui, 'ki')).toBe('kill');
    expect(completed(ui, 'xyz')).toBe('xyz');
  });

  test('offers what exists on this host', () => {
    expect(completions(ui, 'vm ')).toEqual(['vm web-1', 'vm web-2', 'vm db']);
    expect(completions(ui, 'tab-e')).toEqual([]);
    runCommandLine(ui, 'vm db');
    expect(completions(ui, 'tab-e')).toEqual(['tab-exits', 'tab-events']);
  });
});

describe('the history', () => {
  const sink = () => inputSink(ui);
  const type = (text: string) => {
    for (const name of text) sink().key({ name, length: 1 });
  };
  const press = (name: string) => sink().key({ name, length: 1 });
  const line = () => {
    const layer = state().layers.at(-1);
    return layer?.kind === 'field' ? layer.edit.text : null;
  };

  test('returns lines, the last first, and an empty one after them', () => {
    for (const text of ['vms', 'vm db', 'vms']) {
      type(`:${text.replace(' ', '')}`);
      press('esc');
      ui.history.add(text);
    }
    type(':');
    press('up');
    expect(line()).toBe('vms');
    press('up');
    expect(line()).toBe('vm db');
    press('up');
    expect(line()).toBe('vm db');
    press('down');
    press('down');
    expect(line()).toBe('');
    press('up');
    press('enter');
    expect(currentScreen(state())).toEqual({ kind: 'vms' });
  });

  test('keeps executed commands', () => {
    type(':help');
    press('enter');
    expect(ui.history.recall(1)).toBe('help');
    expect(ui.history.recall(2)).toBeUndefined();
  });
});
