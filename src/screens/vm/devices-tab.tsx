import { Box } from 'ink';
import { useAppState } from '../../components/contexts.ts';
import { FactLines } from '../../components/fact-lines.tsx';
import { HistogramBars } from '../../components/histogram-bars.tsx';
import { Section } from '../../components/section.tsx';
import { Table, TableRow } from '../../components/table/table.tsx';
import { percentiles } from '../../engine/sampling/histogram.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import type { HostSnapshot } from '../../host-service/snapshot.ts';
import type { Size } from '../../store/ui-slice.ts';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { own } from '../../text/own.ts';
import { bytes, nanoseconds, percent, rate } from '../../text/units.ts';
import { type DeviceRow, deviceFacts, deviceRows, factText, noLatencyText } from '../../view/device-rows.ts';
import { type Fact, factLines } from '../../view/facts.ts';
import type { Cells } from '../../view/list-columns.ts';
import { hostName } from '../../view/passed-device-facts.ts';
import { type Column, layoutColumns } from '../../view/table-columns.ts';
import { useEmptyText } from './empty-text.ts';
import { listAndDetails } from './list-and-details.ts';
import type { PaneProps } from './pane-props.ts';

const DEVICE_COLUMNS: readonly Column[] = [
  { key: 'name', title: 'DEVICE', min: 13, ideal: 16, cut: 'middle' },
  { key: 'type', title: 'TYPE', min: 12 },
  { key: 'address', title: 'ADDRESS', min: 7, cut: 'never' },
  { key: 'accesses', title: 'ACCESS/s', min: 8, align: 'right' },
  { key: 'share', title: 'TIME%', min: 5, align: 'right' },
  { key: 'requests', title: 'REQ/s', min: 6, align: 'right' },
  { key: 'interrupts', title: 'IRQ/s', min: 6, align: 'right', priority: 2 },
  { key: 'title', title: 'DESCRIPTION', min: 16, grow: 1, priority: 1 },
];

const DISK_COLUMNS: readonly Column[] = [
  { key: 'name', title: 'DISK', min: 11, ideal: 16, cut: 'middle' },
  { key: 'format', title: 'FORMAT', min: 6, priority: 6 },
  { key: 'size', title: 'SIZE', min: 6, align: 'right' },
  { key: 'requests', title: 'REQ/s', min: 6, align: 'right' },
  { key: 'toGuest', title: 'READ/s', min: 7, align: 'right' },
  { key: 'fromGuest', title: 'WRITE/s', min: 7, align: 'right' },
  { key: 'inFlight', title: 'DEPTH', min: 5, align: 'right', priority: 2 },
  { key: 'p50', title: 'P50', min: 6, align: 'right', priority: 3 },
  { key: 'p99', title: 'P99', min: 6, align: 'right', priority: 1 },
  { key: 'errors', title: 'ERR/s', min: 5, align: 'right', priority: 5 },
  { key: 'path', title: 'PATH', min: 12, grow: 1, priority: 4, cut: 'middle' },
];

const NETWORK_COLUMNS: readonly Column[] = [
  { key: 'name', title: 'CARD', min: 8, ideal: 14, cut: 'middle' },
  { key: 'network', title: 'NETWORK', min: 12, ideal: 20, cut: 'middle', grow: 1 },
  { key: 'link', title: 'LINK', min: 4 },
  { key: 'toGuest', title: 'IN/s', min: 6, align: 'right' },
  { key: 'fromGuest', title: 'OUT/s', min: 6, align: 'right' },
  { key: 'requests', title: 'PKT/s', min: 6, align: 'right' },
  { key: 'dropped', title: 'DROP/s', min: 6, align: 'right' },
  { key: 'errors', title: 'ERR/s', min: 5, align: 'right', priority: 2 },
  { key: 'pairs', title: 'PAIRS', min: 5, align: 'right', priority: 3 },
  { key: 'mac', title: 'MAC', min: 17, priority: 1, cut: 'never' },
  { key: 'type', title: 'TYPE', min: 11, priority: 4 },
];

/** All devices; below, the one under the cursor. */
export function DevicesTab(props: PaneProps) {
  return <DeviceList {...props} tab="devices" columns={DEVICE_COLUMNS} empty="No devices" />;
}

export function DisksTab(props: PaneProps) {
  return (
    <DeviceList {...props} tab="disks" only="disk" columns={DISK_COLUMNS} empty="No disks; a attaches one" />
  );
}

export function NetworksTab(props: PaneProps) {
  return (
    <DeviceList
      {...props}
      tab="networks"
      only="net"
      columns={NETWORK_COLUMNS}
      empty="No network cards; a attaches one"
    />
  );
}

type DeviceListProps = PaneProps & {
  readonly tab: 'devices' | 'disks' | 'networks';
  readonly only?: DeviceRow['backend'];
  readonly columns: readonly Column[];
  readonly empty: string;
};

function DeviceList({ id, size, tab, only, columns, empty }: DeviceListProps) {
  const vm = useAppState(state => own(state.infos, id));
  const host = useAppState(state => state.host);
  const rates = useAppState(state => (state.detail?.id === id ? state.detail.rates : null));
  const cursor = useAppState(state => vmViewOf(state, id).cursors[tab]);
  const unbuilt = useEmptyText(id, 'The VM is starting');
  if (vm === undefined) return null;
  const rows = deviceRows(vm, rates, only);
  const layout = layoutColumns(columns, size.columns);
  const { list, details } = listAndDetails(size, rows.length);
  const row = rows[Math.min(cursor, rows.length - 1)];
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Table
        layout={layout}
        rows={rows}
        height={list.rows}
        cursor={cursor}
        focused
        empty={noneText(vm, empty, unbuilt)}
        renderRow={(row, selected) => (
          <TableRow
            key={row.name}
            layout={layout}
            selected={selected}
            cells={cellsOf(row, vm, host)}
            {...(!isAlive(vm) && { token: 'text.secondary' })}
          />
        )}
      />
      {details && row && <DeviceDetails row={row} facts={deviceFacts(vm, row, host)} size={details} />}
    </Box>
  );
}

/** A VM that is off shows the devices of its definition; without one, those of its last run. */
function noneText(vm: VmInfo, empty: string, unbuilt: string): string {
  if (!isAlive(vm) && vm.defined && vm.problem === null) return empty;
  if (vm.topology === null) return unbuilt;
  return isAlive(vm) ? empty : 'None when it last ran';
}

/** A host device is best known by its name on the host. */
function titleOf({ title, hostDevice, ...row }: DeviceRow, host: HostSnapshot | null): string {
  const address = hostDevice?.address ?? row.host;
  if (address === undefined) return title;
  return [address.replace(/^0000:/, ''), hostName(address, host) || title].join(' ');
}

function markedName(
  { name, broken, diskErrors, hostDevice, removing }: DeviceRow,
  { hostDevices = [] }: VmInfo,
): Cells[string] {
  const unsafe = hostDevices.some(({ address, noIommu }) => noIommu && address === hostDevice?.address);
  if (removing !== undefined) return { text: `${name} leaving`, token: 'status.warning' };
  if (unsafe) return { text: `${name} UNSAFE`, token: 'status.error' };
  if (broken !== null) return { text: `${name} BROKEN`, token: 'status.error' };
  return diskErrors === null ? name : { text: `${name} !`, token: 'status.error' };
}

/** The details show why a link is down. */
function linkCell(link: string): Cells[string] {
  return link.startsWith('down') ? { text: 'down', token: 'status.warning' } : link;
}

function cellsOf(row: DeviceRow, vm: VmInfo, host: HostSnapshot | null): Cells {
  const known = Object.fromEntries(row.facts.map(({ label, value, unit }) => [label, factText(value, unit)]));
  const latency = percentiles(row.latency);
  const ofQueues = (text: string) => (row.queues === 0 ? '-' : text);
  return {
    name: markedName(row, vm),
    type: row.type,
    address: row.address ?? '-',
    title: titleOf(row, host),
    accesses: row.onlyDefined ? '-' : rate(row.accesses),
    share: row.onlyDefined ? '-' : percent(row.share),
    requests: ofQueues(rate(row.requests)),
    interrupts: row.hostInterrupts === null ? ofQueues(rate(row.interrupts)) : rate(row.interrupts),
    toGuest: ofQueues(bytes(row.bytesToGuest)),
    fromGuest: ofQueues(bytes(row.bytesFromGuest)),
    inFlight: ofQueues(String(row.inFlight)),
    errors: row.errors > 0 ? { text: rate(row.errors), token: 'status.error' } : ofQueues('0'),
    p50: latency === null ? '-' : nanoseconds(latency.p50Ns),
    p99: latency === null ? '-' : nanoseconds(latency.p99Ns),
    format: known.format ?? '-',
    size: known.size ?? '-',
    path: known.path ?? '-',
    mac: known.MAC ?? '-',
    network: known.network ?? '-',
    link: linkCell(known.link ?? '-'),
    pairs: known.queues ?? '-',
    dropped: row.dropped > 0 ? { text: rate(row.dropped), token: 'status.warning' } : ofQueues('0'),
  };
}

type DeviceDetailsProps = { readonly row: DeviceRow; readonly facts: readonly Fact[]; readonly size: Size };

/** Facts about a device and, if it has virtqueues, how long its requests take. */
function DeviceDetails({ row, facts, size: { columns, rows } }: DeviceDetailsProps) {
  const half = row.queues === 0 ? columns : Math.floor(columns / 2);
  const about = row.queues === 0 ? row.name : `${row.name}: facts, and request latency`;
  return (
    <Box flexDirection="column" height={rows} overflow="hidden">
      <Section title={about} columns={columns} />
      <Box height={rows - 1}>
        <FactLines lines={factLines(facts, half - 1)} columns={half} rows={rows - 1} />
        {row.queues > 0 && (
          <HistogramBars
            counts={row.latency}
            size={{ columns: columns - half, rows: rows - 1 }}
            empty={noLatencyText(row)}
          />
        )}
      </Box>
    </Box>
  );
}
