import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { NetOptions } from '../../devices/backends/net.ts';
import { commandEnvironment } from '../../host/live-facts.ts';
import { printable } from '../../host/text.ts';
import { openSharedFrames } from '../../vmm/backends/net/frame-ring.ts';
import { NetworkError } from '../../vmm/backends/net/network-error.ts';
import type { Wire } from '../../vmm/backends/net/wire.ts';
import { watchExit } from '../../vmm/confinement/exit-status.ts';
import { spawnConfined, UNCONFINED } from '../../vmm/confinement/spawn-confined.ts';
import * as libc from '../../vmm/native/libc.ts';
import {
  ETHERNET_MTU,
  LARGE_MTU,
  startNetworkProgram,
  textFrom,
  type UserNetworkUser,
} from './user/open-user.ts';
import { programLayers, programText } from './user/program-layers.ts';

export type PasstOptions = Extract<NetOptions, { type: 'passt' }>;

/** How long passt may take to start, or to report why it cannot. */
const WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 10;

/**
 * Starts passt for one card, and the program that carries its frames, as passt uses a stream. Both end with the wire.
 * passt confines itself. @throws NetworkError
 */
export async function openPasst(
  options: PasstOptions,
  { vm, largeFrames, sharesMemory = false, strictly = false }: UserNetworkUser,
): Promise<Wire> {
  const passt = findPasst();
  const mtu = largeFrames ? LARGE_MTU : ETHERNET_MTU;
  const [ours, frames] = libc.socketPair(libc.SOCK_SEQPACKET);
  const [stream, passts] = libc.socketPair();
  const shared = sharesMemory ? openSharedFrames() : undefined;
  try {
    libc.setNonblocking(ours);
    libc.setNonblocking(stream);
    await startPasst(passt, passts, passtArguments(options, mtu));
    const { report, layers } = startNetworkProgram({ frames, shared, relay: stream }, [`vm=${vm}`], true);
    const said = await report;
    if (!said.startsWith('ready'))
      throw new NetworkError(`cannot exchange frames with passt: ${said.trim()}`);
    const program = programText(programLayers(layers, said), strictly);
    return { fds: [ours], header: 'none', shared, mtu, label: 'passt', program };
  } catch (error) {
    for (const fd of [ours, ...Object.values(shared ?? {})]) libc.close(fd);
    throw error;
  } finally {
    for (const fd of [frames, stream, passts]) libc.close(fd);
  }
}

function findPasst(): string {
  const folders = (commandEnvironment().PATH ?? '').split(delimiter);
  const found = folders.map(folder => join(folder, 'passt')).find(existsSync);
  if (found === undefined)
    throw new NetworkError('passt is not installed: apt-get install passt, or dnf install passt');
  return found;
}

function passtArguments({ interface: name, address, hostfwd = [] }: PasstOptions, mtu: number): string[] {
  const forwards = hostfwd.flatMap(({ protocol, address, host, guest }) => [
    protocol === 'tcp' ? '--tcp-ports' : '--udp-ports',
    `${address}/${host}:${guest}`,
  ]);
  return [
    ...['--foreground', '--quiet', '--stderr', '--fd', '3', '--mtu', String(mtu)],
    ...(name === undefined ? [] : ['--interface', name]),
    ...(address === undefined ? [] : ['--address', address]),
    ...forwards,
  ];
}

/** passt writes its PID file once it serves its socket; it prints errors before it exits. */
async function startPasst(path: string, fd: number, words: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'vring-passt-'));
  const pidFile = join(folder, 'pid');
  const [read, write] = libc.socketPair();
  try {
    // passt drops to the user nobody before it writes the file.
    chmodSync(folder, 0o777);
    const { pidfd } = spawnConfined({
      path,
      args: [...words, '--pid', pidFile],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      fds: [fd],
      stdio: [null, null, write],
      // passt creates its own namespaces and system call filter.
      confinement: { ...UNCONFINED, rlimits: { core: 0 } },
    });
    libc.close(write);
    const said = textFrom(read);
    const status = watchExit(pidfd, { ref: false });
    libc.close(pidfd);
    const ended = status.then(() => 'ended' as const);
    for (let waited = 0; waited < WITHIN_MS; waited += LOOK_AGAIN_MS) {
      const late = new Promise<'late'>(resolve => setTimeout(resolve, LOOK_AGAIN_MS, 'late'));
      if ((await Promise.race([ended, late])) === 'ended')
        throw new NetworkError(`passt did not start: ${reasonIn(await said)}`);
      if (existsSync(pidFile)) return;
    }
    throw new NetworkError(`passt did not start within ${WITHIN_MS / 1000} s`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The last line that is not about passt's log. */
function reasonIn(text: string): string {
  const lines = text.split('\n').filter(line => line.trim() !== '' && !line.includes('syslog'));
  return printable(lines.at(-1) ?? 'it does not say why');
}
