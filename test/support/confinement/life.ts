/**
 * A program that confines itself, and then does what a machine's process continues to do. It prints "confined" and the
 * results. Its first argument selects what to do; a guest's disk is a path.
 */
import { fstat, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { builtFile } from '../../../src/project-root.ts';
import { confineSelf, endOnSignals, type OwnConfinement } from '../../../src/vmm/confinement/confine-self.ts';
import { Kvm } from '../../../src/vmm/kvm/kvm.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { MachineRunner } from '../../../src/vmm/machine/runner.ts';
import { atOnce } from '../../../src/vmm/machine/turns.ts';
import {
  ftruncate,
  MAP_SHARED,
  memfdCreate,
  mmap,
  munmap,
  PROT_READ,
  viewOf,
} from '../../../src/vmm/native/libc.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { allocateCounters } from '../counters.ts';
import { linkWith, sentBy } from '../machine-link.ts';
import { passFile } from './pass-file.ts';

const MiB = 2 ** 20;
const REPORT_FD = 3;
const say = (text: string) => writeSync(1, `${text}\n`);

function confine(more: OwnConfinement = {}): void {
  const missing = confineSelf({ reportFd: REPORT_FD, ...more }).filter(
    ({ state }) => state === 'unavailable',
  );
  say(missing.length === 0 ? 'confined' : JSON.stringify(missing));
}

/** A machine that was built before confinement, is reset, and starts and filters its disk's queue thread afterward. */
function guest(disk: string, commands: string): void {
  const config = parseMachineConfig({
    name: 'guest',
    memory: { bytes: 32 * MiB },
    boot: { kind: 'kernel', path: builtFile('guest.elf'), append: `run="${commands}"` },
    devices: [{ type: 'virtio-blk', path: disk }],
  });
  const report = new MachineReport();
  const counters = allocateCounters({ vcpus: 1, queues: 4, regions: 64 });
  const reset = { kind: 'command', id: 0, command: 'reset', arguments: {} } as const;
  const runner = new MachineRunner({ counters, report, link: linkWith([reset]) });
  runner.build(config);
  confine();
  runner.start(config);
  const end = atOnce(runner.run());
  runner.close();
  const printed = sentBy(report).map(said => {
    if (said.kind === 'event') return `event: ${said.event.text}\n`;
    return said.kind === 'printed' ? said.text : '';
  });
  say(`${printed.join('')}${JSON.stringify(end)}`);
}

/** JIT, garbage collection, timers, the thread pool, locales, and the end of a worker. */
async function v8(): Promise<void> {
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  await new Promise(resolve => worker.once('online', resolve));
  confine();
  let sum = 0;
  for (let i = 0; i < 50_000_000; i++) sum = (sum + i * 7) % 1_000_003;
  let kept: unknown[] = [];
  for (let round = 0; round < 20; round++) {
    kept.push(Array.from({ length: 100_000 }, (_, index) => ({ index, text: `${round}` })));
    if (kept.length > 10) kept = kept.slice(5);
  }
  const parsed = JSON.parse(JSON.stringify(kept)).length;
  await new Promise(resolve => setTimeout(resolve, 20));
  const date = new Date(0).toString();
  const number = new Intl.NumberFormat('de').format(1234.5);
  const stats = await promisify(fstat)(1);
  const compiled = new Function('a', 'return a + 1')(sum);
  say(`${compiled} ${parsed} ${date} ${number} ${stats.isFile()}`);
  await worker.terminate();
  const another = new Worker('require("worker_threads").parentPort.postMessage(1)', { eval: true });
  await new Promise(resolve => another.once('message', resolve));
  say('workers end and start');
}

/** A vCPU's thread already has its filter. */
function tooLate(): void {
  const shape = { vcpus: 1, queues: 1, regions: 0 };
  const native = new NativeVm(allocateCounters(shape), shape);
  const vcpu = Kvm.open(native).createVm().createVcpu(0);
  native.startVcpu(0, vcpu.fd, vcpu.run);
  // By the time it reports that it is parked, it has set its filter.
  native.pauseVcpu(0);
  native.wait(null);
  say(JSON.stringify(confineSelf().filter(({ state }) => state === 'unavailable')));
  native.destroy();
}

/** With paths that stay accessible: one to read, one to write. */
function keepPaths(readOnly: string, readWrite: string): void {
  const layers = confineSelf({ reportFd: REPORT_FD, readOnly: [readOnly], readWrite: [readWrite] });
  say(layers.map(({ name, state }) => `${name} ${state}`).join());
  const outcome = (action: () => unknown) => {
    try {
      action();
      return 'done';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  const [read, write] = [readOnly, readWrite].map(folder => join(folder, 'file'));
  say(
    [
      outcome(() => readdirSync(readOnly)),
      outcome(() => readFileSync(read!)),
      outcome(() => writeFileSync(read!, 'x')),
      outcome(() => readFileSync(write!)),
      outcome(() => writeFileSync(write!, 'x')),
      outcome(() => writeFileSync(join(readWrite, 'another'), 'x')),
      outcome(() => readFileSync('/etc/passwd')),
    ].join(),
  );
}

/** Accesses unmapped memory, or a mapping past the end of its file. */
function fault(signal: string): void {
  const fd = memfdCreate('fault');
  ftruncate(fd, 4096);
  const address = mmap(4096, PROT_READ, MAP_SHARED, fd);
  const view = new Uint8Array(viewOf(address, 4096));
  if (signal === 'SIGBUS') ftruncate(fd, 0);
  else munmap(address, 4096);
  say(`${view[0]}`);
}

const [what, disk = '', commands = ''] = process.argv.slice(2);
if (what === 'nothing') confine();
if (what === 'guest') guest(disk, commands);
if (what === 'too late') tooLate();
if (what === 'v8') await v8();
if (what === 'pass a file') passFile(confine, say);
if (what === 'keep paths') keepPaths(disk, commands);
if (what === 'fault') {
  endOnSignals();
  confine();
  if (disk === 'SIGABRT') process.abort();
  fault(disk);
}
if (what === 'wait for a signal') {
  endOnSignals();
  const uid = Number(disk);
  confine(uid > 0 ? { user: { uid, gid: uid }, rlimits: { nproc: 100, fsize: 'unlimited' } } : {});
  // Like a machine's thread: without libuv's loop.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
