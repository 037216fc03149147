import { Box, Text } from 'ink';
import { actionContext } from '../actions/action.ts';
import { helpLines } from '../keys/help-lines.ts';
import type { Size } from '../store/ui-slice.ts';
import { useTheme, useUi } from './contexts.ts';

/** The help for the screen below. */
export function HelpOverlay({ offset, size }: { offset: number; size: Size }) {
  const { style } = useTheme();
  const lines = helpLines(actionContext(useUi()), size.columns);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      {lines.slice(offset, offset + size.rows).map(({ text, token }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the window is known by its place
        <Text key={index} wrap="truncate" {...style(token)}>
          {text}
        </Text>
      ))}
    </Box>
  );
}
