import type { Measurement, Target } from './measurement.ts';

/** One line of text per measurement, with vring's ratio to each peer. */
export function formatReport(measurements: readonly Measurement[]): string {
  const rows = measurements.map(({ what, unit, values, target }) => [
    what,
    Object.entries(values)
      .map(([who, value]) => `${who} ${formatNumber(value)}`)
      .join(', '),
    unit,
    target === undefined ? '' : formatTarget(target),
  ]);
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => row[column]!.length)));
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function formatTarget({ text, reached, met }: Target): string {
  return `target ${text}: ${formatNumber(reached)}, ${met ? 'met' : 'missed'}`;
}

function formatNumber(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
