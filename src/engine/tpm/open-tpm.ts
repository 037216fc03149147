import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { TpmOptions } from '../../devices/backends/tpm.ts';
import { makeFolders } from '../../files/make-folders.ts';
import { commandEnvironment } from '../../host/live-facts.ts';
import { codeText } from '../../text/errno.ts';
import type { Wire } from '../../vmm/backends/net/wire.ts';
import { watchExit } from '../../vmm/confinement/exit-status.ts';
import { spawnConfined } from '../../vmm/confinement/spawn-confined.ts';
import { connectSocket } from '../../vmm/native/connect-socket.ts';
import * as libc from '../../vmm/native/libc.ts';
import { receiveNow, sendNow, unixAddress, waitForFds } from '../../vmm/native/unix-socket.ts';

/** A TPM that cannot be opened; the message tells the user why, and what to do. */
export class TpmError extends Error {
  override readonly name = 'TpmError';
}

/** swtpm's control channel (swtpm_ioctls(3)): the command that sets its data channel, and the result of a success. */
const SET_DATA_FD = Uint8Array.of(0, 0, 0, 16);
const RESULT_BYTES = 4;
/** How long swtpm may take to answer. */
const WITHIN_MS = 5000;
const LOOK_EVERY_MS = 10;
/** swtpm writes its state, of some 10 KiB, and its log. */
const LIMITS = { core: 0, nofile: 64, fsize: 1 << 24 } as const;

/** Opens the TPM of a VM. The caller closes the fds, for commands and for control. @throws TpmError */
export async function openTpm(options: TpmOptions): Promise<Wire> {
  return options.type === 'socket' ? await connectTo(options.path) : start(options.state);
}

/** Starts swtpm, which ends with the wire. It filters its own system calls. */
function start(given: string | undefined): Wire {
  const path = findSwtpm();
  const state = stateFolder(given);
  const [data, swtpmData] = libc.socketPair();
  const [control, swtpmControl] = libc.socketPair();
  try {
    for (const fd of [data, control]) libc.setNonblocking(fd);
    const { pidfd } = spawnConfined({
      path,
      args: [
        ...['socket', '--tpm2', '--fd', '3', '--ctrl', 'type=unixio,clientfd=4', '--terminate'],
        ...['--tpmstate', `dir=${state},mode=0600`],
      ],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      fds: [swtpmData, swtpmControl],
      confinement: { rlimits: LIMITS },
    });
    const ended = watchExit(pidfd, { ref: false });
    libc.close(pidfd);
    if (given === undefined) void ended.then(() => fs.rmSync(state, { recursive: true, force: true }));
    return { fds: [data, control], header: 'none', label: 'swtpm' };
  } catch (error) {
    for (const fd of [data, control]) libc.close(fd);
    throw new TpmError(`swtpm cannot be started: ${(error as Error).message}`);
  } finally {
    for (const fd of [swtpmData, swtpmControl]) libc.close(fd);
  }
}

/** Default: a temporary one. @throws TpmError */
function stateFolder(given: string | undefined): string {
  try {
    if (given === undefined) return fs.mkdtempSync(join(tmpdir(), 'vring-tpm-'));
    makeFolders(given, 0o700);
    return given;
  } catch (error) {
    const why = codeText((error as NodeJS.ErrnoException).code);
    throw new TpmError(
      given === undefined
        ? `there is no room for the temporary state of the TPM in ${tmpdir()} (TMPDIR): ${why}`
        : `the state of the TPM cannot be kept in ${given}: ${why}`,
    );
  }
}

function findSwtpm(): string {
  const folders = (commandEnvironment().PATH ?? '').split(delimiter);
  const found = folders.map(folder => join(folder, 'swtpm')).find(fs.existsSync);
  if (found === undefined)
    throw new TpmError('swtpm is not installed: apt-get install swtpm, or dnf install swtpm');
  return found;
}

/** Gives a running swtpm a socket for commands. */
async function connectTo(path: string): Promise<Wire> {
  const control = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
  const [data, swtpmData] = libc.socketPair();
  try {
    await connectSocket(control, path, unixAddress(path));
    libc.setNonblocking(data);
    if (sendNow(control, SET_DATA_FD, [swtpmData]) !== SET_DATA_FD.length)
      throw new Error('it accepts no commands');
    if (!(await answers(control))) throw new Error('it does not answer');
    const answer = receiveNow(control);
    const bytes = answer.kind === 'data' ? answer.bytes : new Uint8Array();
    if (bytes.length !== RESULT_BYTES || bytes.some(byte => byte !== 0))
      throw new Error('it has a client already, or is not swtpm');
    return { fds: [data, control], header: 'none', label: path };
  } catch (error) {
    for (const fd of [data, control]) libc.close(fd);
    const why = error instanceof libc.SystemError ? codeText(error.code) : (error as Error).message;
    throw new TpmError(
      `no TPM at ${path}: ${why}; start swtpm socket --tpm2 --ctrl type=unixio,path=${path} first`,
    );
  } finally {
    libc.close(swtpmData);
  }
}

/** Whether there is an answer in time. */
async function answers(fd: number): Promise<boolean> {
  for (const until = performance.now() + WITHIN_MS; performance.now() < until; ) {
    if (waitForFds([{ fd }], 0).length > 0) return true;
    await setTimeout(LOOK_EVERY_MS);
  }
  return false;
}
