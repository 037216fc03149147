import { Text } from 'ink';
import { memo, useState } from 'react';
import { actionContext, disabledReason } from '../actions/action.ts';
import { barActions } from '../actions/registry.ts';
import type { Ui } from '../actions/ui.ts';
import { keyLabel, keysOf } from '../keys/bindings.ts';
import type { AppState } from '../store/app-store.ts';
import type { FormLayer, Layer } from '../store/layers.ts';
import { obstacleOf, type PlanLayer } from '../store/plan-layer.ts';
import { useAppState, useTheme, useUi } from './contexts.ts';

type Entry = { readonly key: string; readonly label: string; readonly available: boolean };

/** The last line: the keys that matter most here. Unavailable ones are dim; the help says why. */
export function KeyBar({ columns }: { columns: number }) {
  const ui = useUi();
  const [screenEntries] = useState(() => screenEntriesOf(ui));
  const layer = useAppState(state => state.layers.at(-1));
  // Redrawn when another set of keys is available, not with every sample.
  const ofScreen = useAppState(state => (state.layers.length > 0 ? NONE : screenEntries(state)));
  return <Entries entries={fitted(layer ? layerEntries(layer) : ofScreen, columns)} />;
}

const NONE: readonly Entry[] = [];

/** Redrawn when the entries change, not with every key that is typed into a layer. */
const Entries = memo(
  function Entries({ entries }: { entries: readonly Entry[] }) {
    const { paint } = useTheme();
    const texts = entries.map(({ key, label, available }) =>
      available ? ` ${paint('key', key)} ${label} ` : paint('text.secondary', ` ${key} ${label} `),
    );
    return <Text wrap="truncate">{texts.join('')}</Text>;
  },
  (before, after) => areSame(before.entries, after.entries),
);

function areSame(some: readonly Entry[], others: readonly Entry[]): boolean {
  if (some.length !== others.length) return false;
  return some.every(({ key, label, available }, index) => {
    const other = others[index]!;
    return key === other.key && label === other.label && available === other.available;
  });
}

/** Evaluates all actions once per state, and returns the same array while the entries are equal. */
function screenEntriesOf(ui: Ui): (state: AppState) => readonly Entry[] {
  let entries = NONE;
  let last: AppState | null = null;
  return state => {
    if (state === last) return entries;
    last = state;
    const now = screenEntries(ui);
    if (!areSame(now, entries)) entries = now;
    return entries;
  };
}

function screenEntries(ui: Ui): Entry[] {
  const context = actionContext(ui);
  return barActions(context).map(action => ({
    key: keyLabel(keysOf(action)[0]!),
    label: action.label,
    available: disabledReason(action, context) === null,
  }));
}

/** The keys of a layer above the screen, which are the same everywhere. */
function layerEntries(layer: Layer): Entry[] {
  const entry = (key: string, label: string): Entry => ({ key, label, available: true });
  switch (layer.kind) {
    case 'console':
      return [entry('Ctrl-]', 'leave the console'), entry('all other keys', 'go to the guest')];
    case 'dialog':
      return [entry('Tab', 'next button'), entry('Enter', 'select'), entry('Esc', 'cancel')];
    case 'field':
      if (layer.purpose === 'search') return [entry('Enter', 'search'), entry('Esc', 'cancel')];
      return layer.purpose === 'command'
        ? [entry('Enter', 'go'), entry('Tab', 'complete'), entry('Up', 'previous'), entry('Esc', 'cancel')]
        : [
            entry('Enter', 'keep the filter'),
            entry('Esc', 'clear it'),
            entry('field:text', 'one column'),
            entry('!text', 'inverse'),
            entry('-f text', 'fuzzy'),
          ];
    case 'form':
      return [
        ...formEntries(layer).map(([key, label]) => entry(key, label)),
        entry('Ctrl-S', layer.form.done),
        entry('Esc', 'leave'),
      ];
    case 'prompt':
      return [entry('Enter', 'accept'), entry('Esc', 'cancel')];
    case 'pick':
      return [
        entry('Enter', 'select'),
        entry('Up/Down', 'move'),
        entry('letters', 'narrow'),
        entry('Esc', 'cancel'),
      ];
    case 'plan':
      return planEntries(layer).map(([key, label]) => entry(key, label));
    case 'sort':
      return [entry('letter', 'sort by that column'), entry('o', 'reverse'), entry('Esc', 'cancel')];
    case 'help':
    case 'about':
    case 'text':
      return [entry('j/k', 'scroll'), entry('Esc', 'close')];
  }
}

function formEntries({ form, values, focus }: FormLayer): readonly (readonly [string, string])[] {
  const field = form.fields(values)[focus];
  if (field === undefined)
    return [
      ['Enter', form.done],
      ['Up', 'back'],
    ];
  if (field.checkbox)
    return [
      ['Space', 'toggle'],
      ['Tab', 'next'],
    ];
  if (field.choices !== undefined)
    return [
      ['Left/Right', 'choose'],
      ['Tab', 'next'],
    ];
  if (field.path)
    return [
      ['Tab', 'complete'],
      ['Down', 'next'],
      ['Up', 'back'],
    ];
  return [
    ['Tab', 'next'],
    ['Up', 'back'],
  ];
}

function planEntries(layer: PlanLayer): readonly (readonly [string, string])[] {
  const { phase, focus } = layer;
  const scroll = ['j/k', 'scroll'] as const;
  if (phase.kind === 'working') return [scroll];
  if (phase.kind === 'done' || obstacleOf(layer).kind === 'final') return [['Enter', 'close'], scroll];
  if (focus === 'word') return [['Enter', 'confirm'], CANCEL];
  return [['Tab', 'next button'], ['Enter', 'select'], scroll, CANCEL];
}

const CANCEL = ['Esc', 'cancel'] as const;

/** As many as fit: unavailable ones are dropped first; the last two, help and quit, always stay. */
function fitted(entries: readonly Entry[], columns: number): readonly Entry[] {
  const needed = (some: readonly Entry[]) =>
    some.reduce((sum, { key, label }) => sum + key.length + label.length + 3, 0);
  const kept = [...entries];
  while (kept.length > 2 && needed(kept) > columns) {
    const idle = kept.findLastIndex(({ available }) => !available);
    kept.splice(idle >= 0 ? idle : kept.length - 3, 1);
  }
  return kept;
}
