import type { VmTotals } from '../../engine/sampling/rates.ts';
import type { Sample } from '../../engine/sampling/sampling.ts';
import type { VmInfo, VmState } from '../../engine/vm-info.ts';
import { own } from '../../text/own.ts';
import { bytes, percent, rate } from '../../text/units.ts';
import { type Column, tableLines } from '../host/table.ts';
import type { HostUse } from './load.ts';

export type TopRow = { readonly name: string; readonly state: VmState; readonly rates: VmTotals };

/** Host and VM activity over an interval. */
export type Top = {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  readonly host: HostUse;
  readonly vms: readonly TopRow[];
};

/** Running VMs, by descending CPU time. */
export function topRows(vms: readonly VmInfo[], sample: Sample): TopRow[] {
  return vms
    .flatMap(({ id, name, state }) => {
      const rates = own(sample.totals, id);
      return rates === undefined ? [] : [{ name, state, rates }];
    })
    .sort((a, b) => b.rates.cpu - a.rates.cpu || (a.name < b.name ? -1 : 1));
}

export function topLines({ host, vms }: Top, cells: number): string[] {
  const { memory } = host;
  const used = memory.totalBytes - memory.availableBytes;
  const columns: Column<TopRow>[] = [
    { title: 'NAME', text: row => row.name, least: 8 },
    { title: 'STATE', text: row => row.state, rank: 1 },
    { title: 'CPU', text: row => percent(row.rates.cpu), align: 'right' },
    { title: 'EXITS/s', text: row => rate(row.rates.exits), align: 'right' },
    { title: 'READ/s', text: row => bytes(row.rates.diskReadBytes), align: 'right', rank: 2 },
    { title: 'WRITE/s', text: row => bytes(row.rates.diskWriteBytes), align: 'right', rank: 2 },
    { title: 'REQ/s', text: row => rate(row.rates.requests), align: 'right', rank: 3 },
    { title: 'KICKS/s', text: row => rate(row.rates.kicks), align: 'right', rank: 4 },
    { title: 'IRQ/s', text: row => rate(row.rates.interrupts), align: 'right', rank: 4 },
  ];
  return [
    `host: ${percent(host.cpu)} of ${host.cpus} CPUs, ${bytes(used)} of ${bytes(memory.totalBytes)} memory in use; ${vms.length} running`,
    ...(vms.length === 0 ? [] : tableLines(vms, columns, cells)),
  ];
}

const CSV_KEYS = [
  'cpu',
  'exits',
  'diskReadBytes',
  'diskWriteBytes',
  'requests',
  'kicks',
  'interrupts',
] as const;

export const CSV_HEADER = ['time', 'name', 'state', ...CSV_KEYS].join(',');

/** Names and states contain no commas. */
export function csvLines({ at, vms }: Top): string[] {
  const time = new Date(at).toISOString();
  return vms.map(({ name, state, rates }) =>
    [time, name, state, ...CSV_KEYS.map(key => Number(rates[key].toFixed(3)))].join(','),
  );
}
