import { Text } from 'ink';
import type { TextEdit } from '../text/text-edit.ts';
import { pad, width } from '../text/width.ts';
import { useTheme } from './contexts.ts';

type TextFieldProps = {
  readonly prompt: string;
  readonly edit: TextEdit;
  readonly columns: number;
  /** Whether the text is a default, which typing replaces. */
  readonly isDefault?: boolean;
};

/** A line being typed, in `columns` cells; of a longer line, the part around the cursor. */
export function TextField({ prompt, edit, columns, isDefault = false }: TextFieldProps) {
  const { paint } = useTheme();
  const points = [...edit.text, ' '];
  const cursor = points[edit.cursor]!;
  const room = Math.max(1, columns - width(prompt));
  let start = edit.cursor;
  let used = width(cursor);
  while (start > 0 && used + width(points[start - 1]!) <= room) used += width(points[--start]!);
  const before = points.slice(start, edit.cursor).join('');
  const after = points.slice(edit.cursor + 1).join('');
  const token = isDefault ? 'text.secondary' : 'text.primary';
  const rest = pad(after, Math.max(0, room - used), 'left', '');
  return (
    <Text wrap="truncate">
      {paint('key', prompt) + paint(token, before) + paint('selection', cursor) + paint(token, rest)}
    </Text>
  );
}
