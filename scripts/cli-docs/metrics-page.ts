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
      '| Metric | Type | Labels | Meaning |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  const labels = Object.entries(LABELS).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  return `${[INTRODUCTION, ...sections, ['## Labels', '', '| Label | Value |', '| --- | --- |', ...labels].join('\n')].join('\n\n')}\n`;
}

const INTRODUCTION = `# Metrics

vring exports metrics of the host, of every VM, vCPU and virtqueue, and of every address whose accesses exit to a device
model, for Prometheus and compatible systems. This page is generated from the table in \`src/report/metrics/\` by
\`npm run docs\`.

## Scraping

\`\`\`sh
vring serve --metrics 127.0.0.1:9177   # Prometheus scrapes http://127.0.0.1:9177/metrics
vring metrics                          # the same text, once
\`\`\`

For the systemd unit, set the option with \`systemctl edit vring\`:

\`\`\`ini
[Service]
ExecStart=
ExecStart=/usr/bin/vring serve --shutdown-timeout 90 --metrics 127.0.0.1:9177
\`\`\`

\`\`\`yaml
# prometheus.yml
rule_files: [ /usr/share/vring/prometheus/vring.rules.yml ]
scrape_configs:
  - job_name: vring
    static_configs: [ { targets: [ '127.0.0.1:9177' ] } ]
\`\`\`

[packaging/prometheus/vring.rules.yml](../packaging/prometheus/vring.rules.yml) has alert rules, and
[packaging/grafana/vring.json](../packaging/grafana/vring.json) is a dashboard to import into Grafana.

The endpoint has no authentication, so it listens on loopback addresses only, unless \`--metrics-remote\` declares the
network trusted. To let a Prometheus on another host scrape it, put a TLS proxy in front. For that,
\`--metrics unix:/run/vring-metrics/sock\` serves it on a Unix socket of mode 0660. In a set-group-ID folder, the socket
belongs to the folder's group.

Clients that accept \`application/openmetrics-text; version=1.0.0\` get OpenMetrics, others the Prometheus text format
0.0.4.

If node_exporter is already running, its textfile collector can export the metrics, too. Let a timer write them:

\`\`\`sh
vring metrics --format prometheus --output /var/lib/prometheus/node-exporter/vring.prom
\`\`\`

## Names

In both formats, the name of a counter ends with \`_total\`, that of an info with \`_info\`, and a histogram has \`_bucket\`,
\`_count\` and \`_sum\`. Text format 0.0.4 has neither infos nor state sets: there they are gauges. The counters of a VM
start at 0 each time it is started. \`vring_exit_address_*\` covers up to 1024 addresses for each VM; accesses to further
addresses are counted in \`vring_region_*\` only.`;
