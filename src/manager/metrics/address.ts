import { BlockList, isIP } from 'node:net';
import { resolve } from 'node:path';
import { UsageError } from '../../text/usage-error.ts';
import { LONGEST_SOCKET_PATH } from '../paths.ts';

/** Where metrics are served. */
export type MetricsAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

const EXPECTED = 'expected ADDRESS:PORT, such as 127.0.0.1:9177 or [::1]:9177, or unix:PATH';

/**
 * Parses the value of `--metrics`: `127.0.0.1:9177`, `[::1]:9177`, `localhost:9177` or `unix:/run/vring/metrics.sock`.
 * With port 0, the kernel chooses one.
 * @param remote allows addresses that other hosts can reach
 * @throws UsageError
 */
export function parseMetricsAddress(text: string, { remote }: { readonly remote: boolean }): MetricsAddress {
  const option = `--metrics ${text}`;
  if (text.startsWith('unix:')) return unixAddress(text.slice('unix:'.length), option);
  const [, bracketed, plain = '', digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : plain);
  const port = Number(digits);
  if (isIP(host) !== (bracketed === undefined ? 4 : 6) || digits === '')
    throw new UsageError(`${option}: ${EXPECTED}`);
  if (port > 65_535) throw new UsageError(`${option}: a port is at most 65535`);
  if (!remote && !LOOPBACK.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4'))
    throw new UsageError(
      `${option}: other hosts could read the metrics, without any authentication or encryption; listen on 127.0.0.1, or ` +
        'add --metrics-remote if the network is trusted',
    );
  return { kind: 'tcp', host, port };
}

function unixAddress(name: string, option: string): MetricsAddress {
  if (name === '' || name.includes('\0')) throw new UsageError(`${option}: ${EXPECTED}`);
  const path = resolve(name);
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_SOCKET_PATH)
    throw new UsageError(
      `${option}: the path of a socket has at most ${LONGEST_SOCKET_PATH} bytes, not ${bytes}`,
    );
  return { kind: 'unix', path };
}

/** For the log and `vring manager status`. */
export function metricsUrl(address: MetricsAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = isIP(address.host) === 6 ? `[${address.host}]` : address.host;
  return `http://${host}:${address.port}/metrics`;
}
