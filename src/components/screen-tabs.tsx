import { SCREEN_NAMES, SHORT_SCREEN_NAMES, TOP_SCREENS, type TopScreen } from '../store/screens.ts';
import { useTheme } from './contexts.ts';

const PROGRAM = ' vring';
/** A narrower terminal only shows the name of the current screen. */
const NAMES_COLUMNS = 80;
/** A screen's number, and the blank before it. */
const NUMBER_CELLS = 2;

type ScreenTabsProps = {
  readonly shown: TopScreen;
  readonly columns: number;
  /** Cells available for the tabs. */
  readonly room: number;
};

/** The program's name, the screens that number keys open, and the current screen if no number opens it. */
export function ScreenTabs({ shown, columns, room }: ScreenTabsProps) {
  const { paint } = useTheme();
  const { program, names, numbers } = fitted(shown, room, columns < NAMES_COLUMNS ? 0 : TOP_SCREENS.length);
  const tabs = TOP_SCREENS.map((screen, index) => {
    const name = names[index]!;
    if (screen !== shown && index >= numbers) return '';
    return screen === shown
      ? paint('focus', ` [${index}${name}]`)
      : ` ${paint('key', String(index))}${paint('text.secondary', name)}`;
  });
  return [
    ...(program ? [paint('focus', PROGRAM)] : []),
    ...tabs,
    ...(isNumbered(shown) ? [] : [paint('focus', ` [${SCREEN_NAMES[shown]}]`)]),
  ].join('');
}

/** Other screens are only opened by name. */
function isNumbered(shown: TopScreen): boolean {
  return TOP_SCREENS.some(screen => screen === shown);
}

/**
 * As much as fits. The program's name is dropped first; then names are shortened, then dropped, the last one first; then
 * their numbers. The name of the current screen is always complete.
 * @param most number of screens that may have their names
 * @returns the names, each with a blank before it, or empty
 */
function fitted(
  shown: TopScreen,
  room: number,
  most: number,
): { readonly program: boolean; readonly names: readonly string[]; readonly numbers: number } {
  const brackets = 2;
  const fixed =
    TOP_SCREENS.length * NUMBER_CELLS + brackets + (isNumbered(shown) ? 0 : SCREEN_NAMES[shown].length + 3);
  /** The first `whole` names complete, those up to `named` short. */
  const namesOf = (whole: number, named: number) =>
    TOP_SCREENS.map((screen, index) => {
      if (index < whole || screen === shown) return ` ${SCREEN_NAMES[screen]}`;
      return index < named ? ` ${SHORT_SCREEN_NAMES[screen]}` : '';
    });
  const fits = (names: readonly string[], more = 0) => fixed + names.join('').length + more <= room;
  const all = namesOf(most, most);
  if (fits(all, PROGRAM.length)) return { program: true, names: all, numbers: TOP_SCREENS.length };
  let whole = most;
  while (whole > 0 && !fits(namesOf(whole, most))) whole--;
  let named = most;
  while (named > 0 && !fits(namesOf(whole, named))) named--;
  const names = namesOf(whole, named);
  let numbers = TOP_SCREENS.length;
  const dropped = () => TOP_SCREENS.slice(numbers).filter(screen => screen !== shown).length;
  while (numbers > 0 && !fits(names, -dropped() * NUMBER_CELLS)) numbers--;
  return { program: false, names, numbers };
}
