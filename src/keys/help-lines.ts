import { type Action, type ActionContext, CATEGORIES, disabledReason } from '../actions/action.ts';
import { actionsHere } from '../actions/registry.ts';
import { pad, wrap } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';
import { shownSorted } from '../view/sort-columns.ts';
import { keyLabel, keysOf } from './bindings.ts';
import { sortLetters } from './sort-letters.ts';

const KEYS_CELLS = 18;

export type HelpLine = { readonly text: string; readonly token: Token };

/** Every key of the screen that is shown, from the registry; unavailable actions say why. */
export function helpLines(context: ActionContext, columns: number): HelpLine[] {
  const here = actionsHere(context);
  return CATEGORIES.flatMap(category => {
    const actions = here.filter(action => action.category === category);
    if (actions.length === 0) return [];
    return [
      { text: ` ${category}`, token: 'text.heading' as const },
      ...actions.flatMap(action => [
        ...actionLines(action, context, columns),
        ...(action.name === 'sort-menu' ? sortLines(context, columns) : []),
      ]),
    ];
  });
}

/** The letters that sort the list that is shown; capitals do so without a leading `o`. */
function sortLines({ state }: ActionContext, columns: number): HelpLine[] {
  const screen = shownSorted(state);
  if (screen === null) return [];
  const letters = sortLetters(screen).map(
    ({ letter, title, shift }) => `${shift ? letter.toUpperCase() : letter} ${title}`,
  );
  return wrap(letters.join(', '), columns - KEYS_CELLS - 6).map(text => ({
    text: `   ${pad('', KEYS_CELLS)}   ${text}`,
    token: 'text.secondary',
  }));
}

/** An action's keys, and its description wrapped to as many lines as needed. */
function actionLines(action: Action, context: ActionContext, columns: number): HelpLine[] {
  const reason = disabledReason(action, context);
  const remark = reason !== null ? ` (not now: ${reason})` : action.dangerous ? ' (asks first)' : '';
  const keys = keysOf(action).map(keyLabel).join(' ');
  const token = reason === null ? 'text.primary' : 'text.secondary';
  return wrap(action.description + remark, columns - KEYS_CELLS - 4).map((text, index) => ({
    text: `   ${pad(index === 0 ? keys : '', KEYS_CELLS)} ${text}`,
    token,
  }));
}
