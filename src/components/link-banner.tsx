import { Text } from 'ink';
import { pad } from '../text/width.ts';
import { lossText, START_AGAIN_KEY } from '../view/manager-loss.ts';
import { useAppState, useTheme, useUi } from './contexts.ts';

/** A line that is shown while the manager cannot be reached: everything below is the last known state. */
export function LinkBanner({ columns }: { columns: number }) {
  const { style, glyphs } = useTheme();
  const lost = useAppState(state => state.managerLost);
  const infos = useAppState(state => state.infos);
  const layer = useAppState(state => state.layers.at(-1)?.kind);
  const { readOnly } = useUi();
  if (lost === null) return null;
  // Other keys go to the guest, or into the form.
  const before = layer === undefined ? '' : layer === 'console' ? 'Ctrl-] and ' : 'Esc and ';
  const options = { key: readOnly === null ? before + START_AGAIN_KEY : null, cells: columns - 1 };
  const text = ` ${lossText(lost, Object.values(infos), options)}`;
  return (
    <Text wrap="truncate" {...style('banner')}>
      {pad(text, columns, 'left', glyphs.ellipsis)}
    </Text>
  );
}
