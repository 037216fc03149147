import { type Command, type CommandContext, existsHere } from './action.ts';
import { alarmCommands } from './alarms.ts';
import { consoleCommands } from './console.ts';
import { definitionCommands } from './definitions.ts';
import { hostCommands } from './host.ts';
import { hostViewCommands } from './host-view.ts';
import { listCommands } from './lists.ts';
import { logCommands } from './log.ts';
import { viewCommands } from './view.ts';
import { vmCommands } from './vm.ts';
import { vmViewCommands } from './vm-view.ts';

/** Every command there is: the one source of the key bindings, the help, the key bar and the documentation. */
export const commands: readonly Command[] = [
  ...viewCommands,
  ...vmViewCommands,
  ...alarmCommands,
  ...logCommands,
  ...listCommands,
  ...hostViewCommands,
  ...hostCommands,
  ...vmCommands,
  ...definitionCommands,
  ...consoleCommands,
];

/** The command that a key means on the screen that is shown. */
export function commandOfKey(key: string, context: CommandContext): Command | undefined {
  return commands.find(command => command.keys.includes(key) && existsHere(command, context));
}

/** The commands of the screen that is shown. */
export function commandsHere(context: CommandContext): readonly Command[] {
  return commands.filter(command => existsHere(command, context));
}

/** The ones for the key bar, in its order. */
export function barCommands(context: CommandContext): readonly Command[] {
  return commandsHere(context)
    .filter(command => command.bar !== undefined)
    .sort((a, b) => a.bar! - b.bar!);
}

const KEY_LABELS: Readonly<Record<string, string>> = {
  enter: 'Enter',
  esc: 'Esc',
  tab: 'Tab',
  'shift+tab': 'Shift-Tab',
  space: 'Space',
  up: 'Up',
  down: 'Down',
  left: 'Left',
  right: 'Right',
  home: 'Home',
  end: 'End',
  pageup: 'PgUp',
  pagedown: 'PgDn',
  'ctrl+space': 'Ctrl-Space',
  'shift+up': 'Shift-Up',
  'shift+down': 'Shift-Down',
  'shift+left': 'Shift-Left',
  'shift+right': 'Shift-Right',
};

/** A key as people write it: `Ctrl-F`, `PgDn`, `K`. */
export function keyLabel(key: string): string {
  const control = /^ctrl\+(.)$/.exec(key);
  return control ? `Ctrl-${control[1]!.toUpperCase()}` : (KEY_LABELS[key] ?? key);
}
