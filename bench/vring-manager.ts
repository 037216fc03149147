import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RemoteEngine } from '../src/engine/remote/remote-engine.ts';
import { connect } from '../src/manager/connect.ts';
import { Sandbox, VRING } from '../test/support/sandbox.ts';
import { GUEST, workDirectory } from './guest.ts';

const MiB = 2 ** 20;
const LOOK_EVERY_MS = 5;

/** The released manager, with its own folders, and this process's connection to it. */
export class VringManager implements AsyncDisposable {
  readonly #sandbox: Sandbox;
  readonly #traced: boolean;
  #child: ChildProcess;
  #engine: RemoteEngine | null = null;

  /** @param traced makes machines log the steps of their starts */
  private constructor(name: string, traced: boolean) {
    this.#sandbox = new Sandbox(join(workDirectory, name));
    this.#traced = traced;
    // connect() finds the manager by these.
    Object.assign(process.env, this.#sandbox.env);
    this.#child = this.#spawn();
  }

  static async start(name: string, { traced = false } = {}): Promise<VringManager> {
    const manager = new VringManager(name, traced);
    await manager.#connect();
    return manager;
  }

  get engine(): RemoteEngine {
    return this.#engine!;
  }

  /** The words for env(1) with which a command finds it. */
  get environment(): string[] {
    return [
      'env',
      ...Object.entries(this.#sandbox.env)
        .filter(([name]) => name.startsWith('VRING_'))
        .map(([name, value]) => `${name}=${value}`),
    ];
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Starts an idle guest of 64 MiB. Resolves once it runs. */
  async add(name: string): Promise<string> {
    return await this.engine.start({
      name,
      memory: { bytes: 64 * MiB },
      boot: { kind: 'kernel', path: GUEST, append: 'quiet' },
    });
  }

  /** The PIDs of the spare process and of the VMs' processes. */
  get machinePids(): number[] {
    const vms = this.engine.vms().flatMap(vm => (vm.pid === null ? [] : [vm.pid]));
    return [...new Set([...childrenOf(this.pid), ...vms])];
  }

  /** Kills the manager and starts another one, which finds its VMs. Resolves once that is connected. */
  async replace(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
    await this.#engine?.close();
    this.#child = this.#spawn();
    await this.#connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, 'exit');
    await Promise.all(this.engine.vms().map(({ id }) => this.engine.kill(id)));
    await this.engine.close();
    this.#child.kill('SIGTERM');
    await gone;
  }

  #spawn(): ChildProcess {
    const env = { ...process.env, ...(this.#traced && { VRING_TRACE_START: '1' }) };
    return spawn(VRING, ['serve'], { env, stdio: 'ignore' });
  }

  async #connect(): Promise<void> {
    for (;;) {
      this.#engine = await connect();
      if (this.#engine !== null) return;
      if (this.#child.exitCode !== null) throw new Error('the manager ended');
      await sleep(LOOK_EVERY_MS);
    }
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => parentOf(pid) === parent);
}

/** proc(5), the second field of /proc/PID/stat after the name. */
function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}
