import type { HostRoot } from '../root.ts';
import { address4, address6 } from './routes.ts';

/** A connection of an SSH session. */
export type SshSession = { readonly client: string; readonly server: string };

const established = '01';
const sshPort = 22;

/**
 * The sessions that must not be interrupted: those that this process descends from (SSH_CONNECTION), and every
 * established connection to their port, or to port 22 (in tmux, the variable may be another session's, or missing).
 */
export function readSshSessions(root: HostRoot): SshSession[] {
  const own = root.sshConnections().flatMap(text => {
    const [client, , server, port] = text.trim().split(/\s+/);
    return client && server ? [{ client, server, port: Number(port) }] : [];
  });
  const ports = new Set([sshPort, ...own.map(session => session.port)]);
  const seen = new Map<string, SshSession>();
  for (const { client, server } of own) seen.set(`${client} ${server}`, { client, server });
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const session of tcpSessions(root.text(file, 16 << 20) ?? '', ports)) {
      seen.set(`${session.client} ${session.server}`, session);
    }
  }
  return [...seen.values()].filter(session => !/^(127\.|::1$)/.test(session.client));
}

/** `sl local_address rem_address st ...`, with addresses and ports in hex. */
function tcpSessions(text: string, ports: ReadonlySet<number>): SshSession[] {
  return text.split('\n').flatMap(line => {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (state !== established || !local || !remote) return [];
    const [server, port] = local.split(':') as [string, string];
    if (!ports.has(Number.parseInt(port, 16))) return [];
    return [{ client: decode(remote.split(':')[0]!), server: decode(server) }];
  });
}

/** IPv6 is four little-endian words; an IPv4-mapped address is shown as IPv4. */
function decode(hex: string): string {
  if (hex.length === 8) return address4(hex);
  const words = hex.match(/.{8}/g) ?? [];
  if (/^0{16}ffff0000$/i.test(words.slice(0, 3).join(''))) return address4(words[3]!);
  return address6(words.map(word => (word.match(/../g) ?? []).reverse().join('')).join(''));
}
