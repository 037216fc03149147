import path from 'node:path';
import type { CharInput } from '../../devices/backends/char-fields.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { QemuHost } from './host.ts';
import { alwaysOff, alwaysOn, type Settings } from './settings.ts';

/** Why a file has no log. */
export const IN_FILE = 'all output is in the file already';
const LOCAL = '127.0.0.1';
/** QEMU back ends that only its own components use. */
const NOT_HERE = /^(spicevmc|spiceport|qemu-vdagent|dbus|ringbuf|msmouse|wctablet|braille|testdev|mux|hub)$/;

/** -chardev. Errors are reported only if a device uses it: those of monitors do not matter. @throws OptionError */
export function readChardev(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'backend');
  const backend = settings.require('backend');
  const id = settings.require('id');
  let end: CharInput | OptionError;
  try {
    end = readEnd(draft, place, backend, settings);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    end = error;
  }
  draft.nameChardev(place, id, end);
}

function readEnd(draft: Draft, place: Place, backend: string, settings: Settings): CharInput {
  const logfile = settings.take('logfile');
  const { host } = draft;
  settings.leaveOut({
    logappend: 'logs are always added to',
    mux: 'vring has no monitor to share a port with',
    signal: 'the keys of a console all go to the guest',
    width: 'a console has the size of its terminal',
    height: 'a console has the size of its terminal',
    cols: 'a console has the size of its terminal',
    rows: 'a console has the size of its terminal',
  });
  if (NOT_HERE.test(backend)) {
    draft.leaveOut(place, `vring has no ${backend}: nothing is connected`);
    return 'null';
  }
  const end = readBackend(backend, settings, host);
  settings.end();
  if (logfile !== undefined && typeof end === 'object' && end.type === 'file') {
    draft.leaveOut(place, IN_FILE, `logfile=${logfile}`);
    return end;
  }
  return logfile === undefined ? end : withLog(end, pathOf(logfile, host));
}

function withLog(end: CharInput, logfile: string): CharInput {
  return typeof end === 'string' ? { type: end, logfile } : { ...end, logfile };
}

/** @throws OptionError */
function readBackend(backend: string, settings: Settings, host: QemuHost): CharInput {
  switch (backend) {
    case 'null':
      return 'null';
    case 'stdio':
    case 'vc':
    case 'console':
      return 'console';
    case 'pty':
      settings.leaveOut({ path: 'vring vm show has the name of the terminal' });
      return 'pty';
    case 'file':
      settings.leaveOut({ 'input-path': 'there is no input from a file' });
      return {
        type: 'file',
        path: pathOf(settings.require('path'), host),
        append: settings.takeSwitch('append') ?? false,
      };
    case 'socket':
      return readSocket(settings, host);
    default:
      throw new OptionError(`${shown(backend)} is not supported: expected null, stdio, pty, file or socket`);
  }
}

/** Relative to the folder of the command, not to that of the VM. @throws OptionError */
function pathOf(file: string, { cwd }: QemuHost): string {
  if (file === '') throw new OptionError('the path is empty');
  return path.resolve(cwd, file);
}

const NEVER_WAITS = 'a VM never waits for somebody to connect';
const RECONNECT = 'a client connects once, when the VM starts';
const NO_TELNET =
  'its bytes are plain TCP, without the options of Telnet: use nc or socat, or telnet as it is';

/** @throws OptionError */
function readSocket(settings: Settings, host: QemuHost): CharInput {
  const server = settings.takeSwitch('server') ?? false;
  const file = settings.take('path');
  settings.leaveOut({
    wait: alwaysOff(NEVER_WAITS),
    nowait: alwaysOn(NEVER_WAITS),
    reconnect: RECONNECT,
    'reconnect-ms': RECONNECT,
    nodelay: 'bytes are sent as they come',
    delay: 'bytes are sent as they come',
    ipv4: 'the address says that',
    ipv6: 'the address says that',
    telnet: NO_TELNET,
    tn3270: NO_TELNET,
  });
  for (const setting of ['websocket', 'tls-creds', 'tls-authz', 'abstract', 'fd', 'to']) {
    if (!/^(off|)$/.test(settings.take(setting) ?? ''))
      throw new OptionError(`${setting} is not supported: use a plain socket`);
  }
  if (file !== undefined) return { type: 'unix', path: pathOf(file, host), server };
  return tcp(settings.take('host') ?? '', settings.require('port'), server);
}

/** Where QEMU would listen on all addresses, only this host can connect. @throws OptionError */
function tcp(host: string, port: string, server: boolean): CharInput {
  if (!/^\d{1,5}$/.test(port)) throw new OptionError(`port=${shown(port)}: expected a number`);
  const isAny = host === '' || host === '0.0.0.0' || host === '::';
  return { type: 'tcp', host: isAny || host === 'localhost' ? LOCAL : host, port: Number(port), server };
}

/** A value of -serial: `pty`, `unix:PATH,server=on,wait=off`, `chardev:ID`. Null for none. @throws OptionError */
export function readSerial(draft: Draft, text: string, place: Place): CharInput | null {
  const [whole = ''] = text.split(',', 1);
  const [kind = '', ...rest] = whole.replace(/^mon:/, '').split(':');
  const to = rest.join(':');
  switch (kind) {
    case 'none':
      return null;
    case 'null':
    case 'pty':
      return kind;
    case 'stdio':
    case 'vc':
    case 'con':
      return 'console';
    case 'chardev':
      return draft.claimChardev(to);
    case 'file':
      return { type: 'file', path: pathOf(to, draft.host), append: false };
    case 'unix':
    case 'telnet':
    case 'tcp': {
      const settings = draft.settings(place, text.slice(whole.length + 1) || 'server=off');
      const server = settings.takeSwitch('server') ?? false;
      settings.leaveOut({
        wait: alwaysOff(NEVER_WAITS),
        nowait: alwaysOn(NEVER_WAITS),
        nodelay: 'bytes are sent as they come',
        reconnect: RECONNECT,
      });
      settings.end();
      if (kind === 'telnet') draft.leaveOut(place, NO_TELNET, kind);
      if (kind === 'unix') return { type: 'unix', path: pathOf(to, draft.host), server };
      const at = to.lastIndexOf(':');
      return tcp(to.slice(0, Math.max(0, at)), to.slice(at + 1), server);
    }
    default:
      throw new OptionError(
        `${shown(text)} is not supported: expected stdio, null, pty, file:PATH, unix:PATH, tcp:HOST:PORT or chardev:ID`,
      );
  }
}
