import { Text } from 'ink';
import { pad } from '../text/width.ts';
import { useTheme } from './contexts.ts';

/** A rule with a title, above the contents of a section. */
export function Section({ title, columns }: { title: string; columns: number }) {
  const { style, glyphs } = useTheme();
  const text = title === '' ? '' : `${glyphs.rule} ${title} `;
  return (
    <Text wrap="truncate" {...style('text.heading')}>
      {pad(text + glyphs.rule.repeat(columns), columns, 'left', '')}
    </Text>
  );
}
