import { deviceTroubles } from '../engine/vm-info.ts';
import { bytes, count, nanoseconds, percent, rate } from '../text/units.ts';
import { type Align, pad, width } from '../text/width.ts';
import { describeLayers } from '../vmm/confinement/layer.ts';
import type { Report } from './report.ts';

/** A report for people: tables of at most 80 columns, ASCII except for the guest's output. */
export function textReport(report: Report): string {
  const { vm } = report;
  const title = `${vm.name}: ${vm.state}, ${vm.vcpus} vCPU${vm.vcpus === 1 ? '' : 's'}, ${bytes(vm.memoryBytes)}`;
  const sections = [
    [
      `${title}; rates over ${report.seconds.toFixed(1)} s`,
      ...(vm.reason ? [vm.reason] : []),
      ...deviceTroubles(vm),
      ...(vm.pid === null ? [] : [processLine(vm.pid, vm.confinement)]),
    ],
    vcpuTable(report),
    exitTable(report),
    queueTable(report),
    regionTable(report),
    statisticTable(report),
    addressTable(report),
    report.console.length > 0 ? ['Serial console:', ...report.console.map(line => `  ${line}`)] : [],
  ];
  return sections
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n');
}

function processLine(pid: number, layers: Report['vm']['confinement']): string {
  return `Process ${pid}, ${layers === null ? 'not confined: on a thread of vring itself' : describeLayers(layers)}`;
}

function vcpuTable({ vcpus }: Report): string[] {
  const rows = vcpus.map(({ index, state, hostCpu, exitsPerSecond, time, latency }) => [
    String(index),
    state,
    hostCpu === null ? '-' : String(hostCpu),
    rate(exitsPerSecond),
    percent(time.guest),
    percent(time.kvm),
    percent(time.devices),
    percent(time.idle),
    latency === null ? '-' : nanoseconds(latency.p50Ns),
    latency === null ? '-' : nanoseconds(latency.p99Ns),
  ]);
  return table(['vCPU', 'STATE', 'CPU', 'EXITS/s', 'GUEST', 'KVM', 'DEVICES', 'IDLE', 'P50', 'P99'], rows, 2);
}

function exitTable({ vcpus }: Report): string[] {
  const rows = vcpus.flatMap(({ index, exits }) =>
    exits.map(({ reason, perSecond, share, total }) => [
      String(index),
      reason,
      rate(perSecond),
      percent(share),
      count(total),
    ]),
  );
  return table(['vCPU', 'EXIT REASON', 'RATE/s', 'TIME', 'TOTAL'], rows, 2);
}

function queueTable({ queues }: Report): string[] {
  const rows = queues.map(queue => [
    `${queue.device} ${queue.queue}`,
    rate(queue.rates.kicks),
    rate(queue.rates.interrupts),
    rate(queue.rates.requests),
    bytes(queue.rates.bytesToGuest),
    bytes(queue.rates.bytesFromGuest),
    String(queue.inFlight),
    queue.latency === null ? '-' : nanoseconds(queue.latency.p50Ns),
    queue.latency === null ? '-' : nanoseconds(queue.latency.p99Ns),
    count(queue.totalRequests),
  ]);
  return table(
    ['QUEUE', 'KICKS/s', 'IRQ/s', 'REQ/s', 'IN/s', 'OUT/s', 'DEPTH', 'P50', 'P99', 'TOTAL'],
    rows,
    1,
  );
}

function regionTable({ regions }: Report): string[] {
  const rows = regions.map(({ device, space, start, rates, share, total }) => [
    device,
    `${space} ${start.toString(16)}`,
    rate(rates.reads),
    rate(rates.writes),
    percent(share),
    count(total),
  ]);
  return table(['DEVICE', 'ADDRESS', 'READS/s', 'WRITES/s', 'TIME', 'TOTAL'], rows, 2);
}

function statisticTable({ statistics }: Report): string[] {
  const rows = statistics.map(({ device, name, perSecond, total }) => [
    device,
    name,
    rate(perSecond),
    count(total),
  ]);
  return table(['DEVICE', 'STATISTIC', 'RATE/s', 'TOTAL'], rows, 2);
}

function addressTable({ addresses }: Report): string[] {
  const rows = addresses.map(({ device, space, address, rates, share, meanNs, total }) => [
    `${space} ${address.toString(16)}`,
    device ?? '-',
    rate(rates.reads),
    rate(rates.writes),
    percent(share),
    meanNs === null ? '-' : nanoseconds(meanNs),
    count(total),
  ]);
  return table(['ADDRESS', 'DEVICE', 'READS/s', 'WRITES/s', 'TIME', 'MEAN', 'TOTAL'], rows, 2);
}

/**
 * The lines of a table with columns as wide as needed; none without rows. The first `left` columns are text, the others
 * numbers.
 */
function table(titles: readonly string[], rows: readonly (readonly string[])[], left: number): string[] {
  if (rows.length === 0) return [];
  const widths = titles.map((title, column) =>
    Math.max(...[title, ...rows.map(row => row[column]!)].map(width)),
  );
  const align = (column: number): Align => (column < left ? 'left' : 'right');
  return [titles, ...rows].map(row =>
    row
      .map((cell, column) => pad(cell, widths[column]!, align(column)))
      .join('  ')
      .trimEnd(),
  );
}
