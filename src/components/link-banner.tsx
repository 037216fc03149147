import { Text } from 'ink';
import { pad } from '../text/width.ts';
import { useAppState, useTheme } from './contexts.ts';

/** A line that is there while the process that runs the VMs is out of reach: what is shown is what was last known. */
export function LinkBanner({ columns }: { columns: number }) {
  const { style, glyphs } = useTheme();
  const lost = useAppState(state => state.managerLost);
  if (lost === null) return null;
  const text = ` manager out of reach: ${lost}; trying again`;
  return (
    <Text wrap="truncate" {...style('banner')}>
      {pad(text, columns, 'left', glyphs.ellipsis)}
    </Text>
  );
}
