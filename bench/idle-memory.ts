import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { QEMU_BASE } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { VringManager } from './vring-manager.ts';

const VMS = 8;
/** After this time, guests are at their prompt and processes are idle. */
const SETTLE_MS = 3000;
const KiB_PER_MiB = 1024;

/**
 * The host memory of an idle VM beyond its RAM: the proportional share (PSS) of every mapping except the memfd of guest
 * RAM. For vring, this is the VM's process and what it adds to the manager. The manager itself and its spare process
 * exist before the first VM.
 */
export async function measureIdleMemory(): Promise<Measurement[]> {
  const { vm: vring, manager, spare } = await vringMebibytes();
  const values = { vring, QEMU: await qemuMebibytes() };
  return [
    {
      what: `memory per idle VM, of ${VMS}`,
      unit: 'MiB',
      values,
      target: atMost(16, 'MiB', vring),
    },
    { what: 'memory without a VM', unit: 'MiB', values: { manager, spare } },
  ];
}

async function vringMebibytes(): Promise<{ vm: number; manager: number; spare: number }> {
  await using manager = await VringManager.start('memory');
  await sleep(SETTLE_MS);
  const alone = { manager: await mebibytesBeyondRam(manager.pid), spare: await ofMachines(manager) };
  // The first one is not counted: the manager compiles code for it.
  await manager.add('first');
  await sleep(SETTLE_MS);
  const withOne = (await mebibytesBeyondRam(manager.pid)) + (await ofMachines(manager));
  for (let added = 0; added < VMS; added++) await manager.add(`idle${added}`);
  await sleep(SETTLE_MS);
  const withAll = (await mebibytesBeyondRam(manager.pid)) + (await ofMachines(manager));
  return { vm: (withAll - withOne) / VMS, ...alone };
}

/** Including the spare process. */
async function ofMachines({ machinePids }: VringManager): Promise<number> {
  const each = await Promise.all(machinePids.map(mebibytesBeyondRam));
  return each.reduce((sum, mebibytes) => sum + mebibytes);
}

async function qemuMebibytes(): Promise<number> {
  const machines = Array.from({ length: VMS }, startQemu);
  try {
    await sleep(SETTLE_MS);
    const each = await Promise.all(machines.map(machine => mebibytesBeyondRam(machine.pid!)));
    return each.reduce((sum, mebibytes) => sum + mebibytes) / VMS;
  } finally {
    const exits = machines.map(machine => once(machine, 'exit'));
    for (const machine of machines) machine.kill('SIGKILL');
    await Promise.all(exits);
  }
}

function startQemu(): ChildProcess {
  const ram = ['-object', 'memory-backend-memfd,id=ram,size=64M,share=on'];
  const machine = [
    '-machine',
    'microvm,acpi=off,memory-backend=ram',
    ...ram,
    ...QEMU_BASE,
    '-append',
    'quiet',
  ];
  return spawn('qemu-system-x86_64', [...machine, '-serial', 'null'], { stdio: 'ignore' });
}

async function mebibytesBeyondRam(pid: number): Promise<number> {
  const smaps = await readFile(`/proc/${pid}/smaps`, 'utf8');
  let kibibytes = 0;
  let isRam = false;
  for (const line of smaps.split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line))
      isRam = line.includes('/memfd:') && !line.includes('/memfd:vring-counters');
    else if (!isRam && line.startsWith('Pss:')) kibibytes += Number.parseInt(line.slice('Pss:'.length), 10);
  }
  return kibibytes / KiB_PER_MiB;
}
