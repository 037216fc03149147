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
  snapshots: 'Snapshots',
};

const SHORT_TITLES: Readonly<Record<VmTab, string>> = {
  ...TITLES,
  summary: 'Sum',
  exits: 'Exit',
  devices: 'Dev',
  console: 'Cons',
  snapshots: 'Snap',
};

/** Cells needed for the full names of all tabs, and for their short names. */
const MIN_COLUMNS = 92;
const MIN_COLUMNS_SHORT = 80;

function titleOf(name: VmTab, shown: VmTab, columns: number): string {
  if (columns >= MIN_COLUMNS || name === shown) return ` ${TITLES[name]}`;
  return columns >= MIN_COLUMNS_SHORT ? ` ${SHORT_TITLES[name]}` : '';
}

/** The tabs that number keys open, with the current one marked. */
export function TabBar({ tab, columns }: { tab: VmTab; columns: number }) {
  const { style } = useTheme();
  return (
    <Text wrap="truncate">
      {VM_TABS.map((name, index) => {
        const title = titleOf(name, tab, columns);
        const key = (index + 1) % 10;
        return name === tab ? (
          <Text key={name} {...style('focus')}>{` [${key}${title}]`}</Text>
        ) : (
          <Text key={name}>
            {' '}
            <Text {...style('key')}>{key}</Text>
            <Text {...style('text.secondary')}>{title}</Text>
          </Text>
        );
      })}
    </Text>
  );
}
