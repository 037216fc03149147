import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConsoleLink } from '../../src/engine/engine.ts';
import type { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { isAlive, type VmInfo } from '../../src/engine/vm-info.ts';
import { readRecords } from '../../src/manager/machines/machine-record.ts';
import { managerPaths } from '../../src/manager/paths.ts';
import { isLockedElsewhere } from '../../src/vmm/native/ofd-lock.ts';
import { guest, isRunning } from './manager-process.ts';
import type { Random } from './random.ts';
import { until } from './until.ts';

const DISK_BYTES = 64 * 2 ** 20;
const NAME = 'web';
/** More than an upgrade takes, on a host that is not very busy. */
const LONGEST_MS = 150;

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/**
 * A guest that keeps writing its disk and reading it back, on commands from its console, while its VM is upgraded:
 * everything that it reads, prints and receives must be the same as without upgrades.
 */
export class UpgradedGuest {
  #engine: RemoteEngine;
  readonly #random: Random;
  readonly #disk: string;
  #locks: readonly number[] = [];
  #console!: ConsoleLink;
  /** All of its output, as shown on a terminal. */
  #output = '';
  /** The commands that it was given, by their number of blocks. */
  #given: number[] = [];
  #working: Promise<void> | null = null;
  #stopped = false;
  /** The first fault that occurred outside a wait. */
  #fault: Error | null = null;

  private constructor(engine: RemoteEngine, disk: string, random: Random) {
    this.#engine = engine;
    this.#random = random;
    this.#disk = disk;
  }

  static async start(
    engine: RemoteEngine,
    folder: string,
    random: Random,
    { cpus = 1, qcow2 = false, transient = false } = {},
  ): Promise<UpgradedGuest> {
    const disk = join(folder, 'disk.img');
    writeFileSync(disk, '');
    const fd = openSync(disk, 'r+');
    writeFileSync(fd, Buffer.alloc(DISK_BYTES));
    closeSync(fd);
    if (qcow2) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', disk, String(DISK_BYTES)]);
    const devices = [
      { type: 'virtio-blk' as const, path: disk, ...(transient && { transient }) },
      { type: 'virtio-rng' as const },
    ];
    await engine.start({ ...guest(NAME), cpus, devices });
    const upgraded = new UpgradedGuest(engine, disk, random);
    await upgraded.attach(engine);
    await until(() => upgraded.#output.endsWith('> '));
    return upgraded;
  }

  /** Attaches a manager that has it now. */
  async attach(engine: RemoteEngine): Promise<void> {
    this.close();
    this.#engine = engine;
    this.#output = '';
    const paths = [this.#disk, join(managerPaths().runtime, 'vms', `${NAME}.lock`)];
    this.#locks = paths.map(path => openSync(path, 'r+'));
    this.#console = engine.openConsole(NAME, {
      printed: bytes => {
        this.#output += Buffer.from(bytes).toString('latin1');
      },
    });
    await this.#console.takeKeyboard(true);
  }

  get engine(): RemoteEngine {
    return this.#engine;
  }

  /** Starts it again after its end. */
  async startAgain(): Promise<void> {
    await this.rest().catch(() => {});
    this.#fault = null;
    this.#given = [];
    await this.engine.restart(NAME);
    await this.attach(this.engine);
    await until(() => this.#output.endsWith('> '));
  }

  /** Types `command` and waits for this output. */
  async says(command: string, pattern: RegExp): Promise<void> {
    const before = this.#output.length;
    this.#console.type(Buffer.from(`${command}\r`));
    await until(() => pattern.test(this.#output.slice(before)));
  }

  get info(): VmInfo {
    return this.engine.vms().find(vm => vm.name === NAME)!;
  }

  get output(): string {
    return this.#output;
  }

  /** How many commands it has completed. */
  get done(): number {
    return this.#output.match(/^result blk-verify /gm)?.length ?? 0;
  }

  /** Gives it one command after the other, until `rest`; checks its locks throughout. */
  work(): void {
    this.#stopped = false;
    const work = async () => {
      while (!this.#stopped) {
        const blocks = 20 + this.#random.below(200);
        const seen = this.done;
        this.#given.push(blocks);
        this.#console.type(Buffer.from(`blk verify ${blocks}\r`));
        await until(() => {
          if (!isAlive(this.info)) throw new Error('it has ended');
          this.#checkLocks();
          return this.done > seen && this.#output.endsWith('> ');
        });
      }
    };
    this.#working = work().catch(error => {
      this.#fault ??= error;
    });
  }

  /** Lets it finish its current command. */
  async rest(): Promise<void> {
    this.#stopped = true;
    await this.#working;
    if (this.#fault !== null) throw this.#fault;
  }

  /** Waits for a random time, so that the next step interrupts anything. */
  async soon(): Promise<void> {
    await pause(this.#random.below(LONGEST_MS));
  }

  /** An upgrade, which must be visible only in the log. @returns how long the guest was paused, in milliseconds */
  async upgrade(): Promise<number> {
    const before = this.info;
    const counted = await this.counters();
    const logged = this.#handOvers();
    const { stoodStillMs } = await this.engine.upgrade(NAME);
    const { pid, startedAt, state, topology } = this.info;
    if (pid === before.pid) throw new Error('it runs in the same process');
    if (startedAt !== before.startedAt) throw new Error('it has lost its uptime');
    if (state !== before.state) throw new Error(`it is ${state}, and was ${before.state}`);
    if (JSON.stringify(topology) !== JSON.stringify(before.topology))
      throw new Error('it has other parts than before');
    if (!(stoodStillMs > 0)) throw new Error(`it stood still for ${stoodStillMs} ms`);
    for (const [name, value] of await this.counters())
      if (value < (counted.get(name) ?? 0))
        throw new Error(`${name} was ${counted.get(name)}, and is ${value}`);
    await until(() => this.#handOvers() === logged + 1);
    await until(() => !isRunning(before.pid!));
    return stoodStillMs;
  }

  /** Monotonic counters. */
  async counters(): Promise<Map<string, number>> {
    const text = await this.engine.metrics('prometheus');
    const lines = text.matchAll(/^(vring_\w+_total\{[^}]*vm="web"[^}]*\}) (\d+)$/gm);
    return new Map(Array.from(lines, ([, name, value]) => [name!, Number(value)]));
  }

  /** Checks that every command was carried out once, with the right result. */
  check(): void {
    const results = [...this.#output.matchAll(/^result blk-verify (.*?)\r?$/gm)].map(([, result]) => result);
    const expected = this.#given.map(blocks => `blocks=${blocks} bad=0 errors=0 complete=1`);
    const wrong = expected.findIndex((result, index) => !results[index]?.includes(result));
    if (wrong >= 0 || results.length !== expected.length)
      throw new Error(
        `of ${expected.length} commands, ${results.length} were done; number ${wrong} gave ${results[wrong]} in place of ${expected[wrong]}`,
      );
    const echoes = [...this.#output.matchAll(/^> blk verify (\d+)\r?$/gm)].map(([, blocks]) =>
      Number(blocks),
    );
    if (echoes.join() !== this.#given.join())
      throw new Error(`it was sent ${this.#given}, and read ${echoes}`);
  }

  /** Checks that a terminal opened now shows exactly the end of what this one has shown. */
  async checkReplay(): Promise<void> {
    let replay = '';
    const link = this.engine.openConsole(NAME, {
      printed: bytes => {
        replay += Buffer.from(bytes).toString('latin1');
      },
    });
    await until(() => replay.length >= Math.min(this.#output.length, 2 ** 16));
    link.close();
    if (!this.#output.endsWith(replay)) throw new Error('what is replayed is not what was printed');
  }

  /** Its log entries, without times. */
  log(): string[] {
    return this.engine
      .log()
      .filter(({ vm }) => vm === NAME)
      .map(({ text }) => text);
  }

  #handOvers(): number {
    return this.log().filter(text => text.startsWith('moved to a new process')).length;
  }

  /** Checks that one process of the VM is left, with its record, its socket and its lock. */
  async checkLeftovers(): Promise<void> {
    const { machines } = managerPaths();
    await until(() => readdirSync(machines).length === 2);
    const [found] = readRecords(machines, text => {
      throw new Error(text);
    });
    const { record } = found!;
    if (record.pid !== this.info.pid || record.successor !== undefined)
      throw new Error(`the record has process ${record.pid}, and the VM is ${this.info.pid}`);
    this.#checkLocks();
  }

  close(): void {
    for (const fd of this.#locks) closeSync(fd);
    this.#locks = [];
    this.#console?.close();
  }

  #checkLocks(): void {
    for (const fd of this.#locks)
      if (!isLockedElsewhere(fd, { start: 0, length: 0 })) throw new Error('a lock was free');
  }
}
