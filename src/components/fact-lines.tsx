import { Box, Text } from 'ink';
import { memo } from 'react';
import { pad, width } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';
import type { Line } from '../view/facts.ts';
import { useTheme } from './contexts.ts';

type FactLinesProps = {
  readonly lines: readonly Line[];
  /** The first line to show. */
  readonly offset?: number;
  readonly columns: number;
  readonly rows: number;
};

/** As many facts as fit; the last line shows how many more lines there are. */
export function FactLines({ lines, offset = 0, columns, rows }: FactLinesProps) {
  const { style, glyphs } = useTheme();
  const more = lines.length - offset - rows;
  const shown = lines.slice(offset, offset + (more > 0 ? rows - 1 : rows));
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      {shown.map(({ name, text, token }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the window is known by its place
        <FactLine key={index} name={name} text={text} token={token} columns={columns} />
      ))}
      {more > 0 && (
        <Text wrap="truncate" {...style('text.secondary')}>
          {pad(` ${glyphs.ellipsis} ${more + 1} more lines`, columns, 'left', '')}
        </Text>
      )}
    </Box>
  );
}

type FactLineProps = {
  readonly name: string;
  readonly text: string;
  readonly token: Token;
  readonly columns: number;
};

/** As wide as its column, whatever the text: a new text needs no new layout. */
const FactLine = memo(function FactLine({ name, text, token, columns }: FactLineProps) {
  const { style } = useTheme();
  return (
    <Text wrap="truncate">
      <Text {...style('text.secondary')}> {name}</Text>
      <Text {...style(token)}>{text}</Text>
      {' '.repeat(Math.max(0, columns - 1 - width(name) - width(text)))}
    </Text>
  );
});
