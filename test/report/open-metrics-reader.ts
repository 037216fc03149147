/**
 * Reads an OpenMetrics 1.0 text as strictly as its specification is written: the ABNF line by line, then what the prose
 * demands of families and of each type. @throws with the first line that breaks a rule
 */
export function readOpenMetrics(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('# EOF\n')) throw new Error('the text does not end with # EOF and a line feed');
  if (text.includes('\r')) throw new Error('there is a carriage return');
  const families = new Map<string, ReadFamily>();
  let current = null as ReadFamily | null;
  for (const line of text.slice(0, -'# EOF\n'.length).split('\n').slice(0, -1)) {
    const descriptor = /^# (TYPE|UNIT|HELP) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (descriptor !== null) {
      const [, kind, name, value] = descriptor as unknown as [string, keyof Metadata, string, string];
      if (current?.name !== name) {
        if (families.has(name)) throw new Error(`the family ${name} comes twice: ${line}`);
        current = { name, metadata: {}, samples: [] };
        families.set(name, current);
      }
      if (current.metadata[kind] !== undefined) throw new Error(`${kind} comes twice: ${line}`);
      if (current.samples.length > 0) throw new Error(`metadata after samples: ${line}`);
      current.metadata[kind] = value;
      continue;
    }
    if (current === null) throw new Error(`a sample without a family: ${line}`);
    current.samples.push(readSample(line));
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

type Metadata = { TYPE?: string; UNIT?: string; HELP?: string };
export type ReadSample = { name: string; labels: Record<string, string>; value: number };
export type ReadFamily = { name: string; metadata: Metadata; samples: ReadSample[] };

const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"';
const NUMBER = '[-+]?(?:\\d+(?:\\.\\d*)?(?:[eE][-+]?\\d+)?|\\.\\d+(?:[eE][-+]?\\d+)?)';
const SAMPLE = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{((?:${LABEL}(?:,${LABEL})*)?)\\})? (${NUMBER})$`);

function readSample(line: string): ReadSample {
  const match = SAMPLE.exec(line);
  if (match === null) throw new Error(`no sample by the grammar: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, name, value] of (match[2] ?? '').matchAll(new RegExp(LABEL, 'g'))) {
    if (name! in labels) throw new Error(`the label ${name} comes twice: ${line}`);
    if (name!.startsWith('_')) throw new Error(`a reserved label: ${line}`);
    labels[name!] = value!;
  }
  return { name: match[1]!, labels, value: Number(match.at(-1)) };
}

const SUFFIXES: Record<string, readonly string[]> = {
  gauge: [''],
  counter: ['_total'],
  info: ['_info'],
  stateset: [''],
  histogram: ['_bucket', '_count', '_sum'],
};

function checkFamily({ name, metadata, samples }: ReadFamily): void {
  const { TYPE, UNIT, HELP } = metadata;
  const suffixes = SUFFIXES[TYPE ?? ''];
  if (suffixes === undefined) throw new Error(`${name} has the type ${TYPE}`);
  if (!HELP) throw new Error(`${name} has no help`);
  if (UNIT && !name.endsWith(`_${UNIT}`)) throw new Error(`${name} does not end with its unit ${UNIT}`);
  if (UNIT && (TYPE === 'info' || TYPE === 'stateset')) throw new Error(`${name} may not have a unit`);
  const seen = new Set<string>();
  for (const sample of samples) {
    if (!suffixes.some(suffix => sample.name === name + suffix))
      throw new Error(`${sample.name} is no name in ${name}`);
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(key)) throw new Error(`a series comes twice: ${key}`);
    seen.add(key);
    if ((TYPE === 'counter' || TYPE === 'histogram') && !(sample.value >= 0))
      throw new Error(`${key} counts below 0`);
    if (TYPE === 'info' && sample.value !== 1) throw new Error(`${key} is not 1`);
    if (TYPE === 'stateset') {
      if (sample.labels[name] === undefined) throw new Error(`${key} names no state`);
      if (sample.value !== 0 && sample.value !== 1) throw new Error(`${key} is no truth value`);
    }
  }
  if (TYPE === 'histogram') checkHistograms(name, samples);
}

/** Metrics follow each other whole; their buckets rise to +Inf, which is the count. */
function checkHistograms(name: string, samples: readonly ReadSample[]): void {
  const metrics = new Map<string, ReadSample[]>();
  let last = '';
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const key = JSON.stringify(labels);
    if (key !== last && metrics.has(key)) throw new Error(`${name}${key} is interleaved with another`);
    last = key;
    metrics.set(key, [...(metrics.get(key) ?? []), sample]);
  }
  for (const [key, points] of metrics) {
    const buckets = points.filter(point => point.name.endsWith('_bucket'));
    const bounds = buckets.map(({ labels }) =>
      labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le),
    );
    for (const [index, bound] of bounds.entries()) {
      if (Number.isNaN(bound)) throw new Error(`${name}${key} has a bucket without a bound`);
      if (index > 0 && bound <= bounds[index - 1]!) throw new Error(`${name}${key}: bounds do not rise`);
      if (index > 0 && buckets[index]!.value < buckets[index - 1]!.value)
        throw new Error(`${name}${key}: buckets are not cumulative`);
    }
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}${key} has no +Inf bucket`);
    const count = points.find(point => point.name.endsWith('_count'))?.value;
    if (count !== buckets.at(-1)!.value) throw new Error(`${name}${key}: the count is not the +Inf bucket`);
  }
}
