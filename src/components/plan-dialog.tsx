import { Box, Text } from 'ink';
import { describeWaiting } from '../host/plan/describe.ts';
import {
  choicesOf,
  isReady,
  obstacleOf,
  PLAN_FRAME_ROWS,
  type PlanLayer,
  verbOf,
} from '../store/plan-layer.ts';
import type { Size } from '../store/ui-slice.ts';
import { printable } from '../text/printable.ts';
import { pad } from '../text/width.ts';
import { planLines, planTitle } from '../view/plan-lines.ts';
import { useTheme } from './contexts.ts';
import { TextField } from './text-field.tsx';

type PlanDialogProps = { readonly layer: PlanLayer; readonly size: Size };

/** A change of the host: everything that will be done, and the buttons to apply or cancel it. */
export function PlanDialog({ layer, size: { columns, rows } }: PlanDialogProps) {
  const { style, glyphs } = useTheme();
  const room = Math.max(0, rows - PLAN_FRAME_ROWS);
  const lines = planLines(layer, columns);
  const more = lines.length - layer.offset - room;
  const title = ` ${planTitle(layer.subject)} `;
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      <Text wrap="truncate" {...style('status.warning')} bold>
        {pad(title, columns, 'left', glyphs.ellipsis)}
      </Text>
      <Box flexDirection="column" height={room} overflow="hidden">
        {lines.slice(layer.offset, layer.offset + room).map(({ text, token }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line of the window is known by its place
          <Text key={index} wrap="truncate" {...style(token)}>
            {` ${text}`}
          </Text>
        ))}
      </Box>
      <Choices layer={layer} columns={columns} more={more} />
      <Word layer={layer} columns={columns} />
      <Buttons layer={layer} columns={columns} />
    </Box>
  );
}

/** A rule with the remaining choices, and the number of further lines of the plan. */
function Choices({ layer, columns, more }: { layer: PlanLayer; columns: number; more: number }) {
  const { style, glyphs } = useTheme();
  const parts = [
    ...(more > 0 ? [`${more} more line${more === 1 ? '' : 's'}: j`] : []),
    ...choicesOf(layer).map(({ key, text, on }) =>
      on === null ? `${key} ${text}` : `${key} [${on ? 'x' : ' '}] ${text}`,
    ),
  ];
  const rule = parts.map(part => `${glyphs.rule} ${part} `).join('') + glyphs.rule.repeat(columns);
  return (
    <Text wrap="truncate" {...style('text.secondary')}>
      {pad(rule, columns, 'left', '')}
    </Text>
  );
}

/** The word that must be typed to override a block, or else the progress. */
function Word({ layer, columns }: { layer: PlanLayer; columns: number }) {
  const { style } = useTheme();
  const { phase, focus, typed } = layer;
  if (phase.kind === 'planning') return <Text {...style('text.secondary')}> planning</Text>;
  if (phase.kind === 'working') {
    const text = phase.waiting === null ? 'under way' : describeWaiting(phase.waiting);
    return (
      <Text wrap="truncate" {...style(phase.waiting === null ? 'text.accent' : 'status.warning')}>
        {` ${printable(text)}`}
      </Text>
    );
  }
  const obstacle = obstacleOf(layer);
  if (phase.kind === 'done' || obstacle.kind === 'none') return <Text> </Text>;
  if (obstacle.kind === 'final') {
    return (
      <Text wrap="truncate" {...style('status.warning')}>
        {` ${obstacle.reason}`}
      </Text>
    );
  }
  const prompt = ` ${obstacle.why} anyway, type ${obstacle.word}: `;
  if (focus === 'word') return <TextField prompt={prompt} edit={typed} columns={columns} />;
  return (
    <Text wrap="truncate" {...style('status.error')}>
      {prompt}
      {typed.text}
    </Text>
  );
}

function Buttons({ layer, columns }: { layer: PlanLayer; columns: number }) {
  const { style, glyphs } = useTheme();
  const { subject, phase, focus } = layer;
  if (phase.kind === 'working') return <Text> </Text>;
  const button = (text: string, focused: boolean, enabled = true) => ({
    text: focused ? `${glyphs.cursor}[ ${text} ]` : ` [ ${text} ]`,
    token: focused
      ? ('selection' as const)
      : enabled
        ? ('text.primary' as const)
        : ('text.secondary' as const),
  });
  const closes = phase.kind === 'done' || obstacleOf(layer).kind === 'final';
  const verb = verbOf(subject);
  const buttons = closes
    ? [
        button('Close', true),
        // A forbidden action is shown, but dimmed.
        ...(phase.kind === 'review' && layer.forbidden !== null ? [button(verb, false, false)] : []),
      ]
    : [button('Cancel', focus === 'cancel'), button(verb, focus === 'confirm', isReady(layer))];
  const cells = buttons.reduce((sum, { text }) => sum + text.length + 1, 0);
  return (
    <Text wrap="truncate">
      {' '.repeat(Math.max(0, columns - cells - 1))}
      {buttons.map(({ text, token }) => (
        <Text key={text} {...style(token)}>
          {text}{' '}
        </Text>
      ))}
    </Text>
  );
}
