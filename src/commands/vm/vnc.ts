import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { Engine } from '../../engine/engine.ts';
import type { ServedVnc } from '../../engine/served-vnc.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { preferredLayout } from '../../screen/keyboard/preferred-layout.ts';
import { noScreen } from '../../screen/terminal/attach.ts';
import { printError, writeOut } from '../../text/output.ts';
import { UsageError } from '../../text/usage-error.ts';
import type { Security } from '../../vnc/security.ts';
import { type VncAddress, VncServer } from '../../vnc/server.ts';
import { endingSignal } from '../ending-signal.ts';
import { findVm } from './find.ts';

export type VncOptions = {
  readonly listen: string;
  readonly passwordFile?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly layout?: LayoutName | undefined;
  readonly viewOnly?: boolean | undefined;
  readonly device?: string | undefined;
  readonly child?: boolean | undefined;
};

const FIRST_PORT = 5900;
const LAST_PORT = 5999;

/** Offers a VM's screen to VNC clients, until the VM ends or a signal arrives. @returns the exit status */
export async function serveVnc(engine: Engine, name: string, options: VncOptions): Promise<number> {
  // Errors in the options come first.
  securityOf(vncAddress(options.listen), options);
  const vm = findVm(engine.vms(), name);
  if (!isAlive(vm)) throw new Error(`${name} is ${vm.state}: start it with vring vm start ${name}`);
  const server = await startVnc(engine, vm, options);
  const signal = endingSignal();
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  const unsubscribe = engine.subscribe(event => {
    if (event.kind === 'removed' && event.id === vm.id) resolve(0);
    if (event.kind === 'vm' && event.vm.id === vm.id && !isAlive(event.vm)) resolve(0);
  });
  if (options.child)
    process.stdin
      .on('end', () => resolve(0))
      .on('error', () => resolve(0))
      .resume();
  if (options.child) {
    // Everything is open: nothing needs to be opened, loaded or listened on from now on.
    const { confineSelf } = await import('../../vmm/confinement/confine-self.ts');
    const served: ServedVnc = { address: server.address, confinement: confineSelf() };
    writeOut(`${JSON.stringify(served)}\n`);
  } else writeOut(`${name}: VNC at ${server.address}; Ctrl-C ends it\n`);
  try {
    return await Promise.race([ended, signal.status]);
  } finally {
    unsubscribe();
    signal.ignore();
    server.close();
  }
}

/** Starts the server in this process. @throws with a sentence for the user */
export async function startVnc(engine: Engine, vm: VmInfo, options: VncOptions): Promise<VncServer> {
  const address = vncAddress(options.listen);
  const security = securityOf(address, options);
  const obstacle = noScreen(vm);
  if (obstacle !== null) throw new Error(obstacle);
  const { layout = preferredLayout(vm), viewOnly = false, device } = options;
  return await VncServer.start(engine, vm, {
    ...{ address, security, layout, viewOnly, device },
    happened: text => printError(`vring: ${text}`),
  });
}

/** Parses `auto`, `unix:PATH`, QEMU's `[HOST]:DISPLAY`, or `HOST::PORT`. @throws UsageError */
export function vncAddress(text: string): VncAddress {
  if (text === 'auto') return { kind: 'tcp', host: '127.0.0.1', port: FIRST_PORT, last: LAST_PORT };
  if (text.startsWith('unix:')) return { kind: 'unix', path: text.slice('unix:'.length) };
  const match = /^(\[[^\]]*\]|[^:]*):(:?)(\d{1,5})$/.exec(text);
  const [, given = '', colon, digits] = match ?? [];
  const port = Number(digits) + (colon === ':' ? 0 : FIRST_PORT);
  const host = given.replace(/^\[|\]$/g, '') || '127.0.0.1';
  if (match === null || port > 65_535)
    throw new UsageError(
      `--listen ${text}: expected auto, unix:PATH, [HOST]:DISPLAY such as :0, or HOST::PORT such as 127.0.0.1::5900`,
    );
  return { kind: 'tcp', host, port };
}

/** @throws UsageError if an option that the address requires is missing */
function securityOf(address: VncAddress, options: VncOptions): Security {
  const { passwordFile, tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('--tls-cert and --tls-key go together');
  const isLocal = address.kind === 'unix' || isLoopback(address.host);
  if (!isLocal && (passwordFile === undefined || tlsCert === undefined))
    throw new UsageError(
      `${address.host} is not a loopback address, and so requires --password-file, --tls-cert and --tls-key. Or listen on a loopback ` +
        'address or a Unix socket, and reach it through ssh -L',
    );
  const password = passwordFile === undefined ? null : readFileSync(passwordFile, 'utf8').split('\n')[0]!;
  if (password === '') throw new Error(`${passwordFile} is empty: the password is its first line`);
  const tls =
    tlsCert === undefined
      ? null
      : createSecureContext({
          cert: readFileSync(tlsCert),
          key: readFileSync(tlsKey!),
          minVersion: 'TLSv1.2',
        });
  return { password, tls };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
