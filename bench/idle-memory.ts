import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { QEMU_BASE } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { VringProcess } from './vring-process.ts';

const VMS = 8;
/** After this time, guests are at their prompt and processes are idle. */
const SETTLE_MS = 3000;
const KiB_PER_MiB = 1024;

/**
 * The host memory of an idle VM beyond its RAM: the proportional share (PSS) of every mapping except the memfd of guest
 * RAM. All of vring's VMs are in one process, which exists before the first one.
 */
export async function measureIdleMemory(): Promise<Measurement[]> {
  const vring = await vringMebibytes();
  const values = { vring, QEMU: await qemuMebibytes() };
  return [
    {
      what: `memory per idle VM, of ${VMS}`,
      unit: 'MiB',
      values,
      target: atMost(16, 'MiB', vring),
    },
  ];
}

async function vringMebibytes(): Promise<number> {
  await using vring = await VringProcess.start();
  await vring.request('add');
  await sleep(SETTLE_MS);
  const withOne = await mebibytesBeyondRam(vring.pid);
  for (let added = 0; added < VMS; added++) await vring.request('add');
  await sleep(SETTLE_MS);
  return ((await mebibytesBeyondRam(vring.pid)) - withOne) / VMS;
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
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isRam = line.includes('/memfd:');
    else if (!isRam && line.startsWith('Pss:')) kibibytes += Number.parseInt(line.slice('Pss:'.length), 10);
  }
  return kibibytes / KiB_PER_MiB;
}
