import { Box, Text } from 'ink';
import { type FormField, type FormLayer, shownProblem } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad, truncate, width, wrap } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';
import { useTheme } from './contexts.ts';
import { TextField } from './text-field.tsx';

const LABEL_CELLS = 18;
/** The title, a blank line, and a hint for the focused field. */
const FRAME_ROWS = 3;
/** Remarks below the focused field. */
const REMARK_ROWS = 4;
const REMARK_INDENT = '      ';

type Remark = { readonly text: string; readonly token: Token };

/** One line per question; problems and completions are below the field that they are about. */
export function FormOverlay({ layer, size }: { layer: FormLayer; size: Size }) {
  const { style, glyphs } = useTheme();
  const { form, values, focus } = layer;
  const fields = form.fields(values);
  const current = fields[focus];
  const remarks = current === undefined ? [] : remarksOn(layer, current, size.columns);
  // A line for each field and for the button, and the remarks in between.
  const room = Math.max(1, size.rows - FRAME_ROWS);
  const first = Math.max(0, Math.min(focus, focus + remarks.length + 1 - room));
  const line = (text: string) => pad(` ${text}`, size.columns, 'left', glyphs.ellipsis);
  const lines = [...fields, null].flatMap((field, index) => {
    const focused = index === focus;
    if (field === null) return [<FormButton key="button" layer={layer} focused={focused} line={line} />];
    return [
      <FormLine key={field.key} field={field} layer={layer} focused={focused} columns={size.columns} />,
      ...(focused ? remarks : []).map(({ text, token }, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a remark's line is known by its place
        <Text key={`remark ${row}`} wrap="truncate" {...style(token)}>
          {line(text)}
        </Text>
      )),
    ];
  });
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Text wrap="truncate" {...style('text.heading')}>
        {line(form.title)}
      </Text>
      {lines.slice(first, first + room)}
      <Text> </Text>
      <Text wrap="truncate" {...style('text.secondary')}>
        {line(current === undefined ? `${form.button}: Enter` : `${current.label}: ${current.hint}`)}
      </Text>
    </Box>
  );
}

function remarksOn(layer: FormLayer, field: FormField, columns: number): Remark[] {
  const cells = columns - REMARK_INDENT.length - 1;
  if (layer.candidates.length > 0) return candidateLines(layer.candidates, cells);
  const problem = shownProblem(layer, field);
  const note = problem ?? layer.form.note(layer.values, field);
  if (note === null) return [];
  const token = problem === null ? 'text.secondary' : 'status.warning';
  return wrap(note, cells)
    .slice(0, REMARK_ROWS)
    .map(text => ({ text: REMARK_INDENT + text, token }));
}

/** The candidates in columns, and the number of those that do not fit. */
function candidateLines(candidates: readonly string[], cells: number): Remark[] {
  const widest = Math.min(cells, Math.max(...candidates.map(width)) + 2);
  const perLine = Math.max(1, Math.floor(cells / widest));
  const fitting = perLine * REMARK_ROWS;
  const shown = candidates.length <= fitting ? candidates : candidates.slice(0, perLine * (REMARK_ROWS - 1));
  const left = candidates.length - shown.length;
  const rows = Array.from({ length: Math.ceil(shown.length / perLine) }, (_, row) =>
    shown
      .slice(row * perLine, (row + 1) * perLine)
      .map(name => pad(truncate(name, widest - 1), widest))
      .join(''),
  );
  return [...rows, ...(left > 0 ? [`and ${left} more`] : [])].map(text => ({
    text: REMARK_INDENT + text,
    token: 'text.accent',
  }));
}

type FormLineProps = {
  readonly field: FormField;
  readonly layer: FormLayer;
  readonly focused: boolean;
  readonly columns: number;
};

function FormLine({ field, layer, focused, columns }: FormLineProps) {
  const { style, glyphs } = useTheme();
  const wrong = shownProblem(layer, field) !== null;
  const label = ` ${focused ? glyphs.cursor : ' '}${wrong ? '!' : ' '} ${pad(field.label, LABEL_CELLS)}`;
  const value = layer.form.value(layer.values, field);
  if (focused && field.choices === undefined && !field.checkbox) {
    return <TextField prompt={label} edit={layer.edit} columns={columns - 1} isDefault={layer.fresh} />;
  }
  const given = layer.values[field.key] !== undefined;
  return (
    <Text wrap="truncate">
      <Text {...style(focused ? 'key' : wrong ? 'status.warning' : 'text.primary')}>{label}</Text>
      <Text {...style(given || focused ? 'text.primary' : 'text.secondary')}>
        {pad(shownValue(field, value), columns - width(label) - 1, 'left', glyphs.ellipsis)}
      </Text>
    </Text>
  );
}

function shownValue({ choices, missingChoices, checkbox }: FormField, value: string): string {
  if (checkbox) return value === 'yes' ? '[x]' : '[ ]';
  if (choices === undefined) return value;
  const shown = choices.map(choice => (choice === value ? `[${choice}]` : ` ${choice} `)).join(' ');
  return missingChoices === undefined ? shown : `${shown}  (${missingChoices})`;
}

type FormButtonProps = {
  readonly layer: FormLayer;
  readonly focused: boolean;
  readonly line: (text: string) => string;
};

function FormButton({ layer, focused, line }: FormButtonProps) {
  const { style, glyphs } = useTheme();
  return (
    <Text wrap="truncate" {...style(focused ? 'key' : 'text.primary')}>
      {line(`${focused ? glyphs.cursor : ' '}  [ ${layer.form.button} ]`)}
    </Text>
  );
}
