import { atLeast, type Measurement } from './measurement.ts';
import { alternate, medians } from './statistics.ts';
import { type Card, floodProgram, runOnTap, type TapVmm, withTap } from './tap-guest.ts';

const ROUNDS = 3;
const SECONDS = 2;
/** V8 compiles the card's model meanwhile. */
const WARM_UP_SECONDS = 1;

/** The guest's job: to announce each frame on its own, or many at once if the card supports that. */
const JOBS = [
  ['e1000', 'sent, 60 bytes', 'send', '60', false],
  ['e1000', 'sent, 60 bytes, 32 at once', 'send', '60 batch=32', false],
  ['e1000', 'sent, 1500 bytes, 32 at once', 'send', '1500 batch=32', false],
  ['e1000', 'received, 64 bytes', 'receive', '', true],
  ['e1000e', 'sent, 60 bytes', 'send', '60', false],
  ['e1000e', 'sent, 1500 bytes, 32 at once', 'send', '1500 batch=32', false],
  ['e1000e', 'received, 64 bytes', 'receive', '', true],
  ['rtl8139', 'sent, 60 bytes', 'send', '60', false],
  ['rtl8139', 'received, 64 bytes', 'receive', '', true],
] as const;

/**
 * Frames between a TAP interface and a guest that drives the registers of a PC's network card, polling in ring 3: both
 * VMMs run the same driver. Each access to a register is an exit. Needs root. Under such a flood of frames, QEMU's
 * cards stall on a busy machine, which shows in their rates.
 */
export async function measureNics(): Promise<Measurement[]> {
  return await withTap(async () => {
    const measurements: Measurement[] = [];
    for (const [driver, what, verb, options, floods] of JOBS) {
      const program = floods ? await floodProgram(64) : null;
      const during = (seconds: number) => `nic ${verb} ${seconds}s ${options}`;
      const commands = `${during(WARM_UP_SECONDS)}; ${during(SECONDS)}`;
      measurements.push(...(await measured({ driver }, `${driver} frames ${what}`, commands, program)));
    }
    return measurements;
  });
}

async function measured(
  card: Card,
  what: string,
  commands: string,
  program: readonly string[] | null,
): Promise<Measurement[]> {
  const exits: Record<TapVmm, number[]> = { vring: [], QEMU: [] };
  const times: Record<TapVmm, number[]> = { vring: [], QEMU: [] };
  const cpu: Record<TapVmm, number[]> = { vring: [], QEMU: [] };
  const contestant = (vmm: TapVmm) => async () => {
    const { results, cpuSeconds } = await runOnTap(vmm, card, commands, program);
    const fields = results.at(-1)!;
    const [frames, accesses, us] = ['frames', 'accesses', 'us'].map(name => fields.get(name)!) as [
      number,
      number,
      number,
    ];
    const allFrames = results.reduce((sum, result) => sum + result.get('frames')!, 0);
    exits[vmm].push(accesses / frames);
    times[vmm].push(us / accesses);
    cpu[vmm].push((cpuSeconds.at(-1)! * 1e6) / allFrames);
    return fields.get('pps')!;
  };
  const values = await alternate(ROUNDS, { vring: contestant('vring'), QEMU: contestant('QEMU') });
  return [
    { what, unit: 'packets/s', values, target: atLeast(1, 'x QEMU', values.vring / values.QEMU) },
    { what: `exits of ${what}`, unit: 'per frame', values: medians(exits) },
    { what: `time between exits of ${what}`, unit: 'us', values: medians(times) },
    { what: `CPU of ${what}`, unit: 's per million, with start and polling', values: medians(cpu) },
  ];
}
