import { Box, Text } from 'ink';
import type { Layer } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad, wrap } from '../text/width.ts';
import { useTheme } from './contexts.ts';

const MAX_CELLS = 60;
/** Border and padding on both sides. */
const FRAME_CELLS = 4;

type DialogProps = { readonly layer: Extract<Layer, { kind: 'dialog' }>; readonly size: Size };

/** A question over the middle of the screen. Its lines are as wide as it is, so that they cover what is below. */
export function Dialog({ layer: { question, button }, size }: DialogProps) {
  const { style, glyphs } = useTheme();
  const cells = Math.max(1, Math.min(MAX_CELLS, size.columns - 2) - FRAME_CELLS);
  const body = wrap(question.body, cells);
  const height = body.length + 6;
  const blank = ' '.repeat(cells + 2);
  const line = (text: string) => ` ${pad(text, cells, 'left', glyphs.ellipsis)} `;
  return (
    <Box
      position="absolute"
      top={Math.max(0, Math.floor((size.rows - height) / 2))}
      left={Math.max(0, Math.floor((size.columns - cells - FRAME_CELLS) / 2))}
      flexDirection="column"
      borderStyle={glyphs.border}
    >
      <Text {...style('status.warning')}>{line(question.title)}</Text>
      <Text>{blank}</Text>
      {body.map(text => (
        <Text key={text}>{line(text)}</Text>
      ))}
      <Text>{blank}</Text>
      <Buttons verb={question.verb} button={button} cells={cells} />
    </Box>
  );
}

function Buttons({ verb, button, cells }: { verb: string; button: 'cancel' | 'confirm'; cells: number }) {
  const { style, glyphs } = useTheme();
  // The marker says it where inverse does not show.
  const label = (text: string, focused: boolean) =>
    focused ? `${glyphs.cursor}[ ${text} ]` : ` [ ${text} ]`;
  const cancel = label('Cancel', button === 'cancel');
  const confirm = label(verb, button === 'confirm');
  return (
    <Text>
      {' '.repeat(Math.max(0, cells - cancel.length - confirm.length))}
      <Text {...(button === 'cancel' ? style('selection') : {})}>{cancel}</Text>{' '}
      <Text {...(button === 'confirm' ? style('selection') : {})}>{confirm}</Text>{' '}
    </Text>
  );
}
