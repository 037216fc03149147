import { describe, expect, test } from 'vitest';
import { actionContext, cannot } from '../../src/actions/action.ts';
import { actions, actionsHere } from '../../src/actions/registry.ts';
import { Ui } from '../../src/actions/ui.ts';
import { BINDINGS, keysOf } from '../../src/keys/bindings.ts';
import { keysMarkdown } from '../../src/keys/keys-markdown.ts';
import { sortLetters } from '../../src/keys/sort-letters.ts';
import { TOP_SCREENS } from '../../src/store/screens.ts';
import { VM_TABS } from '../../src/store/vm-view-slice.ts';
import { SORTED_SCREENS, sortColumns } from '../../src/view/sort-columns.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

const SCREENS = [...TOP_SCREENS, 'images', 'vm', 'function'] as const;

/** Keys of actions that are there for the moment alone are told apart by that moment. */
test.each(SCREENS)('no key has two meanings on the screen %s', screen => {
  const here = actions.filter(action => action.screens?.includes(screen) ?? true);
  const always = here.filter(action => action.here === undefined).flatMap(keysOf);
  expect(always.filter((key, index) => always.indexOf(key) !== index)).toEqual([]);
  const sometimes = here.filter(action => action.here !== undefined).flatMap(keysOf);
  expect(always.filter(key => sometimes.includes(key))).toEqual([]);
});

test.each(VM_TABS)('no key has two meanings on the tab %s', async tab => {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock);
  const id = engine.add('demo', busy, { defined: true });
  const picture = {
    quit: () => {},
    repaint: () => {},
    lend: () => Promise.resolve(),
    stop: async () => {},
    copy: () => {},
  };
  const ui = new Ui(engine, picture, clock);
  ui.store.getState().openScreen({ kind: 'vm', id });
  ui.store.getState().changeVmView(id, { tab });
  const keys = actionsHere(actionContext(ui)).flatMap(keysOf);
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  await ui.close();
});

describe.each(actions.map(action => [action.name, action] as const))('the action %s', (name, action) => {
  test('has a key, a unique name and a description', () => {
    expect(keysOf(action)).not.toEqual([]);
    expect(actions.filter(other => other.name === name)).toHaveLength(1);
    expect(action.description).toMatch(/^[A-Z].*[^.]$/);
  });
});

test('every binding belongs to an action', () => {
  const names = actions.map(({ name }) => name);
  expect(Object.keys(BINDINGS).filter(name => !names.includes(name))).toEqual([]);
});

/** They show everything first, or ask for it. */
const SMALL_CHANGES = new Set([
  'attach',
  'attach-here',
  'attach-disk',
  'attach-nic',
  'new-network',
  'new-image',
  'undo',
  'change-medium',
]);

/** To the end, and to the match before, as everywhere. */
const PLAIN_CAPITALS = new Set(['G', 'N']);

test('actions that change a VM or the host, except attach, undo and changing a medium, have capital letters, and no others do', () => {
  const capital = actions.filter(action =>
    keysOf(action).some(key => /^[A-Z]$/.test(key) && !PLAIN_CAPITALS.has(key)),
  );
  const changing = actions.filter(({ category }) => category === 'Virtual machine' || category === 'Host');
  expect(capital.map(action => action.name)).toEqual(
    changing.map(action => action.name).filter(name => !SMALL_CHANGES.has(name)),
  );
});

describe.each(SORTED_SCREENS)('the letters that sort %s', screen => {
  const letters = sortLetters(screen);

  test('are unique per column, and differ from the other keys of the menu', () => {
    expect(letters.length).toBe(sortColumns(screen).filter(({ letter }) => letter !== undefined).length);
    expect(letters.length).toBeGreaterThan(2);
    const all = letters.map(({ letter }) => letter);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter(letter => !/^[a-z0-9]$/.test(letter) || letter === 'o')).toEqual([]);
  });

  test('have no other meaning as capitals here, and change nothing elsewhere', () => {
    const here = actions.filter(({ screens }) => screens?.includes(screen) ?? true);
    const changing = actions.filter(({ changes }) => changes !== undefined);
    const taken = [...here, ...changing].flatMap(keysOf);
    for (const { letter, shift } of letters) {
      const free = /[a-z]/.test(letter) && !taken.includes(letter.toUpperCase());
      expect(shift, letter).toBe(free);
    }
  });
});

test('a read-only session forbids every change, including typing into a guest', () => {
  const changing = actions.filter(({ category }) => category === 'Virtual machine' || category === 'Host');
  expect(actions.filter(({ changes }) => changes !== undefined).map(({ name }) => name)).toEqual([
    'console',
    'send-keys',
    ...changing.map(({ name }) => name),
    'new-vm',
    'edit-vm',
  ]);
});

test('destructive actions ask first', () => {
  const dangerous = actions.filter(action => action.dangerous).map(action => action.name);
  expect(dangerous).toEqual(['quit', 'power-button', 'reset', 'kill', 'delete', 'delete-snapshot']);
});

test('docs/keys.md lists them (vitest -u writes it)', async () => {
  await expect(keysMarkdown()).toMatchFileSnapshot('../../docs/keys.md');
});

test('a capital letter has one meaning on all screens', () => {
  const letters = actions.flatMap(action => keysOf(action).filter(key => /^[A-Z]$/.test(key)));
  // D takes away what the cursor is on: a snapshot, a device. S, O and X start, end and delete it: a VM, a network. L limits it.
  // Of an image as of a VM, W takes a snapshot and Y brings it back, C makes another one; Z resizes it as it does a disk.
  // E sets a number: of a function's VFs, of a VM's vCPUs.
  // H gives something to a host: a function back to this one, a VM to another one.
  expect(letters.filter((key, index) => letters.indexOf(key) !== index)).toEqual([
    ...['S', 'O', 'X', 'W', 'Y', 'D', 'H', 'C', 'Z', 'L', 'E', 'D'],
  ]);
});

/** What an action can do: a label that is a noun needs a phrase to follow "cannot". */
const VERBS =
  /^cannot (apply|attach|bind|cancel|change|check|clear|clone|convert|copy|create|delete|detach|edit|filter|fold|freeze|go|invert|kill|limit|mark|move|open|pause|press|quit|redraw|refresh|release|rename|reset|resize|restore|resume|reverse|save|search|show|sort|start|stop|suspend|take|type|undo|unfold|upgrade)( [\w-]+)*$/;

test.each(actions)('an unavailable action has a readable reason: $name', action => {
  expect(cannot(action)).toMatch(VERBS);
});
