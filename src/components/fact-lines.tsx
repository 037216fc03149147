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

const BLANK: Line = { name: '', text: '', token: 'text.primary' };

/**
 * As many facts as fit, and blank lines: their number stays the same, so that other facts need no new layout. The last line shows how many more lines there are. */
export function FactLines({ lines, offset = 0, columns, rows }: FactLinesProps) {
  const { glyphs } = useTheme();
  const more = lines.length - offset - rows;
  const shown = lines.slice(offset, offset + (more > 0 ? rows - 1 : rows));
  if (more > 0) {
    const text = pad(`${glyphs.ellipsis} ${more + 1} more lines`, columns - 1, 'left', '');
    shown.push({ name: '', text, token: 'text.secondary' });
  }
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the window is known by its place
        <FactLine key={index} {...(shown[index] ?? BLANK)} columns={columns} />
      ))}
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
  const { paint } = useTheme();
  const fact =
    name === '' ? paint(token, ` ${text}`) : paint('text.secondary', ` ${name}`) + paint(token, text);
  const rest = ' '.repeat(Math.max(0, columns - 1 - width(name) - width(text)));
  return <Text wrap="truncate">{fact + rest}</Text>;
});
