import { Text } from 'ink';
import { pad } from '../text/width.ts';
import { lossText } from '../view/manager-loss.ts';
import { useAppState, useTheme, useUi } from './contexts.ts';

/** A line that is shown while the manager cannot be reached: everything below is the last known state. */
export function LinkBanner({ columns }: { columns: number }) {
  const { style, glyphs } = useTheme();
  const lost = useAppState(state => state.managerLost);
  const infos = useAppState(state => state.infos);
  const { readOnly } = useUi();
  if (lost === null) return null;
  const text = ` ${lossText(lost, Object.values(infos), readOnly === null)}`;
  return (
    <Text wrap="truncate" {...style('banner')}>
      {pad(text, columns, 'left', glyphs.ellipsis)}
    </Text>
  );
}
