import { CATEGORIES, type Command, type CommandContext, reasonAgainst } from '../actions/action.ts';
import { commandsHere, keyLabel } from '../actions/registry.ts';
import { pad, wrap } from '../text/width.ts';
import type { Token } from '../theme/theme.ts';

const KEYS_CELLS = 18;

export type HelpLine = { readonly text: string; readonly token: Token };

/** Every key that means something on the screen that is shown, from the registry; what can't be done now says why. */
export function helpLines(context: CommandContext, columns: number): HelpLine[] {
  const here = commandsHere(context);
  return CATEGORIES.flatMap(category => {
    const commands = here.filter(command => command.category === category);
    if (commands.length === 0) return [];
    return [
      { text: ` ${category}`, token: 'text.heading' as const },
      ...commands.flatMap(command => commandLines(command, context, columns)),
    ];
  });
}

/** Its keys, and what it does in as many lines as that takes. */
function commandLines(command: Command, context: CommandContext, columns: number): HelpLine[] {
  const reason = reasonAgainst(command, context);
  const remark = reason !== null ? ` (not now: ${reason})` : command.dangerous ? ' (asks first)' : '';
  const keys = command.keys.map(keyLabel).join(' ');
  const token = reason === null ? 'text.primary' : 'text.secondary';
  return wrap(command.description + remark, columns - KEYS_CELLS - 4).map((text, index) => ({
    text: `   ${pad(index === 0 ? keys : '', KEYS_CELLS)} ${text}`,
    token,
  }));
}
