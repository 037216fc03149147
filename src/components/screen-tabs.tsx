import { Text } from 'ink';
import { SCREEN_NAMES, TOP_SCREENS, type TopScreen } from '../store/screen-names.ts';
import { useTheme } from './contexts.ts';

/** Cells that the names of all screens take, and what the header has besides. */
const MIN_COLUMNS = 80;

/** The screens that number keys open, and which one is shown. */
export function ScreenTabs({ shown, columns }: { shown: TopScreen; columns: number }) {
  const { style } = useTheme();
  return (
    <Text>
      {TOP_SCREENS.map((screen, index) => {
        const name = columns >= MIN_COLUMNS || screen === shown ? ` ${SCREEN_NAMES[screen]}` : '';
        return screen === shown ? (
          <Text key={screen} {...style('focus')}>{` [${index + 1}${name}]`}</Text>
        ) : (
          <Text key={screen}>
            {' '}
            <Text {...style('key')}>{index + 1}</Text>
            <Text {...style('text.secondary')}>{name}</Text>
          </Text>
        );
      })}
    </Text>
  );
}
