import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { BARE_APPEND, bareLoop, GUEST, QEMU_BASE, runGuest, VRING } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate, median } from './statistics.ts';
import { VringManager } from './vring-manager.ts';

const ROUNDS = 11;
/** QEMU's fastest x86 machine, without what the guest doesn't need. */
const MICROVM = [
  '-machine',
  'microvm,acpi=off,pit=off,pic=off,rtc=off',
  ...QEMU_BASE,
  '-append',
  'quiet',
].concat(['-chardev', 'stdio,id=console', '-device', 'isa-debugcon,iobase=0x402,chardev=console']);
const VRING_RUN = ['run', GUEST, '--memory', '64M', '--no-rng', '--append', 'quiet'];
/** Time for the next spare process to get ready, as between VMs that a user starts one by one. */
const PREPARES_MS = 3000;

/**
 * From the command to the guest's first instruction, which writes a byte to the debug console, until the byte arrives
 * here. For a running manager, the request comes from a connected client, such as its UI.
 */
export async function measureStartTime(): Promise<Measurement[]> {
  await using manager = await VringManager.start('start', { traced: true });
  const starts = new TracedStarts(manager);
  const runs = new TracedRuns();
  const bare = await bareLoop();
  // This run ends normally, so that Node writes its compile cache; the measured runs are killed.
  await runGuest('vring', { commands: 'exits io 1' });
  const values = await alternate(ROUNDS, {
    running: () => starts.start(),
    process: () => runs.start(),
    microvm: () => firstByte('qemu-system-x86_64', MICROVM),
    bare: () => firstByte(bare, [GUEST, BARE_APPEND]),
  });
  const peers = { QEMU: values.microvm, 'bare loop': values.bare };
  const row = (what: string, ms: number, limit: number): Measurement => ({
    what,
    unit: 'ms',
    values: { vring: ms, ...peers },
    target: atMost(limit, 'x QEMU', ms / values.microvm),
  });
  return [
    row('start in a running manager', values.running, 0.25),
    row('start by vring run, in a pipe', values.process, 1),
    { what: 'steps of the start in a running manager', unit: 'ms', values: starts.steps },
    { what: 'vring run in a pipe: ms from the command to each step', unit: 'ms', values: runs.times },
  ];
}

/** Starts of a guest in a manager whose machines log their steps. */
class TracedStarts {
  readonly #manager: VringManager;
  readonly #steps = new Map<string, number[]>();
  #started = 0;

  constructor(manager: VringManager) {
    this.#manager = manager;
  }

  /** Milliseconds to the guest's first byte. */
  async start(): Promise<number> {
    await sleep(PREPARES_MS);
    const { engine } = this.#manager;
    const printed = Promise.withResolvers<number>();
    const logged = Promise.withResolvers<string>();
    const unsubscribe = engine.subscribe(event => {
      if (event.kind === 'log' && event.entry.text.startsWith('start: ')) logged.resolve(event.entry.text);
    });
    const begun = nowMs();
    const id = await this.#manager.add(`start-${this.#started++}`);
    const link = engine.openConsole(id, {
      printed: bytes => {
        if (bytes.length > 0) printed.resolve(nowMs());
      },
    });
    const arrived = await printed.promise;
    this.#note(begun, await logged.promise, arrived);
    unsubscribe();
    link.close();
    await engine.kill(id);
    await engine.remove(id);
    return arrived - begun;
  }

  /** The median of each. */
  get steps(): Record<string, number> {
    return Object.fromEntries([...this.#steps].map(([step, times]) => [step, median(times)]));
  }

  /** @param text see src/vmm/machine/start-trace.ts */
  #note(begun: number, text: string, arrived: number): void {
    const words = text.slice(text.indexOf(' ') + 1).split(' ');
    const marks = words.map(word => word.split('=') as [string, string]);
    let before = begun;
    for (const [step, at] of [...marks, ['byte', String(arrived * 1000)] as const]) {
      const ms = Number(at) / 1000;
      this.#steps.set(step, [...(this.#steps.get(step) ?? []), ms - before]);
      before = ms;
    }
  }
}

/** Starts by `vring run`, which has one thread. */
class TracedRuns {
  readonly #times = new Map<string, number[]>();

  /** Milliseconds to the guest's first byte. */
  async start(): Promise<number> {
    const begun = nowMs();
    const { ms, said } = await startToByte(VRING, VRING_RUN, { ...process.env, VRING_TRACE_START: '1' });
    for (const [, step, at] of said.matchAll(/([\w-]+)=(\d+)/g))
      this.#times.set(step!, [...(this.#times.get(step!) ?? []), Number(at) / 1000 - begun]);
    return ms;
  }

  /** Median milliseconds from the command to each step, in order. */
  get times(): Record<string, number> {
    const medians = [...this.#times].map(([step, times]) => [step, median(times)] as const);
    return Object.fromEntries(medians.sort(([, a], [, b]) => a - b));
  }
}

/** CLOCK_MONOTONIC, which all processes share. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Starts a program and ends it once it has printed. @returns milliseconds to its first byte. */
async function firstByte(program: string, args: readonly string[]): Promise<number> {
  return (await startToByte(program, args, process.env)).ms;
}

/** @returns milliseconds to the first byte, and the text on stderr */
async function startToByte(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ ms: number; said: string }> {
  const begun = performance.now();
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', chunk => {
    said += chunk;
  });
  const closed = once(child, 'close');
  const printed = once(child.stdout, 'data').then(() => performance.now());
  const failed = closed.then(([code]) => {
    throw new Error(`${program} ended with exit status ${code} before the guest ran:\n${said}`);
  });
  failed.catch(() => {});
  const ms = (await Promise.race([printed, failed])) - begun;
  child.kill('SIGKILL');
  await closed;
  return { ms, said };
}
