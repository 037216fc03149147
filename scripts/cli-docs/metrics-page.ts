import { LABELS } from '../../src/report/metrics/metric.ts';
import { METRICS } from '../../src/report/metrics/table.ts';

/** docs/metrics.md. */
export function metricsMarkdown(): string {
  const sections = METRICS.map(({ title, families }) => {
    const rows = families.map(({ name, type, labels, help }) => {
      const shown = labels.map(label => `\`${label}\``).join(' ');
      return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
    });
    return [
      `## ${title}`,
      '',
      '| Metric | Type | Labels | What it is |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  const labels = Object.entries(LABELS).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  return `${[INTRODUCTION, ...sections, ['## Labels', '', '| Label | What it holds |', '| --- | --- |', ...labels].join('\n')].join('\n\n')}\n`;
}

const INTRODUCTION = `# Metrics

\`vring metrics\` prints the host and all VMs as an OpenMetrics 1.0 text; the control socket has the same (docs/api.md). This page is
made from the table in \`src/report/metrics/\` by \`npm run docs\`.

In the text, a counter's name ends with \`_total\`, an info's with \`_info\`, and a histogram has \`_bucket\`, \`_count\` and \`_sum\`. A VM's
counters begin at 0 at each start of it. The addresses of \`vring_exit_address_*\` are the ones that the guest used: at most 1024 for a
VM; those beyond are in \`vring_region_*\` alone.`;
