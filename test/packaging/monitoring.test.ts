import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { sampleName } from '../../src/report/exposition.ts';
import type { Family } from '../../src/report/metrics/metric.ts';
import { METRICS } from '../../src/report/metrics/table.ts';
import { debianProgram } from '../support/debian-package.ts';

const RULES = 'packaging/prometheus/vring.rules.yml';
const DASHBOARD = 'packaging/grafana/vring.json';
/** Labels that Prometheus and histograms add. */
const ADDED_LABELS = ['instance', 'job', 'le'];

const series = new Map(
  METRICS.flatMap(({ families }) => families).flatMap(family => names(family).map(name => [name, family])),
);

function names(family: Family): string[] {
  if (family.type !== 'histogram') return [sampleName(family)];
  return ['_bucket', '_count', '_sum'].map(suffix => family.name + suffix);
}

/** What a PromQL expression asks for that vring does not have: series, and labels in matchers and groupings. */
function unknownIn(expression: string): string[] {
  const used = [...expression.matchAll(/\b(vring_\w+)(?=\s*[{[)\s*<>=/-]|\s*$|,\s*\w+\))(?:\{([^}]*)\})?/g)];
  const unknown = used.flatMap(([, name = '', matchers = '']) => {
    const family = series.get(name);
    // Its own name is the label of a state set, in matchers and in groupings.
    if (family === undefined) return [name];
    const labels = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(match => match[1]!);
    return labels.filter(label => !has(family, label)).map(label => `${name}{${label}}`);
  });
  const families = used.map(([, name = '']) => series.get(name)).filter(family => family !== undefined);
  const grouped = [...expression.matchAll(/\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g)]
    .flatMap(([, list = '']) => list.split(','))
    .map(label => label.trim());
  return [...unknown, ...grouped.filter(label => !families.some(family => has(family, label)))];
}

function has(family: Family, label: string): boolean {
  return ADDED_LABELS.includes(label) || (family.labels as readonly string[]).includes(label);
}

test('unknown names in an expression are found', () => {
  expect(unknownIn('rate(vring_queue_bytes_total{vm="a",direction="to_guest"}[5m])')).toEqual([]);
  expect(unknownIn('rate(vring_queue_bytes{vm="a"}[5m])')).toEqual(['vring_queue_bytes']);
  expect(unknownIn('vring_vm_state{state="off"} == 1')).toEqual(['vring_vm_state{state}']);
  expect(unknownIn('sum by (queue) (vring_vm_vcpus)')).toEqual(['queue']);
  expect(unknownIn('label_values(vring_vms, vm)')).toEqual(['vring_vms']);
});

describe('the alert rules', () => {
  const text = readFileSync(RULES, 'utf8');
  const expressions = [...text.matchAll(/^ +expr: (.*)$/gm)].map(match => match[1]!);

  test('use metrics and labels that vring has', () => {
    expect(expressions.length).toBeGreaterThan(10);
    expect(expressions.flatMap(unknownIn)).toEqual([]);
  });

  test('fire on their condition, and only then (promtool)', async () => {
    const promtool = await debianProgram('prometheus', 'promtool');
    await execa(promtool, ['check', 'rules', RULES]);
    const { stdout } = await execa(promtool, ['test', 'rules', 'test/packaging/vring.rules.test.yml']);
    expect(stdout).toContain('SUCCESS');
  });

  test('each have a test case in which they fire', () => {
    const cases = readFileSync('test/packaging/vring.rules.test.yml', 'utf8');
    for (const [, alert] of text.matchAll(/- alert: (\w+)/g))
      expect(cases).toMatch(new RegExp(`alertname: ${alert}\\n +exp_alerts:`));
  });
});

test('the dashboard uses metrics and labels that vring has', () => {
  const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8'));
  const expressions: string[] = [];
  JSON.stringify(dashboard, (key, value) => {
    if (['expr', 'definition'].includes(key)) expressions.push(value);
    return value;
  });
  expect(expressions.length).toBeGreaterThan(25);
  expect(expressions.flatMap(unknownIn)).toEqual([]);
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
