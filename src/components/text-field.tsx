import { Text } from 'ink';
import type { TextEdit } from '../text/text-edit.ts';
import { pad } from '../text/width.ts';
import { useTheme } from './contexts.ts';

type TextFieldProps = { readonly prompt: string; readonly edit: TextEdit; readonly columns: number };

/** A line that is being typed, in `columns` cells; the part around the cursor where it is longer. */
export function TextField({ prompt, edit, columns }: TextFieldProps) {
  const { style } = useTheme();
  const points = [...edit.text, ' '];
  const room = Math.max(1, columns - prompt.length);
  const start = Math.max(0, edit.cursor - room + 1);
  const before = points.slice(start, edit.cursor).join('');
  const after = points.slice(edit.cursor + 1, start + room).join('');
  return (
    <Text wrap="truncate">
      <Text {...style('key')}>{prompt}</Text>
      {before}
      <Text inverse>{points[edit.cursor]}</Text>
      {pad(after, Math.max(0, room - [...before].length - 1), 'left', '')}
    </Text>
  );
}
