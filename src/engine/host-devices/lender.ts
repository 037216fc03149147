import type { PassthroughVm } from '../../host/passthrough/assessment.ts';
import type { ChangeLock } from '../../host/plan/change-lock.ts';
import type { HostWriter } from '../../host/plan/writer.ts';
import { HostRoot } from '../../host/root.ts';
import { sentenceList } from '../../host/text.ts';
import { type TakenDevice, TakenDevices } from '../../host/vfio/taken.ts';
import { bytesOf } from '../../text/size.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { OpenedHostDevice } from '../machines/machine.ts';
import type { LogEntry, VmHostDevice } from '../vm-info.ts';
import type { HeldFiles } from './open.ts';
import type { LendingTools } from './tools.ts';
import type { WantedHostDevice } from './wanted.ts';

/** The lender's callbacks to its engine. */
export type LenderHost = {
  /** Whether this VM has a machine, or is starting or ending. */
  isAlive(vm: string): boolean;
  note(level: LogEntry['level'], text: string, vm: string | null): void;
  /** A VM's devices changed. */
  changed(vm: string): void;
};

export type LenderOptions = {
  /** Keeps other processes from changing the host. */
  readonly lock: ChangeLock;
  /** Default: opens the files in /dev. */
  readonly open?: LendingTools['open'];
  /** Default: those in this user's state folder. */
  readonly records?: TakenDevices;
  /** Default: the running system. */
  readonly root?: HostRoot;
  readonly writer?: () => HostWriter;
};

/** The VM that devices are taken for. */
export type Borrower = {
  readonly config: MachineConfig;
  readonly state: 'stopped' | 'running';
};

/** The first retry interval for devices that could not be given back; it doubles each time. */
const RETRY_MS = 5000;
const RETRY_MOST_MS = 300_000;

/**
 * Lends host devices to VMs: takes them before a VM starts, and gives them back once it has ended. Each device's
 * earlier state is recorded before it is changed, so that the next process can give back what this one has not.
 */
export class HostDeviceLender {
  /** Few VMs have any, and their schemas take milliseconds to load. */
  readonly #records: () => TakenDevices;
  readonly #lock: ChangeLock;
  readonly #root: () => HostRoot;
  readonly #writer: (root: HostRoot) => Promise<() => HostWriter>;
  readonly #open: LendingTools['open'] | undefined;
  readonly #host: LenderHost;
  /** What this process has taken, and what it found for adopted VMs, by address. */
  readonly #taken = new Map<string, TakenDevice>();
  /** Why devices could not be given back, by address. */
  readonly #outstanding = new Map<string, string>();
  #retry: NodeJS.Timeout | undefined;
  #retryMs = RETRY_MS;
  #queue: Promise<unknown> = Promise.resolve();

  constructor({ lock, open, records, root, writer }: LenderOptions, host: LenderHost) {
    let known = records;
    this.#records = () => {
      known ??= new TakenDevices();
      return known;
    };
    this.#lock = lock;
    this.#open = open;
    this.#host = host;
    this.#root = () => root ?? new HostRoot();
    this.#writer = async root => {
      if (writer !== undefined) return writer;
      const { systemWriter } = await import('../../host/plan/process-writer.ts');
      return () => systemWriter(root);
    };
  }

  /** The devices of a VM. */
  of(vm: string): VmHostDevice[] {
    return this.#of(vm).flatMap(({ address, device, api, keep, before, noIommu }) =>
      device === null
        ? []
        : [{ address, device, api, keep, before: before.driver, ...(noIommu && { noIommu }) }],
    );
  }

  /** Whether there is anything to give back when this VM ends. */
  has(vm: string): boolean {
    return this.#of(vm).length > 0;
  }

  /**
   * Takes devices for a VM and opens them. The caller closes the fds.
   * @throws with everything that keeps the VM from having them; the host is restored
   */
  async take(
    { config, state }: Borrower,
    wanted: readonly WantedHostDevice[],
    signal: AbortSignal,
  ): Promise<readonly OpenedHostDevice[]> {
    const vm = config.name;
    const taking = await import('./take.ts');
    signal.throwIfAborted();
    let hasBegun = false;
    const turn = this.#exclusively(vm, async tools => {
      signal.throwIfAborted();
      hasBegun = true;
      const own = this.#of(vm);
      if (state === 'running') refuseTwice(vm, own, wanted);
      const left = this.#left();
      const unwanted = left.filter(({ address }) => !wanted.some(each => each.address === address));
      await this.#return(tools, unwanted, 'maybe');
      const others = [...this.#taken.values()].filter(each => each.vm !== vm);
      const { records, opened } = await taking.take(tools, {
        vm: { ...vmOf(config), state },
        wanted,
        held: heldFiles(own),
        claims: others.map(({ address, vm, device }) => ({
          ...{ address, vm, running: true },
          ...(device !== null && { device }),
        })),
        // Group members that were bound along have records of their earlier state, too.
        left: [...left, ...own.filter(({ device }) => device === null)],
        signal,
      });
      for (const record of records) {
        this.#taken.set(record.address, record);
        this.#outstanding.delete(record.address);
      }
      this.#host.changed(vm);
      return opened;
    });
    return await unlessAborted(turn, signal, () => hasBegun);
  }

  /**
   * Gives back devices that a VM no longer has open; resolves once that is done, or once the log says why it is not.
   * @param addresses default: all
   */
  async giveBack(vm: string, addresses?: readonly string[]): Promise<void> {
    const own = this.#of(vm);
    const asked = own.filter(({ address }) => addresses?.includes(address) ?? true);
    if (asked.length === 0) return;
    const returning = addresses === undefined ? own : withCompany(asked, own);
    try {
      await this.#exclusively(vm, tools => this.#return(tools, returning, 'yes'));
    } catch (error) {
      const names = sentenceList(returning.map(({ address }) => address));
      this.#host.note(
        'error',
        `could not give ${names} back: ${(error as Error).message}; vring will try again`,
        vm,
      );
      this.#retryLater();
    }
    for (const { address } of returning) this.#taken.delete(address);
    this.#host.changed(vm);
  }

  /**
   * Finds what earlier processes have taken: devices of this engine's VMs stay with them, and those that no VM has any
   * more are given back.
   */
  async recover(): Promise<void> {
    let found: TakenDevice[];
    try {
      found = this.#records().list(text => this.#host.note('warning', text, null));
    } catch (error) {
      this.#host.note(
        'error',
        `devices of earlier VMs are not given back: ${(error as Error).message}`,
        null,
      );
      return;
    }
    if (found.length === 0) return;
    const vms = new Set<string>();
    for (const taken of found.filter(({ vm }) => this.#host.isAlive(vm))) {
      this.#taken.set(taken.address, taken);
      vms.add(taken.vm);
    }
    for (const vm of vms) this.#host.changed(vm);
    await this.#giveBackLeft();
  }

  /** Stops the retries: the next process gives back what is left. */
  close(): void {
    clearTimeout(this.#retry);
  }

  #of(vm: string): TakenDevice[] {
    return [...this.#taken.values()].filter(taken => taken.vm === vm);
  }

  /** What an earlier process has taken, or this one could not give back. Another running process may be using it. */
  #left(): TakenDevice[] {
    return this.#records()
      .list()
      .filter(({ address }) => !this.#taken.has(address));
  }

  async #giveBackLeft(): Promise<void> {
    try {
      if (this.#left().length === 0) return;
      await this.#exclusively(null, tools => this.#return(tools, this.#left(), 'maybe'));
    } catch (error) {
      this.#host.note(
        'warning',
        `devices of earlier VMs are not given back: ${(error as Error).message}`,
        null,
      );
      this.#retryLater();
    }
  }

  /** @param ours `maybe`: if a process has a device open, that process may be the one to give it back */
  async #return(tools: LendingTools, devices: readonly TakenDevice[], ours: 'yes' | 'maybe'): Promise<void> {
    if (devices.length === 0) return;
    const { giveBack } = await import('./give-back.ts');
    const outstanding = await giveBack(tools, devices);
    const before = new Map(devices.map(({ address }) => [address, this.#outstanding.get(address)]));
    for (const { address } of devices) this.#outstanding.delete(address);
    for (const { taken, reason, isOpen } of outstanding) {
      this.#outstanding.set(taken.address, reason);
      const isNew = before.get(taken.address) !== reason && (ours === 'yes' || !isOpen);
      if (isNew)
        tools.note(
          'warning',
          `could not give ${taken.address} back${to(taken)}: ${reason}; vring will try again`,
          taken.vm,
        );
    }
    if (outstanding.length > 0) this.#retryLater();
    else this.#retryMs = RETRY_MS;
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#giveBackLeft(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MOST_MS);
  }

  /** One change of the host at a time, in this process and across processes. */
  async #exclusively<T>(vm: string | null, change: (tools: LendingTools) => Promise<T>): Promise<T> {
    const root = this.#root();
    const tools = {
      root,
      records: this.#records(),
      writer: await this.#writer(root),
      open: this.#open ?? (await import('./open.ts')).openHostDevices,
      note: this.#host.note,
    };
    const waiting = (holder: string) => this.#host.note('info', `waiting: ${holder}`, vm);
    const turn = this.#queue.then(() => this.#lock(() => change(tools), waiting));
    this.#queue = turn.catch(() => {});
    return await turn;
  }
}

/** Stops waiting for the lock on abort. A change that has begun is not interrupted. */
async function unlessAborted<T>(turn: Promise<T>, signal: AbortSignal, hasBegun: () => boolean): Promise<T> {
  return await new Promise((resolve, reject) => {
    const aborted = () => {
      if (!hasBegun()) reject(signal.reason);
    };
    signal.addEventListener('abort', aborted, { once: true });
    turn.then(resolve, reject);
  });
}

/** @throws when a running VM asks for a device that it has: the record of its earlier state must not be replaced */
function refuseTwice(vm: string, own: readonly TakenDevice[], wanted: readonly WantedHostDevice[]): void {
  const twice = own.find(
    ({ address, device }) => device !== null && wanted.some(each => each.address === address),
  );
  if (twice !== undefined) throw new Error(`${vm} has ${twice.address} already, as ${twice.device}`);
}

/** The VFIO files that a machine has open for these devices. */
function heldFiles(devices: readonly TakenDevice[]): HeldFiles {
  // Without an IOMMU, each has its own container.
  const byGroup = devices.filter(({ api, noIommu }) => api === 'group' && noIommu !== true);
  return {
    container: byGroup.length > 0,
    iommufd: devices.some(({ api }) => api === 'iommufd'),
    groups: byGroup.flatMap(({ group }) => group ?? []),
  };
}

function to({ before }: TakenDevice): string {
  return before.driver === null ? '' : ` to ${before.driver}`;
}

/** The given devices, and those bound along with their groups, if no other device of the group stays. */
function withCompany(returning: readonly TakenDevice[], own: readonly TakenDevice[]): TakenDevice[] {
  const staying = own.filter(taken => taken.device !== null && !returning.includes(taken));
  const groups = new Set(returning.map(({ group }) => group));
  for (const { group } of staying) groups.delete(group);
  const company = own.filter(({ device, group }) => device === null && group !== null && groups.has(group));
  return [...returning, ...company];
}

function vmOf({ name, memory, boot, cpus, pin }: MachineConfig): Omit<PassthroughVm, 'state'> {
  return {
    name,
    memoryBytes: memory.bytes,
    firmware: boot.kind === 'firmware',
    vcpus: cpus,
    hostCpus: pin ?? null,
    hugepageBytes: memory.hugepages === undefined ? null : bytesOf(memory.hugepages),
    mergeable: memory.mergeable,
  };
}
