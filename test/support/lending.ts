import { openSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { HostDeviceLender, type LenderHost } from '../../src/engine/host-devices/lender.ts';
import type { LendingTools } from '../../src/engine/host-devices/tools.ts';
import type { WantedHostDevice } from '../../src/engine/host-devices/wanted.ts';
import type { ChangeLock } from '../../src/host/plan/change-lock.ts';
import type { HostWriter } from '../../src/host/plan/writer.ts';
import { TakenDevices } from '../../src/host/vfio/taken.ts';
import { parseMachineConfig } from '../../src/vmm/machine/config.ts';
import { SimulatedHost } from '../host/plan/simulated-host.ts';
import type { TreeBuilder } from '../host/trees/builder.ts';
import { serverTree } from '../host/trees/server.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A VF of the server's network card, bound to its driver iavf, and the physical function. */
export const VF = '0000:3b:0a.2';
export const PF = '0000:3b:00.2';
/** Another VF. */
export const OTHER_VF = '0000:3b:0a.3';
export const VF_GROUP = 86;

export const plain = { keep: false, settings: {}, unsafeNoIommu: false } as const;

export function wanted(address: string, more: Partial<WantedHostDevice> = {}): WantedHostDevice {
  return { ...plain, address, device: 'hostdev0', ...more };
}

export const configOf = (name: string) =>
  parseMachineConfig({ name, boot: { kind: 'kernel', path: 'kernel' } });

/** A simulated host on which lenders borrow and return devices, one after the other, like consecutive managers. */
export class LendingRig {
  readonly host: SimulatedHost;
  readonly records = new TakenDevices(temporaryFolder());
  readonly notes: string[] = [];
  /** VMs that have a machine, or one that is starting or ending. */
  readonly alive = new Set<string>();
  /** Stands for the files of all devices. */
  readonly #file = join(temporaryFolder(), 'device');
  /** The error of opening a device. */
  openError: Error | null = null;

  constructor(tree: TreeBuilder = serverTree()) {
    this.host = new SimulatedHost(tree);
    onTestFinished(() => this.host.dispose());
  }

  lender(
    options: { readonly writer?: LendingTools['writer']; readonly lock?: ChangeLock } = {},
  ): HostDeviceLender {
    const { writer = () => this.host, lock = change => change() } = options;
    const host: LenderHost = {
      isAlive: vm => this.alive.has(vm),
      note: (level, text, vm) => this.notes.push(`${level} ${vm}: ${text}`),
      changed: () => {},
    };
    const { root } = this.host;
    const lender = new HostDeviceLender({ lock, open: this.open, records: this.records, root, writer }, host);
    onTestFinished(() => lender.close());
    return lender;
  }

  /** Makes a process hold a host group open. */
  hold(group: number, pid = 9000, title = 'vring: web'): void {
    this.host.tree
      .file(`/proc/${pid}/comm`, `${title.slice(0, 15)}\n`)
      .file(`/proc/${pid}/cmdline`, `${title}\0`)
      .link(`/proc/${pid}/fd/20`, `/dev/vfio/${group}`);
  }

  release(pid = 9000): void {
    this.host.tree.removePath(`/proc/${pid}`);
  }

  /** Fds of opened devices that are still open in this process. */
  get openFds(): number {
    return readdirSync('/proc/self/fd').filter(fd => this.isOpen(Number(fd))).length;
  }

  isOpen(fd: number): boolean {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === this.#file;
    } catch {
      return false; // the fd of the list itself
    }
  }

  readonly open: LendingTools['open'] = async wanted => {
    if (this.openError !== null) throw this.openError;
    return wanted.map(({ address }, index) => {
      const fds = (index === 0 ? (['container', 'group', 'device'] as const) : (['device'] as const)).map(
        kind => ({ kind, fd: openSync(this.#file, 'a') }),
      );
      return { address, api: 'group', group: VF_GROUP, resetMethods: ['flr'], noIommu: false, fds };
    });
  };
}

/**
 * Changes the host through `host`, until it dies like a killed process: before or after the operation with this number,
 * counted from 0.
 */
export function dyingWriter(
  host: SimulatedHost,
  at: number,
  when: 'before' | 'after',
): { readonly writer: HostWriter; readonly died: Promise<void> } {
  const died = Promise.withResolvers<void>();
  let count = 0;
  async function operation<T>(perform: () => Promise<T>): Promise<T> {
    const number = count++;
    if (number < at || (number === at && when === 'after')) {
      const result = await perform();
      if (number < at) return result;
    }
    died.resolve();
    return await new Promise<never>(() => {});
  }
  const writer: HostWriter = {
    root: host.root,
    writeSeconds: null,
    writeAttribute: (path, value) => operation(() => host.writeAttribute(path, value)),
    replaceFile: (path, content, mode, backup) =>
      operation(() => host.replaceFile(path, content, mode, backup)),
    removeFiles: (paths, directory) => operation(() => host.removeFiles(paths, directory)),
    run: argv => operation(() => host.run(argv)),
    sleep: () => host.sleep(),
    close: () => {},
  };
  return { writer, died: died.promise };
}
