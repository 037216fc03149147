import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { execa } from 'execa';
import { processCpuSeconds } from './cpu-time.ts';
import { GUEST, type GuestResult, parseResult, QEMU_BASE, VRING, workDirectory } from './guest.ts';

const TIMEOUT_MS = 120_000;
/** Long enough for the guest to end, however long its VMM takes to start. */
const FLOOD_SECONDS = 60;
const NETWORK = `vring-bench-${process.pid}`;
export const TAP = 'tap0';

export type TapVmm = 'vring' | 'QEMU';
/** The result of each of the guest's commands, and the CPU time of the VMM until it was printed. */
export type TapRun = {
  readonly results: readonly GuestResult[];
  readonly cpuSeconds: readonly number[];
};

/** A network card, as in `-device` after its `netdev`, on both VMMs; `qemu` is what QEMU needs in addition. */
export type Card = { readonly driver: string; readonly qemu?: string };

/** Runs `what` with a TAP interface in its own network namespace. Needs root. */
export async function withTap<T>(what: () => Promise<T>): Promise<T> {
  await execa('ip', ['netns', 'add', NETWORK]);
  try {
    await inNetwork('ip', ['tuntap', 'add', 'dev', TAP, 'mode', 'tap']);
    await inNetwork('ip', ['link', 'set', TAP, 'up']);
    return await what();
  } finally {
    await execa('ip', ['netns', 'del', NETWORK]);
  }
}

let flood: Promise<string> | undefined;

/** A program that sends frames of this size to the TAP interface. */
export async function floodProgram(size: number): Promise<string[]> {
  flood ??= (async () => {
    const program = join(workDirectory, 'net-flood');
    await execa('cc', ['-O2', '-o', program, join(import.meta.dirname, 'net-flood.c')]);
    return program;
  })();
  return [await flood, TAP, String(size), String(FLOOD_SECONDS)];
}

function inNetwork(command: string, args: readonly string[]) {
  return execa('ip', ['netns', 'exec', NETWORK, command, ...args], { timeout: TIMEOUT_MS, stdin: 'ignore' });
}

/**
 * Runs the guest with a card on the TAP interface.
 * @param program runs beside the guest
 */
export async function runOnTap(
  vmm: TapVmm,
  card: Card,
  commands: string,
  program: readonly string[] | null,
): Promise<TapRun> {
  // The VMM lives on for a while after the last result, for its CPU time to be read.
  const append = `quiet run="${commands}; spin 1s; exit 0"`;
  const tap = `tap,id=n0,ifname=${TAP},script=no,downscript=no`;
  const command =
    vmm === 'vring'
      ? [
          ...[VRING, 'run', '-m', '64', '-kernel', GUEST, '-append', append, '-netdev', tap],
          ...['-device', `${card.driver},netdev=n0`, '-nographic'],
        ]
      : [
          ...['qemu-system-x86_64', '-machine', 'q35', ...QEMU_BASE, '-append', append, '-serial', 'stdio'],
          ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-netdev', `${tap},vhost=off`],
          ...['-device', `${card.driver},netdev=n0,romfile=${card.qemu ?? ''}`],
        ];
  const sender = program && spawn('ip', ['netns', 'exec', NETWORK, ...program], { stdio: 'ignore' });
  // The exit status is the guest's.
  const run = execa('ip', ['netns', 'exec', NETWORK, ...command], {
    timeout: TIMEOUT_MS,
    stdin: 'ignore',
    reject: false,
  });
  const results: GuestResult[] = [];
  const cpuSeconds: number[] = [];
  // `ip netns exec` becomes the VMM.
  for await (const line of run.iterable()) {
    const result = /^\r?result (?:net|nic)-\S+ (.*?)\r?$/.exec(line);
    if (result === null) continue;
    cpuSeconds.push(processCpuSeconds(run.pid!));
    results.push(parseResult(result[1]!));
  }
  const { stdout, stderr } = await run;
  sender?.kill();
  if (results.length === 0) {
    throw new Error(`the guest printed no result on ${vmm}:\n${stdout}\n${stderr}`);
  }
  return { results, cpuSeconds };
}
