import { Text } from 'ink';
import { useTheme } from '../../components/contexts.ts';
import { VM_TABS, type VmTab } from '../../store/vm-view-slice.ts';

const TITLES: Readonly<Record<VmTab, string>> = {
  summary: 'Summary',
  vcpus: 'vCPUs',
  exits: 'Exits',
  queues: 'Queues',
  disks: 'Disks',
  networks: 'Net',
  devices: 'Devices',
  console: 'Console',
  events: 'Events',
};

/** Cells that the names of all tabs take. */
const MIN_COLUMNS = 80;

/** The tabs that number keys open, and which one is shown. */
export function TabBar({ tab, columns }: { tab: VmTab; columns: number }) {
  const { style } = useTheme();
  return (
    <Text wrap="truncate">
      {VM_TABS.map((name, index) => {
        const title = columns >= MIN_COLUMNS || name === tab ? ` ${TITLES[name]}` : '';
        return name === tab ? (
          <Text key={name} {...style('focus')}>{` [${index + 1}${title}]`}</Text>
        ) : (
          <Text key={name}>
            {' '}
            <Text {...style('key')}>{index + 1}</Text>
            <Text {...style('text.secondary')}>{title}</Text>
          </Text>
        );
      })}
    </Text>
  );
}
