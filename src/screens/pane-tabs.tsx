import { Text } from 'ink';
import { useTheme } from '../components/contexts.ts';
import { PANES, type Pane } from '../store/ui-slice.ts';

const TITLES: Readonly<Record<Pane, string>> = {
  vcpus: 'vCPUs',
  exits: 'Exits',
  regions: 'Devices',
  queues: 'Queues',
  console: 'Console',
};

/** Where one pane takes all the room: which one it is, and which others there are. */
export function PaneTabs({ pane }: { pane: Pane }) {
  const { style } = useTheme();
  return (
    <Text wrap="truncate">
      {PANES.map(name => (
        <Text key={name} {...style(name === pane ? 'focus' : 'text.secondary')}>
          {name === pane ? ` [${TITLES[name]}]` : `  ${TITLES[name]} `}
        </Text>
      ))}
    </Text>
  );
}
