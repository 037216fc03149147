import { join } from 'node:path';
import { connect } from '../src/manager/connect.ts';
import { scaleTree } from '../test/host/trees/scale.ts';
import { PtyProgram } from '../test/support/pty-program.ts';
import { Sandbox, VRING } from '../test/support/sandbox.ts';
import { cpuMs, mainThreadMs, sleep } from './cpu-time.ts';
import { workDirectory } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { median, percentile95 } from './statistics.ts';

const VMS = 256;
const KEYS = 200;
const ROUNDS = 7;
const FIRST_CHANGES = 200;
const LATER_CHANGES = 200;
/** Milliseconds between keys, like a person typing. */
const BETWEEN_KEYS_MS = 60;

/** The UI on a terminal of 80x24, with 256 defined VMs and, on the host's screens, 4,096 PCI functions. */
export async function measureTerminalUi(): Promise<Measurement[]> {
  const tree = scaleTree();
  const sandbox = new Sandbox(join(workDirectory, 'terminal-ui'));
  for (let index = 0; index < VMS; index++) sandbox.define(`vm${String(index).padStart(3, '0')}`);
  // Starts the manager, which keeps running.
  await sandbox.vring('vm', 'start', 'vm003');
  try {
    const open = () => new PtyProgram([VRING, '--host-root', tree.directory], { env: sandbox.env });
    return [
      await measureColdStart(),
      ...(await measureAttach(open)),
      ...(await measureKeys(open)),
      ...(await measureChangedRow(open, sandbox)),
    ];
  } finally {
    await sandbox.vring('vm', 'kill', 'vm003');
    tree.remove();
  }
}

type Open = () => PtyProgram;

/** From the command to the list on the screen, including the start of a manager. */
async function measureColdStart(): Promise<Measurement> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const sandbox = new Sandbox(join(workDirectory, `cold-${round}`));
    sandbox.define('only');
    const begun = performance.now();
    await using ui = new PtyProgram([VRING], { env: sandbox.env });
    await ui.shows('only');
    times.push(performance.now() - begun);
    process.kill(await sandbox.managerPid(), 'SIGTERM');
  }
  return value('cold start: command to the first frame, manager included', 'ms', 300, median(times));
}

/** From the command to the list of VMs on the screen, with a running manager; and again after killing the UI. */
async function measureAttach(open: Open): Promise<Measurement[]> {
  const first: number[] = [];
  const again: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let begun = performance.now();
    await using ui = open();
    await ui.shows('vm000');
    first.push(performance.now() - begun);
    ui.kill('SIGKILL');
    await ui.ended();
    begun = performance.now();
    await using second = open();
    await second.shows('vm000');
    again.push(performance.now() - begun);
    begun = performance.now();
    await using node = new PtyProgram([process.execPath, '-p', '"started"']);
    await node.shows('started');
    bare.push(performance.now() - begun);
  }
  const start = value('attach: command to the first frame', 'ms', 300, median(first));
  return [
    { ...start, values: { ...start.values, 'Node alone': median(bare) } },
    value('attach again after SIGKILL', 'ms', 1000, median(again)),
  ];
}

/** From a key to the first byte of the resulting frame. */
async function measureKeys(open: Open): Promise<Measurement[]> {
  await using ui = open();
  await ui.shows('vm000');
  ui.type('p');
  await sleep(500);
  const list = await typeKeys(ui);
  ui.type(':pci\r');
  await ui.shows(/0000:|\d\d:\d\d\.\d/);
  await sleep(3000);
  const functions = await typeKeys(ui);
  ui.type('/');
  await sleep(500);
  const filter = await typeKeys(ui, filterKey);
  return [
    value('key to frame p95, 256 VMs', 'ms', 50, list.p95),
    value('CPU per key, 256 VMs', 'ms', 2, list.cpu),
    value('key to frame p95, 4,096 functions', 'ms', 50, functions.p95),
    value('CPU per key, 4,096 functions', 'ms', 2, functions.cpu),
    value('key to frame p95, filter of 4,096 functions', 'ms', 50, filter.p95),
    value('CPU per key, filter of 4,096 functions', 'ms', 2, filter.cpu),
  ];
}

/** Down ten rows and up again. */
function moveKey(key: number): string {
  return key % 20 < 10 ? 'j' : 'k';
}

const FILTER = 'iavf !0000 3';

/** Types a filter that matches fewer functions with each term, and clears it again. */
function filterKey(key: number): string {
  return FILTER[key % (2 * FILTER.length)] ?? '\x7f';
}

async function typeKeys(ui: PtyProgram, keyAt = moveKey): Promise<{ p95: number; cpu: number }> {
  const waits: number[] = [];
  const before = mainThreadMs(ui.pid);
  for (let key = 0; key < KEYS; key++) {
    const begun = performance.now();
    const output = ui.output;
    ui.type(keyAt(key));
    await output;
    waits.push(performance.now() - begun);
    await sleep(BETWEEN_KEYS_MS);
  }
  return { p95: percentile95(waits), cpu: (mainThreadMs(ui.pid) - before) / KEYS };
}

/**
 * Pauses and resumes one VM of the list, so that only its row changes. The cost of the first changes, while the code is
 * still being compiled, is reported separately.
 */
async function measureChangedRow(open: Open, sandbox: Sandbox): Promise<Measurement[]> {
  Object.assign(process.env, sandbox.env);
  const engine = (await connect())!;
  const id = engine.vms().find(vm => vm.name === 'vm003')!.id;
  await using ui = open();
  await ui.shows('vm000');
  ui.type('p');
  await sleep(1500);
  const bytes: number[] = [];
  const cpu: number[] = [];
  for (let change = 0; change < FIRST_CHANGES + LATER_CHANGES; change++) {
    const before = { bytes: ui.received, cpu: cpuMs(ui.pid) };
    await (change % 2 === 0 ? engine.pause(id) : engine.resume(id));
    await sleep(80);
    bytes.push(ui.received - before.bytes);
    cpu.push(cpuMs(ui.pid) - before.cpu);
  }
  await engine.close();
  const later = value('CPU of one changed row', 'ms', 2, median(cpu.slice(FIRST_CHANGES)));
  const first = median(cpu.slice(0, FIRST_CHANGES));
  return [
    value('bytes of one changed row', 'B', 150, median(bytes)),
    { ...later, values: { ...later.values, [`the first ${FIRST_CHANGES}`]: first } },
  ];
}

function value(what: string, unit: string, limit: number, reached: number): Measurement {
  return { what, unit, values: { vring: reached }, target: atMost(limit, unit, reached) };
}
