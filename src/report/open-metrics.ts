import type { Family, HistogramPoint, Labels, MetricFacts } from './metrics/metric.ts';
import { METRICS } from './metrics/table.ts';

/** What HTTP calls the text. */
export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Host and VMs as an OpenMetrics 1.0 text. */
export function openMetrics(facts: MetricFacts): string {
  const lines = METRICS.flatMap(({ families }) => families).flatMap(family => familyLines(family, facts));
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

function familyLines(family: Family, facts: MetricFacts): string[] {
  const { name, type, unit, help } = family;
  return [
    `# TYPE ${name} ${type}`,
    ...(unit ? [`# UNIT ${name} ${unit}`] : []),
    `# HELP ${name} ${escaped(help)}`,
    ...sampleLines(family, facts),
  ];
}

/** What a sample's name has behind the family's. */
const SUFFIX = { gauge: '', counter: '_total', info: '_info', stateset: '' } as const;

function sampleLines(family: Family, facts: MetricFacts): string[] {
  if (family.type === 'histogram') {
    return Array.from(family.points(facts), point => histogramLines(family.name, point)).flat();
  }
  const name = family.name + SUFFIX[family.type];
  return Array.from(family.points(facts), ({ labels, value }) => sample(name, labels, value));
}

/** Buckets in the text count all up to their bound. */
function histogramLines(name: string, { labels, buckets, sum }: HistogramPoint): string[] {
  let count = 0;
  const lines = buckets.map(([upTo, more]) => {
    count += more;
    return sample(`${name}_bucket`, { ...labels, le: bound(upTo) }, count);
  });
  return [...lines, sample(`${name}_count`, labels, count), sample(`${name}_sum`, labels, sum)];
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}

/** Always the same text for the same bound: a label is compared as text ("Canonical Numbers"). */
function bound(upTo: number): string {
  if (upTo === Number.POSITIVE_INFINITY) return '+Inf';
  return Number.isInteger(upTo) ? upTo.toFixed(1) : String(upTo).replace(/e-(\d)$/, 'e-0$1');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
