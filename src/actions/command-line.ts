import { resolveAddress } from '../host/pci/address.ts';
import { HOST_LISTS, type HostList } from '../store/screens.ts';
import { likely } from '../text/nearest.ts';
import { type ActionContext, actionContext, cannot, existsHere, runAction } from './action.ts';
import { openScreen } from './navigate.ts';
import { actions } from './registry.ts';
import { sortByLine, sortCompletions } from './sort.ts';
import type { Ui } from './ui.ts';

/** A destination by name, or a command with a value. */
type Noun = {
  readonly names: readonly string[];
  /** Completions for the value. */
  readonly values?: (context: ActionContext) => readonly string[];
  /** @throws what is wrong with the value */
  readonly go: (context: ActionContext, value: string) => void;
};

const vmNouns: readonly Noun[] = [
  {
    names: ['overview'],
    go: ({ ui }) => openScreen(ui, { kind: 'overview' }),
  },
  {
    names: ['vms'],
    go: ({ ui, state }, value) => {
      openScreen(ui, { kind: 'vms' });
      if (value !== '') state.setFilter(value.replace(/^\//, ''));
    },
  },
  {
    names: ['log'],
    go: ({ ui }) => openScreen(ui, { kind: 'log' }),
  },
  {
    names: ['queues', 'queue', 'virtqueues'],
    go: ({ ui, state }, value) => {
      openScreen(ui, { kind: 'queues' });
      if (value !== '') state.setFilter(value.replace(/^\//, ''));
    },
  },
  {
    names: ['networks', 'network', 'net', 'bridges'],
    go: ({ ui, state }, value) => {
      openScreen(ui, { kind: 'networks' });
      if (value !== '') state.setFilter(value.replace(/^\//, ''));
    },
  },
  {
    names: ['images', 'image', 'disks'],
    go: ({ ui, state }, value) => {
      openScreen(ui, { kind: 'images' });
      if (value !== '') state.setFilter(value.replace(/^\//, ''));
    },
  },
  {
    names: ['sort'],
    values: ({ ui }) => sortCompletions(ui),
    go: ({ ui }, value) => sortByLine(ui, value),
  },
  {
    names: ['vm'],
    values: ({ state }) => state.order.map(id => state.infos[id]!.name),
    go: ({ ui, state }, name) => {
      if (name === '') throw new Error('which VM? :vm NAME');
      const id = state.order.find(id => state.infos[id]!.name === name);
      if (id === undefined) {
        const near = likely(name, state.order);
        const hint = near === null ? ':vms lists them' : `did you mean ${near}?`;
        throw new Error(`there is no VM named ${name}; ${hint}`);
      }
      openScreen(ui, { kind: 'vm', id });
    },
  },
];

/** Aliases of the host's lists. */
const LIST_NAMES: Readonly<Record<HostList, readonly string[]>> = {
  pci: ['pci', 'devices', 'functions'],
  iommu: ['iommu', 'groups'],
  sriov: ['sriov', 'vf', 'vfs'],
  vfio: ['vfio', 'binding'],
  doctor: ['doctor', 'checks'],
};

/** `:pci` opens the list, `:pci /igb` with a filter; `:pci 02:00.0` one function. */
const hostNouns: readonly Noun[] = HOST_LISTS.map(list => ({
  names: LIST_NAMES[list],
  values: ({ state }) => [...(state.host?.functions.keys() ?? [])],
  go: ({ ui, state }, value) => {
    if (value !== '' && !value.startsWith('/')) {
      const address = resolveAddress(value, [...(state.host?.functions.keys() ?? [])]);
      openScreen(ui, { kind: 'function', address });
      return;
    }
    openScreen(ui, { kind: list });
    if (value !== '') state.setFilter(value.slice(1));
  },
}));

const nouns: readonly Noun[] = [...vmNouns, ...hostNouns];

/** Aliases of commands. */
const aliases: Readonly<Record<string, string>> = { q: 'quit', 'q!': 'quit' };

/** Runs the command typed after `:`. */
export function runCommandLine(ui: Ui, line: string): void {
  const [, name = '', value = ''] = /^\s*(\S*)\s*(.*?)\s*$/.exec(line) ?? [];
  if (name === '') return;
  try {
    perform(actionContext(ui), name, value);
  } catch (error) {
    ui.notify('error', (error as Error).message);
  }
}

/** @throws what is wrong with the line */
function perform(context: ActionContext, name: string, value: string): void {
  const noun = nouns.find(({ names }) => names.includes(name));
  const action = actions.find(action => action.name === (aliases[name] ?? name));
  if (noun) {
    noun.go(context, value);
  } else if (action === undefined) {
    const near = likely(name, namesHere(context));
    const hint = near === null ? 'Tab shows what there is' : `did you mean ${near}?`;
    throw new Error(`there is no command "${name}"; ${hint}`);
  } else if (!existsHere(action, context)) {
    const place = action.here ? 'to the console' : `to the screen ${action.screens!.join(', ')}`;
    throw new Error(`${cannot(action)} here: it belongs ${place}`);
  } else {
    runAction(action, context);
  }
}

/** The words that can start a line on the screen that is shown. */
function namesHere(context: ActionContext): readonly string[] {
  return [
    ...nouns.flatMap(noun => noun.names),
    ...actions.filter(action => existsHere(action, context)).map(action => action.name),
  ];
}

/** The completions of the line typed so far. */
export function completions(ui: Ui, line: string): readonly string[] {
  const context = actionContext(ui);
  const withValue = /^(\S+)\s+(.*)$/.exec(line);
  if (withValue) {
    const values = nouns.find(({ names }) => names.includes(withValue[1]!))?.values?.(context) ?? [];
    return values.filter(value => value.startsWith(withValue[2]!)).map(value => `${withValue[1]} ${value}`);
  }
  return namesHere(context).filter(name => name.startsWith(line));
}

/** The line up to where its completions differ; with a space after a name that takes a value. */
export function completed(ui: Ui, line: string): string {
  const candidates = completions(ui, line);
  if (candidates.length === 0) return line;
  if (candidates.length === 1) {
    const only = candidates[0]!;
    return nouns.some(noun => noun.values && noun.names.includes(only)) ? `${only} ` : only;
  }
  let common = candidates[0]!;
  for (const candidate of candidates) while (!candidate.startsWith(common)) common = common.slice(0, -1);
  return common.length > line.length ? common : line;
}
