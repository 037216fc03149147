import type { MetricsFormat } from '../engine/engine.ts';
import type { Family, HistogramPoint, Labels, MetricFacts } from './metrics/metric.ts';
import { METRICS } from './metrics/table.ts';

/** The media type of each format. */
export const CONTENT_TYPE: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

/** Lines written before yielding to other work of this thread: about a millisecond. */
const LINES_PER_TURN = 1000;

/**
 * Host and VMs as a text for monitoring systems.
 *
 * `openmetrics` is OpenMetrics 1.0. `prometheus` is the Prometheus text format 0.0.4, which has neither info nor state
 * sets nor units, includes `_total` in the name of a counter's family, and does not escape quotes in help texts.
 */
export async function exposition(facts: MetricFacts, format: MetricsFormat): Promise<string> {
  const parts: string[] = [];
  let lines: string[] = [];
  for (const line of expositionLines(facts, format)) {
    lines.push(line);
    if (lines.length < LINES_PER_TURN) continue;
    parts.push(`${lines.join('\n')}\n`);
    lines = [];
    await new Promise(resolve => setImmediate(resolve));
  }
  return `${parts.join('')}${lines.join('\n')}\n`;
}

function* expositionLines(facts: MetricFacts, format: MetricsFormat): Generator<string> {
  const head = format === 'openmetrics' ? openMetricsHead : prometheusHead;
  for (const { families } of METRICS) {
    for (const family of families) {
      yield* head(family);
      yield* sampleLines(family, facts);
    }
  }
  if (format === 'openmetrics') yield '# EOF';
}

function* openMetricsHead({ name, type, unit, help }: Family): Generator<string> {
  yield `# TYPE ${name} ${type}`;
  if (unit !== undefined) yield `# UNIT ${name} ${unit}`;
  yield `# HELP ${name} ${escapeValue(help)}`;
}

/** In text 0.0.4, info and state sets are gauges, and a backslash before a quote in a help text is an error. */
function* prometheusHead(family: Family): Generator<string> {
  const name = sampleName(family);
  yield `# HELP ${name} ${escapeHelp(family.help)}`;
  yield `# TYPE ${name} ${family.type === 'info' || family.type === 'stateset' ? 'gauge' : family.type}`;
}

/** The suffix of a sample's name after its family's; a histogram's samples have their own three. */
const SUFFIX = { gauge: '', counter: '_total', info: '_info', stateset: '', histogram: '' } as const;

export function sampleName({ name, type }: Pick<Family, 'name' | 'type'>): string {
  return name + SUFFIX[type];
}

function* sampleLines(family: Family, facts: MetricFacts): Generator<string> {
  if (family.type === 'histogram') {
    for (const point of family.points(facts)) yield* histogramLines(family.name, point);
    return;
  }
  const name = sampleName(family);
  for (const { labels, value } of family.points(facts)) yield sample(name, labels, value);
}

/** Buckets in the text are cumulative. */
function* histogramLines(name: string, { labels, buckets, sum }: HistogramPoint): Generator<string> {
  let count = 0;
  for (const [upTo, more] of buckets) {
    count += more;
    yield sample(`${name}_bucket`, { ...labels, le: bound(upTo) }, count);
  }
  yield sample(`${name}_count`, labels, count);
  yield sample(`${name}_sum`, labels, sum);
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeValue(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}

/** Always the same text for the same bound: labels are compared as text (OpenMetrics, "Canonical Numbers"). */
function bound(upTo: number): string {
  if (upTo === Number.POSITIVE_INFINITY) return '+Inf';
  return Number.isInteger(upTo) ? upTo.toFixed(1) : String(upTo).replace(/e-(\d)$/, 'e-0$1');
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
