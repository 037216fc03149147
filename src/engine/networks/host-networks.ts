import { existsSync } from 'node:fs';
import { type NetworkDefinition, networkNamed, readNetworks } from '../../host/networks/definition.ts';
import { dnsmasqFiles, dnsmasqProcess } from '../../host/networks/dnsmasq.ts';
import { listNetworks } from '../../host/networks/read.ts';
import type { ChangeLock } from '../../host/plan/change-lock.ts';
import { standingBlocks } from '../../host/plan/plan.ts';
import type { HostWriter } from '../../host/plan/writer.ts';
import { HostRoot } from '../../host/root.ts';
import { NetworkError } from '../../vmm/backends/net/network-error.ts';
import type { LogEntry } from '../vm-info.ts';

export type HostNetworksOptions = {
  /** Keeps other processes from changing the host; null if this process does not change it. */
  readonly lock: ChangeLock | null;
  /** Default: the running system. */
  readonly root?: HostRoot | undefined;
  readonly writer?: (() => HostWriter) | undefined;
  readonly note: (level: LogEntry['level'], text: string) => void;
};

/** How often to check that DHCP and DNS are still served. */
const WATCH_MS = 3000;

/** vring's networks on this host, as an engine uses them: brings them up for VMs, and keeps them up. */
export class HostNetworks {
  readonly #lock: ChangeLock | null;
  readonly #writer: (() => HostWriter) | undefined;
  readonly #note: HostNetworksOptions['note'];
  #root: HostRoot | undefined;
  #watching: NodeJS.Timeout | undefined;
  /** Allows one change at a time in this process. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Why networks could not be repaired; each reason is logged once. */
  readonly #failed = new Map<string, string>();

  constructor({ lock, root, writer, note }: HostNetworksOptions) {
    this.#lock = lock;
    this.#root = root;
    this.#writer = writer;
    this.#note = note;
  }

  /** Brings a network up if it is down. @throws NetworkError */
  async bringUp(name: string): Promise<NetworkDefinition> {
    try {
      const network = networkNamed(this.#hostRoot, name);
      if (await this.#isUp(name)) return network;
      return await this.#exclusively(() => this.#start(name));
    } catch (error) {
      const { message } = error as Error;
      throw new NetworkError(message, { cause: error });
    }
  }

  /** Brings up the networks that are set to start, and logs why one is not up. */
  async bringAllUp(): Promise<void> {
    const { definitions, problems } = readNetworks(this.#hostRoot);
    for (const problem of problems) this.#note('warning', problem);
    for (const { name } of definitions.filter(({ autostart }) => autostart)) {
      try {
        await this.bringUp(name);
      } catch (error) {
        this.#note('error', `network ${name} is not up: ${(error as Error).message}`);
      }
    }
  }

  /** Starts to watch the networks that are up. */
  watch(): void {
    this.#watching ??= setInterval(() => void this.#repair(), WATCH_MS).unref();
  }

  close(): void {
    clearInterval(this.#watching);
  }

  /** Restarts DHCP and DNS of networks that are up. */
  async #repair(): Promise<void> {
    for (const name of this.#unserved()) {
      try {
        await this.#exclusively(async () => {
          // It may have been taken down or repaired by now.
          if (!this.#unserved().includes(name)) return;
          await this.#start(name);
          this.#note('warning', `dnsmasq of network ${name} had exited, and was restarted`);
        });
        this.#failed.delete(name);
      } catch (error) {
        const { message } = error as Error;
        if (this.#failed.get(name) === message) continue;
        this.#failed.set(name, message);
        this.#note('error', `network ${name} has no DHCP and DNS: ${message}; vring will try again`);
      }
    }
  }

  /**
   * Networks that are up but for their dnsmasq. Its pid file is no sign of that: an attempt to start it that failed has
   * removed it.
   */
  #unserved(): string[] {
    try {
      return readNetworks(this.#hostRoot)
        .definitions.map(({ name }) => name)
        .filter(name => {
          const isServed = existsSync(this.#hostRoot.resolve(dnsmasqFiles(name).config));
          return isServed && dnsmasqProcess(this.#hostRoot, name) === null;
        });
    } catch {
      // Only root can read them.
      return [];
    }
  }

  async #isUp(name: string): Promise<boolean> {
    const { networks } = await listNetworks(this.#hostRoot);
    return networks.find(network => network.name === name)?.state === 'up';
  }

  async #start(name: string): Promise<NetworkDefinition> {
    const [{ planNetworkStart }, { applyPlan }] = await Promise.all([
      import('../../host/plan/networks/start.ts'),
      import('../../host/plan/apply.ts'),
    ]);
    const network = networkNamed(this.#hostRoot, name);
    const plan = await planNetworkStart(this.#hostRoot, network);
    const [block] = standingBlocks(plan, false);
    if (block !== undefined)
      throw new Error(
        `network ${name} cannot be brought up: ${block.subject ?? 'the host'}: ${block.reason}`,
      );
    const writer = await this.#openWriter();
    try {
      const { state, problem } = await applyPlan(writer, plan);
      if (state !== 'applied') throw new Error(`network ${name} cannot be brought up: ${problem}`);
    } finally {
      writer.close();
    }
    this.#note('info', `network ${name} is up`);
    return network;
  }

  async #openWriter(): Promise<HostWriter> {
    if (this.#writer !== undefined) return this.#writer();
    const { systemWriter } = await import('../../host/plan/process-writer.ts');
    return systemWriter(this.#hostRoot);
  }

  async #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const lock = this.#lock;
    if (lock === null) throw new Error('this process does not change the host: use vring net start');
    const turn = this.#queue.then(() => lock(change));
    this.#queue = turn.catch(() => {});
    return await turn;
  }

  get #hostRoot(): HostRoot {
    this.#root ??= new HostRoot();
    return this.#root;
  }
}
