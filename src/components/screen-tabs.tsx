import { Text } from 'ink';
import { SCREEN_NAMES, TOP_SCREENS, type TopScreen } from '../store/screens.ts';
import { useTheme } from './contexts.ts';

const PROGRAM = ' vring';
/** A narrower terminal shows the name of the current screen only. */
const NAMES_COLUMNS = 80;

type ScreenTabsProps = {
  readonly shown: TopScreen;
  readonly columns: number;
  /** Cells that there are for them. */
  readonly room: number;
};

/** The program's name, the screens that number keys open, and the one that is shown, if no number opens it, too. */
export function ScreenTabs({ shown, columns, room }: ScreenTabsProps) {
  const { style } = useTheme();
  const { program, named } = fitted(shown, room, columns < NAMES_COLUMNS ? 0 : TOP_SCREENS.length);
  const unnumbered = !isNumbered(shown);
  return (
    <>
      {program && <Text {...style('focus')}>{PROGRAM}</Text>}
      {TOP_SCREENS.map((screen, index) => {
        const name = index < named || screen === shown ? ` ${SCREEN_NAMES[screen]}` : '';
        return screen === shown ? (
          <Text key={screen} {...style('focus')}>{` [${index}${name}]`}</Text>
        ) : (
          <Text key={screen}>
            {' '}
            <Text {...style('key')}>{index}</Text>
            <Text {...style('text.secondary')}>{name}</Text>
          </Text>
        );
      })}
      {unnumbered && <Text {...style('focus')}>{` [${SCREEN_NAMES[shown]}]`}</Text>}
    </>
  );
}

/** Others are opened by their names alone. */
function isNumbered(shown: TopScreen): boolean {
  return TOP_SCREENS.some(screen => screen === shown);
}

/**
 * What fits: without room the program's name goes first, then the names of screens, the last one first.
 * @param most number of screens that may have their names
 */
function fitted(shown: TopScreen, room: number, most: number): { program: boolean; named: number } {
  const brackets = 2;
  const numbers =
    TOP_SCREENS.length * 2 + brackets + (isNumbered(shown) ? 0 : SCREEN_NAMES[shown].length + 1);
  const cells = (named: number) =>
    TOP_SCREENS.reduce(
      (sum, screen, index) =>
        index < named || screen === shown ? sum + SCREEN_NAMES[screen].length + 1 : sum,
      numbers,
    );
  let named = most;
  if (cells(named) + PROGRAM.length <= room) return { program: true, named };
  while (named > 0 && cells(named) > room) named--;
  return { program: false, named };
}
