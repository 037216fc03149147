import type { Aim, Measurement } from './measurement.ts';

/** The measurements as lines of text, one each, with what vring is beside each peer. */
export function formatReport(measurements: readonly Measurement[]): string {
  const rows = measurements.map(({ what, unit, values, aim }) => [
    what,
    Object.entries(values)
      .map(([who, value]) => `${who} ${formatNumber(value)}`)
      .join(', '),
    unit,
    aim === undefined ? '' : formatAim(aim),
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

function formatAim({ text, reached, met }: Aim): string {
  return `aim ${text}: ${formatNumber(reached)}, ${met ? 'met' : 'missed'}`;
}

function formatNumber(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
