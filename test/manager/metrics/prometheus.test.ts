import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { MetricsServer } from '../../../src/manager/metrics/server.ts';
import { metricsNow } from '../../../src/report/metrics-now.ts';
import { debianProgram } from '../../support/debian-package.ts';
import { GuestVm } from '../../support/guest-vm.ts';
import { noKvm } from '../../support/kvm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Resolves with the text of a page once it matches. */
async function page(url: string, pattern: RegExp): Promise<string> {
  let text = '';
  await expect
    .poll(
      async () => {
        text = await fetch(url).then(
          response => response.text(),
          error => String(error),
        );
        return text;
      },
      { timeout: 30_000, interval: 100 },
    )
    .toMatch(pattern);
  return text;
}

/** An engine with a guest that uses its devices if there is /dev/kvm; without it, there are only the host's metrics. */
async function engineWithGuest() {
  const engine = new LocalEngine({ metrics: metricsNow });
  if (noKvm === null) {
    const guest = await GuestVm.start(engine, {
      name: 'web',
      append: 'run="exits io 100"',
      devices: [{ type: 'virtio-rng' }],
    });
    await guest.printed(/result exits/);
  }
  return { engine, [Symbol.asyncDispose]: () => engine.close() };
}

describe("Debian's monitoring tools read the metrics", () => {
  let prometheus: string;
  let promtool: string;
  let nodeExporter: string;

  beforeAll(async () => {
    prometheus = await debianProgram('prometheus', 'prometheus');
    promtool = await debianProgram('prometheus', 'promtool');
    nodeExporter = await debianProgram('prometheus-node-exporter', 'prometheus-node-exporter');
  }, 120_000);

  test('promtool accepts the text format', async () => {
    await using running = await engineWithGuest();
    const input = await running.engine.metrics('prometheus');
    const { stdout, stderr } = await execa(promtool, ['check', 'metrics'], { input });
    expect(stdout + stderr).toBe('');
    // Positive control: it does report errors.
    const wrong = await execa(promtool, ['check', 'metrics'], {
      input: await running.engine.metrics('openmetrics'),
      reject: false,
    });
    expect(wrong.stderr).toContain('unknown metric type "info"');
  });

  test("Prometheus scrapes them over HTTP, and answers the dashboard's queries", async () => {
    await using running = await engineWithGuest();
    const { engine } = running;
    const formats = new Set<string>();
    const server = await MetricsServer.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, format => {
      formats.add(format);
      return engine.metrics(format);
    });
    const folder = temporaryFolder();
    const config = join(folder, 'prometheus.yml');
    const target = new URL(server.url).host;
    writeFileSync(
      config,
      `global: { scrape_interval: 1s }
rule_files: [ ${join(process.cwd(), 'packaging/prometheus/vring.rules.yml')} ]
scrape_configs:
  - job_name: vring
    static_configs: [ { targets: [ '${target}' ] } ]
`,
    );
    const port = await freePort();
    const process_ = execa(
      prometheus,
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { reject: false, cwd: folder, all: true },
    );
    const base = `http://127.0.0.1:${port}/api/v1`;
    const query = (expression: string) => `${base}/query?query=${encodeURIComponent(expression)}`;
    try {
      await page(query('up{job="vring"} == 1'), /"result":\[\{/);
      expect([...formats]).toEqual(['openmetrics']);
      await page(query('vring_build_info'), /"version":"\d/);
      await page(query('vring_manager_start_time_seconds'), /"value":/);
      if (noKvm === null) {
        await page(query('vring_vm_state{vm="web",vring_vm_state="running"} == 1'), /"result":\[\{/);
        await page(query('vring_vcpu_exits_total{vm="web",reason="IO"} >= 100'), /"result":\[\{/);
        await page(query('histogram_quantile(0.99, vring_vcpu_exit_latency_seconds_bucket)'), /"value":/);
      }
      const dashboard = readFileSync('packaging/grafana/vring.json', 'utf8');
      for (const [, json] of dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)) {
        const expression = JSON.parse(json!)
          .replaceAll(/\$(instance|vm)\b/g, '.*')
          .replaceAll('$__rate_interval', '1m');
        expect(await (await fetch(query(expression))).json(), expression).toMatchObject({
          status: 'success',
        });
      }
      const { data } = (await (await fetch(`${base}/rules`)).json()) as { data: { groups: unknown[] } };
      expect(data.groups).toHaveLength(1);
    } finally {
      process_.kill();
      await process_;
      server.close();
    }
  }, 90_000);

  test("node_exporter's textfile collector accepts the text format", async () => {
    await using running = await engineWithGuest();
    const folder = join(temporaryFolder(), 'textfiles');
    mkdirSync(folder);
    writeFileSync(join(folder, 'vring.prom'), await running.engine.metrics('prometheus'));
    const port = await freePort();
    const exporter = execa(
      nodeExporter,
      [
        '--collector.disable-defaults',
        '--collector.textfile',
        `--collector.textfile.directory=${folder}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { reject: false, all: true },
    );
    const url = `http://127.0.0.1:${port}/metrics`;
    try {
      const text = await page(url, /node_textfile_scrape_error/);
      expect(text).toMatch(/^node_textfile_scrape_error 0$/m);
      expect(text).toMatch(/^vring_build_info\{version="[^"]+"\} 1$/m);
      if (noKvm === null) expect(text).toMatch(/^vring_vm_state\{vm="web",vring_vm_state="running"\} 1$/m);
      // Positive control: it does report errors.
      writeFileSync(join(folder, 'vring.prom'), await running.engine.metrics('openmetrics'));
      await page(url, /^node_textfile_scrape_error 1$/m);
    } finally {
      exporter.kill();
      await exporter;
    }
  }, 60_000);
});
