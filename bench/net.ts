import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { execa } from 'execa';
import { GUEST, QEMU_BASE, VRING, workDirectory } from './guest.ts';
import { atLeast, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 3;
const SECONDS = 2;
const TIMEOUT_MS = 120_000;
const NETWORK = `vring-bench-${process.pid}`;
const TAP = 'tap0';
/** Frames of this size show how many bits fit; the others how many frames. */
const LARGE = 60_000;

type Vmm = 'vring' | 'QEMU';
type Run = { readonly fields: ReadonlyMap<string, number>; readonly cpuSeconds: number };

/**
 * Frames between a TAP interface, in a network of its own, and a guest that polls in ring 3. QEMU without vhost: both carry the frames in
 * threads of their own. Takes root.
 */
export async function measureNet(): Promise<Measurement[]> {
  await execa('ip', ['netns', 'add', NETWORK]);
  try {
    await inNetwork('ip', ['tuntap', 'add', 'dev', TAP, 'mode', 'tap']);
    await inNetwork('ip', ['link', 'set', TAP, 'up']);
    const flood = join(workDirectory, 'net-flood');
    await execa('cc', ['-O2', '-o', flood, join(import.meta.dirname, 'net-flood.c')]);
    const measurements: Measurement[] = [];
    for (const size of [64, 1500]) {
      measurements.push(
        ...(await measured(`sent, ${size} bytes`, `net send ${SECONDS}s ${size}`, 'pps', null)),
      );
      const program = [flood, TAP, String(size), String(SECONDS + 4)];
      measurements.push(
        ...(await measured(`received, ${size} bytes`, `net receive ${SECONDS}s`, 'pps', program)),
      );
    }
    measurements.push(
      ...(await measured(`sent, ${LARGE} bytes`, `net send ${SECONDS}s ${LARGE}`, 'mbit', null)),
    );
    return measurements;
  } finally {
    await execa('ip', ['netns', 'del', NETWORK]);
  }
}

/** How fast frames of a kind go, and the CPU time that they take. @param program that sends what the guest receives */
async function measured(
  what: string,
  commands: string,
  field: 'pps' | 'mbit',
  program: readonly string[] | null,
): Promise<Measurement[]> {
  const cpu: Record<Vmm, number[]> = { vring: [], QEMU: [] };
  const contestant = (vmm: Vmm) => async () => {
    const idle = await run(vmm, 'net info', null);
    const { fields, cpuSeconds } = await run(vmm, commands, program);
    const frames = fields.get('frames')!;
    cpu[vmm].push(((cpuSeconds - idle.cpuSeconds) * 1e6) / frames);
    return fields.get(field)!;
  };
  const values = await alternate(ROUNDS, { vring: contestant('vring'), QEMU: contestant('QEMU') });
  const unit = field === 'pps' ? 'packets/s' : 'Mbit/s';
  const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
  return [
    { what: `frames ${what}`, unit, values, target: atLeast(1.2, 'x QEMU', values.vring / values.QEMU) },
    {
      what: `CPU of frames ${what}`,
      unit: 's per million',
      values: { vring: median(cpu.vring), QEMU: median(cpu.QEMU) },
    },
  ];
}

function inNetwork(command: string, args: readonly string[]) {
  return execa('ip', ['netns', 'exec', NETWORK, command, ...args], { timeout: TIMEOUT_MS, stdin: 'ignore' });
}

async function run(vmm: Vmm, commands: string, program: readonly string[] | null): Promise<Run> {
  const append = `quiet run="${commands}; exit 0"`;
  const tap = `tap,id=n0,ifname=${TAP},script=no,downscript=no`;
  const command =
    vmm === 'vring'
      ? [
          ...[VRING, 'run', '-m', '64', '-kernel', GUEST, '-append', append, '-netdev', tap],
          ...['-device', 'virtio-net-pci,netdev=n0', '-nographic'],
        ]
      : [
          ...['qemu-system-x86_64', '-machine', 'q35', ...QEMU_BASE, '-append', append, '-serial', 'stdio'],
          ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-netdev', `${tap},vhost=off`],
          ...['-device', 'virtio-net-pci,netdev=n0,disable-legacy=on,romfile='],
        ];
  const sender = program && spawn('ip', ['netns', 'exec', NETWORK, ...program], { stdio: 'ignore' });
  // The exit status is the guest's.
  const timed = ['-c', 'TIMEFORMAT="cpu %U %S"; time "$@"', 'bash', ...command];
  const { stdout, stderr } = await execa('ip', ['netns', 'exec', NETWORK, 'bash', ...timed], {
    timeout: TIMEOUT_MS,
    stdin: 'ignore',
    reject: false,
  });
  sender?.kill();
  const result = /^result net-\S+ (.*?)\r?$/m.exec(stdout)?.[1];
  const times = /^cpu ([\d.]+) ([\d.]+)$/m.exec(stderr);
  if (result === undefined || times === null) {
    throw new Error(`the guest printed no result on ${vmm}:\n${stdout}\n${stderr}`);
  }
  const fields = [...result.matchAll(/(\S+)=([\d.]+)/g)].map(match => [match[1]!, Number(match[2])] as const);
  return { fields: new Map(fields), cpuSeconds: Number(times[1]) + Number(times[2]) };
}
