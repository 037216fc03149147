import { Box, Text } from 'ink';
import type { FormField, FormLayer } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad, wrap } from '../text/width.ts';
import { slide } from '../view/table-window.ts';
import { useTheme } from './contexts.ts';
import { TextField } from './text-field.tsx';

const LABEL_CELLS = 18;
/** The title, and three lines for the field that has the focus: what may be typed, and what is wrong. */
const FRAME_ROWS = 5;
const PROBLEM_ROWS = 2;

/** What is asked, a line each, with what is wrong as it is typed. */
export function FormOverlay({ layer, size }: { layer: FormLayer; size: Size }) {
  const { style, glyphs } = useTheme();
  const { form, values, focus } = layer;
  const fields = form.fields(values);
  const room = Math.max(1, size.rows - FRAME_ROWS);
  const first = slide(0, fields.length, room, focus);
  const current = fields[focus]!;
  const line = (text: string) => pad(` ${text}`, size.columns, 'left', glyphs.ellipsis);
  const problem = wrap(form.problem(values, current) ?? '', size.columns - 1).slice(0, PROBLEM_ROWS);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Text wrap="truncate" {...style('text.heading')}>
        {line(form.title)}
      </Text>
      {fields.slice(first, first + room).map((field, index) => (
        <FormLine
          key={field.key}
          field={field}
          layer={layer}
          focused={first + index === focus}
          wrong={form.problem(values, field) !== null}
          columns={size.columns}
        />
      ))}
      <Text> </Text>
      <Text wrap="truncate" {...style('text.secondary')}>
        {line(`${current.label}: ${current.hint}`)}
      </Text>
      {problem.map(text => (
        <Text key={text} wrap="truncate" {...style('status.warning')}>
          {line(text)}
        </Text>
      ))}
    </Box>
  );
}

type FormLineProps = {
  readonly field: FormField;
  readonly layer: FormLayer;
  readonly focused: boolean;
  readonly wrong: boolean;
  readonly columns: number;
};

function FormLine({ field, layer, focused, wrong, columns }: FormLineProps) {
  const { style, glyphs } = useTheme();
  const label = `${focused ? glyphs.cursor : ' '} ${wrong ? '!' : ' '} ${pad(field.label, LABEL_CELLS)}`;
  const value = layer.form.value(layer.values, field);
  if (focused && field.choices === undefined)
    return <TextField prompt={label} edit={layer.edit} columns={columns - 1} />;
  const shown =
    field.choices?.map(choice => (choice === value ? `[${choice}]` : ` ${choice} `)).join(' ') ?? value;
  const given = layer.values[field.key] !== undefined;
  return (
    <Text wrap="truncate">
      <Text {...style(focused ? 'key' : wrong ? 'status.warning' : 'text.primary')}>{label}</Text>
      <Text {...style(given || focused ? 'text.primary' : 'text.secondary')}>
        {pad(shown, columns - label.length - 1, 'left', glyphs.ellipsis)}
      </Text>
    </Text>
  );
}
