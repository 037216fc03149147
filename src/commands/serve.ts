import { type Command, Option } from 'commander';
import { parseCount } from '../text/option-values.ts';
import { UsageError } from '../text/usage-error.ts';
import { withManual } from './manual.ts';

const LONGEST_WAIT_SECONDS = 24 * 3600;

type ServeCommandOptions = {
  shutdownTimeout: number;
  onShutdown: 'shut-down' | 'save';
  metrics?: string;
  metricsRemote?: boolean;
  uids?: string;
  background?: boolean;
  idleTimeout: number;
};

/** `vring serve`: the manager, run by systemd or started in the background by a client. */
export function registerServe(program: Command): void {
  const seconds = (option: string, least: number) => (text: string) =>
    parseCount(text, option, least, LONGEST_WAIT_SECONDS);
  const serve = program
    .command('serve')
    .description('Run the manager, the process that starts and watches VMs, and start the VMs with autostart')
    .option(
      '--shutdown-timeout <seconds>',
      'seconds that guests have to power off when the manager stops, before they are killed',
      seconds('--shutdown-timeout', 0),
      60,
    )
    .addOption(
      new Option(
        '--on-shutdown <what>',
        'what to do with running VMs when the manager stops: shut them down, or save their state for the next ' +
          'manager to continue',
      )
        .choices(['shut-down', 'save'])
        .default('shut-down'),
    )
    .option('--metrics <address>', 'serve /metrics for Prometheus at 127.0.0.1:PORT, [::1]:PORT or unix:PATH')
    .option('--metrics-remote', 'let --metrics listen on an address that other hosts can reach')
    .option(
      '--uids <range>',
      'as root, run each VM under its own uid from FIRST-LAST, or with off under root (default: VRING_UIDS, ' +
        'else 1879048192-1879113727)',
    )
    .addOption(
      new Option('--background', 'as clients start it: log to a file, and stop when idle').hideHelp(),
    )
    .addOption(
      new Option(
        '--idle-timeout <seconds>',
        'seconds without VMs and clients before a background manager stops',
      )
        .argParser(seconds('--idle-timeout', 1))
        .default(30)
        .hideHelp(),
    )
    .action(async (options: ServeCommandOptions) => {
      const { shutdownTimeout, onShutdown, background = false, idleTimeout } = options;
      const metrics = await metricsAddress(options);
      const { serve } = await import('../manager/serve.ts');
      process.exitCode = await serve({
        background,
        shutdownMs: shutdownTimeout * 1000,
        saves: onShutdown === 'save',
        idleMs: idleTimeout * 1000,
        metrics,
        uids: await uidRange(options.uids),
      });
    });
  withManual(serve, {
    text: [
      'On SIGTERM the manager presses the power button of every guest, waits until they are off, kills those ' +
        'that are still on after the time limit, and logs their names. A second SIGTERM, or SIGQUIT, kills them ' +
        'immediately. On SIGUSR2, it exits and leaves the VMs running for the next manager. Each user has at ' +
        'most one manager; the UI and the commands find it by its socket.',
      'With --on-shutdown save, it instead writes the state of every VM to disk, within the same time, and the ' +
        'next manager continues them from there. A VM that cannot be saved is shut down.',
      'Metrics are served without authentication: every user of this host can read them from a loopback ' +
        'address. A Unix socket has mode 0660. Clients get OpenMetrics or the Prometheus text format, as they ' +
        'request.',
    ],
    examples: [
      { command: 'vring serve --metrics 127.0.0.1:9177', does: 'scrape http://127.0.0.1:9177/metrics' },
      {
        command: 'vring serve --metrics unix:/run/vring/metrics.sock',
        does: 'for a reverse proxy or curl --unix-socket',
      },
    ],
  });
}

async function uidRange(given: string | undefined) {
  const { DEFAULT_UIDS, parseUidRange } = await import('../manager/machines/uids.ts');
  const { VRING_UIDS: fromEnvironment } = process.env;
  if (given !== undefined) return parseUidRange(given, '--uids');
  return fromEnvironment ? parseUidRange(fromEnvironment, 'VRING_UIDS') : DEFAULT_UIDS;
}

async function metricsAddress({ metrics, metricsRemote = false }: ServeCommandOptions) {
  if (metrics === undefined) {
    if (metricsRemote) throw new UsageError('--metrics-remote needs --metrics');
    return null;
  }
  const { parseMetricsAddress } = await import('../manager/metrics/address.ts');
  return parseMetricsAddress(metrics, { remote: metricsRemote });
}
