import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { isAlive, type VmInfo } from '../../src/engine/vm-info.ts';
import { connect } from '../../src/manager/connect.ts';
import { readRecords } from '../../src/manager/machines/machine-record.ts';
import { managerPaths } from '../../src/manager/paths.ts';
import { guest, isRunning } from './manager-process.ts';
import { Random } from './random.ts';
import { VRING } from './sandbox.ts';
import { until } from './until.ts';

function serve(prefix: readonly string[]) {
  const [command, ...args] = [...prefix, VRING, 'serve'];
  return execa(command!, args, { reject: false, stdin: 'ignore' });
}

/** What the test knows about a VM that must survive. */
type Known = { readonly pid: number; readonly startedAt: number; exits: number };

/** How long the next manager took to show every VM again, in milliseconds. */
export type Round = { readonly action: string; readonly listed: number; readonly ready: number };

/**
 * A manager with VMs that is killed repeatedly, each time in the middle of an action. Uses the folders in this
 * process's environment and the built program.
 */
export class Survival {
  #manager: ReturnType<typeof serve> | null = null;
  #engine: RemoteEngine | null = null;
  #over = false;
  readonly #random: Random;
  readonly #known = new Map<string, Known>();
  readonly #children = new Set<number>();

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  get engine(): RemoteEngine {
    return this.#engine!;
  }

  get managerPid(): number {
    return this.#manager!.pid!;
  }

  /** @param prefix a command that executes the one that follows it */
  async startManager(prefix: readonly string[] = []): Promise<void> {
    const manager = serve(prefix);
    this.#manager = manager;
    for (;;) {
      this.#engine = await connect();
      if (this.#engine !== null) return;
      if (!isRunning(manager.pid!)) throw new Error(`the manager ended: ${(await manager).stderr}`);
      await new Promise(resolve => setTimeout(resolve, 2));
    }
  }

  managerFds(): number {
    return readdirSync(`/proc/${this.managerPid}/fd`).length;
  }

  async startVm(name: string, append = 'quiet run="info; demo"'): Promise<void> {
    await this.engine.start(guest(name, append));
    await this.#printed(name, /result info /);
    const { pid, startedAt } = this.vm(name);
    this.#known.set(name, { pid: pid!, startedAt: startedAt!, exits: 0 });
  }

  vm(name: string): VmInfo {
    const vm = this.engine.vms().find(vm => vm.name === name);
    if (vm === undefined)
      throw new Error(`${name} was lost; there are ${this.engine.vms().map(vm => vm.name)}`);
    return vm;
  }

  /** Starts one of `actions`, kills the manager in the middle of it, and starts the next manager. */
  async round(actions: readonly (keyof typeof ACTIONS)[], longest = 120): Promise<Round> {
    const action = this.#random.pick(actions);
    await this.#noteExits();
    const victim = this.#random.pick([...this.#known.keys()]);
    this.#noteChildren();
    const done = ACTIONS[action](this, victim).catch(() => {});
    await new Promise(resolve => setTimeout(resolve, this.#random.below(longest)));
    this.#noteChildren();
    await this.killManager();
    await done;
    const from = performance.now();
    await this.startManager();
    const ready = performance.now() - from;
    const names = [...this.#known.keys()].filter(name => name !== victim || !MAY_END.has(action));
    await until(() => names.every(name => this.vm(name).state === 'running'));
    const listed = performance.now() - from;
    await this.#check(names, action, victim);
    await this.#settle(victim, action);
    await this.#cleanedUp();
    return { action, listed, ready };
  }

  async killManager(): Promise<void> {
    this.#manager!.kill('SIGKILL');
    await this.#manager;
    await this.#engine!.close();
  }

  /** Also after a failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    if (!isRunning(this.managerPid)) await this.startManager();
    await this.end();
  }

  /** Ends all VMs and the manager: with SIGQUIT all at once, else each VM first. */
  async end(signal: 'SIGTERM' | 'SIGQUIT' = 'SIGTERM'): Promise<void> {
    this.#over = true;
    const engine = this.#engine;
    if (engine !== null && signal === 'SIGTERM')
      await Promise.allSettled(engine.vms().map(vm => engine.kill(vm.id)));
    await engine?.close();
    this.#manager!.kill(signal);
    await this.#manager;
  }

  /** The processes of machines, including the one that is kept warm. */
  #noteChildren(): void {
    const pid = this.managerPid;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1');
      for (const child of children.split(' ').filter(Boolean)) this.#children.add(Number(child));
    }
  }

  async #noteExits(): Promise<void> {
    const exits = await this.#exits();
    for (const [name, known] of this.#known) known.exits = exits.get(name) ?? 0;
  }

  async #exits(): Promise<Map<string, number>> {
    const text = await this.engine.metrics('prometheus');
    const exits = new Map<string, number>();
    for (const [, vm, count] of text.matchAll(/^vring_vcpu_exits_total\{[^}]*vm="([^"]+)"[^}]*\} (\d+)/gm))
      exits.set(vm!, (exits.get(vm!) ?? 0) + Number(count));
    return exits;
  }

  async #check(names: readonly string[], action: keyof typeof ACTIONS, victim: string): Promise<void> {
    const exits = await this.#exits();
    for (const name of names) {
      const known = this.#known.get(name)!;
      const { pid, startedAt, topology } = this.vm(name);
      if (pid !== known.pid && action === 'upgrade' && name === victim)
        this.#known.set(name, { ...known, pid: pid! });
      else if (pid !== known.pid) throw new Error(`${name} is process ${pid}, and was ${known.pid}`);
      if (startedAt !== known.startedAt) throw new Error(`${name} has lost its uptime`);
      if (topology === null) throw new Error(`${name} has lost its topology`);
      if (known.exits === 0) throw new Error(`${name} had no counters`);
      if ((exits.get(name) ?? 0) < known.exits) throw new Error(`${name} has lost counters`);
      // Much may have been printed since the VM was started.
      await this.#printed(name, /result info |SIZE is bytes/);
      if (!this.engine.log().some(({ vm, text }) => vm === name && text === 'started'))
        throw new Error(`${name} has lost its log`);
    }
  }

  /** The victim of an interrupted action is unchanged, or has ended; either way it starts again. */
  async #settle(victim: string, action: keyof typeof ACTIONS): Promise<void> {
    if (action === 'start') {
      const late = this.engine.vms().find(vm => vm.name === LATE);
      if (late !== undefined && isAlive(late)) await this.engine.kill(LATE);
      if (this.engine.vms().some(vm => vm.name === LATE)) await this.engine.remove(LATE);
    }
    if (!MAY_END.has(action)) return;
    // A VM that was off, and has no definition, is forgotten with its manager.
    const vm = () => this.engine.vms().find(vm => vm.name === victim);
    await until(() => !['starting', 'stopping'].includes(vm()?.state ?? 'off'));
    const left = vm();
    if (left !== undefined && isAlive(left)) await this.engine.kill(victim);
    if (left !== undefined) await this.engine.remove(victim);
    this.#known.delete(victim);
    await this.startVm(victim);
  }

  /** Machines that are gone leave nothing behind: no process, socket, record or lock. */
  async #cleanedUp(): Promise<void> {
    const { machines, runtime } = managerPaths();
    const pids = new Set([...this.#known.values()].map(({ pid }) => pid));
    await until(() => [...this.#children].every(pid => pids.has(pid) || !isRunning(pid)));
    this.#children.clear();
    const records = readRecords(machines, text => {
      throw new Error(text);
    });
    const files = readdirSync(machines);
    if (records.length !== pids.size || files.length !== 2 * pids.size)
      throw new Error(`of ${pids.size} machines there is ${files}`);
    const locks = readdirSync(join(runtime, 'vms')).sort();
    const names = [...this.#known.keys()].map(name => `${name}.lock`).sort();
    if (locks.join() !== names.join()) throw new Error(`locks are ${locks}, and should be ${names}`);
  }

  async #printed(name: string, pattern: RegExp): Promise<void> {
    let output = '';
    const link = this.engine.openConsole(name, {
      printed: bytes => {
        output += Buffer.from(bytes).toString('latin1');
      },
    });
    try {
      await until(() => pattern.exec(output));
    } catch (error) {
      throw new Error(`${name} has not printed ${pattern}: ${output.slice(-500)}`, { cause: error });
    } finally {
      link.close();
    }
  }
}

const LATE = 'late';
/** Actions whose VM may be gone afterward. */
const MAY_END = new Set<string>(['kill', 'restart']);

const ACTIONS = {
  nothing: async () => {},
  start: async ({ engine }: Survival) => {
    await engine.start(guest(LATE, 'quiet run="demo"'));
  },
  kill: async ({ engine }: Survival, victim: string) => {
    await engine.kill(victim);
  },
  restart: async ({ engine }: Survival, victim: string) => {
    await engine.kill(victim);
    await engine.restart(victim);
  },
  reset: async ({ engine }: Survival, victim: string) => {
    for (let round = 0; round < 3; round++) await engine.reset(victim);
  },
  upgrade: async ({ engine }: Survival, victim: string) => {
    await engine.upgrade(victim);
  },
  'console load': async ({ engine }: Survival, victim: string) => {
    const link = engine.openConsole(victim, { printed: () => {} });
    await link.takeKeyboard(true);
    for (let line = 0; line < 200; line++) await link.feed(Buffer.from('help\r'));
  },
  'attached client': async ({ engine }: Survival) => {
    engine.sampling({ intervalMs: 50, paused: false, detailOf: null }, () => {});
    for (const vm of engine.vms()) engine.openConsole(vm.id, { printed: () => {} });
  },
} as const;

export const ALL_ACTIONS = Object.keys(ACTIONS) as (keyof typeof ACTIONS)[];
