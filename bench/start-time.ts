import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { GUEST, QEMU_BASE, VRING } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';
import { VringProcess } from './vring-process.ts';

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

/**
 * From the command to the guest's first instruction, which writes a byte to the debug console, until the byte arrives here.
 */
export async function measureStartTime(): Promise<Measurement[]> {
  await using vring = await VringProcess.start();
  const values = await alternate(ROUNDS, {
    running: () => vring.request('start'),
    process: () => firstByte(VRING, VRING_RUN),
    microvm: () => firstByte('qemu-system-x86_64', MICROVM),
  });
  const row = (what: string, ms: number): Measurement => ({
    what,
    unit: 'ms',
    values: { vring: ms, QEMU: values.microvm },
    target: atMost(0.25, 'x QEMU', ms / values.microvm),
  });
  return [row('start in a running vring', values.running), row('start by vring run', values.process)];
}

/** Starts a program and ends it when it has printed. @returns milliseconds to its first byte. */
async function firstByte(program: string, args: readonly string[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const printed = once(child.stdout, 'data').then(() => performance.now());
  const failed = exited.then(([code]) => {
    throw new Error(`${program} ended with exit status ${code} before the guest ran`);
  });
  failed.catch(() => {});
  const ms = (await Promise.race([printed, failed])) - begun;
  child.kill('SIGKILL');
  await exited;
  return ms;
}
