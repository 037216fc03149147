import type { Engine } from '../../engine/engine.ts';
import type { VcpusChanged } from '../../engine/hotplug/hotplug-info.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { mostVcpus, pendingVcpus, pinningText } from '../../view/vm-facts.ts';
import { print } from '../host/host-options.ts';
import { WAIT_SECONDS } from './detach-wait.ts';
import { findVm } from './find.ts';
import { Progress } from './progress.ts';
import { until } from './until.ts';

const LABEL_CELLS = 12;

export type CpusOptions = {
  readonly json?: boolean;
  /** Seconds. */
  readonly wait: number;
  readonly cancel?: boolean;
  readonly persist?: boolean;
};

type Vcpus = Pick<Engine, 'vms' | 'subscribe' | 'setVcpus'>;

/**
 * Shows a VM's vCPUs; with `count`, first sets how many it has.
 * @returns the exit status: 1 while the guest has not done its part. @throws an error for the user
 */
export async function cpus(
  engine: Vcpus,
  name: string,
  count: number | null,
  options: CpusOptions,
): Promise<number> {
  const vm = findVm(engine.vms(), name);
  if (options.cancel && count !== null)
    throw new Error('--cancel keeps the vCPUs that the VM has: leave out the number');
  const wanted = options.cancel ? vm.vcpus : count;
  if (options.cancel && pendingVcpus(vm.topology).removing.length === 0)
    throw new Error(`the guest of ${name} has not been asked to release any vCPU`);
  if (wanted === null) {
    print(options, facts(vm, isSettled(vm)), () => lines(vm));
    return 0;
  }
  const { persist = false } = options;
  const wait = options.cancel ? 0 : options.wait;
  const changed = engine.setVcpus(vm.id, wanted, { persist });
  const done = await outcomeOf(engine, vm, wanted, changed, wait);
  // The manager's view of the VM may be slightly older than its answer.
  if (done?.running) await until(engine, name, now => now?.vcpus === done.vcpus, 1000);
  const now = findVm(engine.vms(), name);
  const isDone = done !== null && (done.noticed || !done.running);
  const vcpus = done?.vcpus ?? now.vcpus;
  const text = () => (options.cancel ? `${name} keeps ${number(vcpus)}` : outcome(now, wanted, done, wait));
  print(options, { ...facts(now, isDone), vcpus }, () => [text()]);
  return isDone || wait === 0 ? 0 : 1;
}

function facts(vm: VmInfo, done: boolean) {
  const present = vm.topology?.vcpuLabels?.map(({ index }) => index);
  return {
    name: vm.name,
    vcpus: vm.vcpus,
    maximum: mostVcpus(vm),
    present: isAlive(vm) ? (present ?? Array.from({ length: vm.vcpus }, (_, index) => index)) : [],
    ...pendingVcpus(vm.topology),
    done,
  };
}

function number(vcpus: number): string {
  return `${vcpus} vCPU${vcpus === 1 ? '' : 's'}`;
}

function isSettled({ topology }: VmInfo): boolean {
  const { adding, removing } = pendingVcpus(topology);
  return adding.length === 0 && removing.length === 0;
}

function lines(vm: VmInfo): string[] {
  const fact = (label: string, text: string) => `${label.padEnd(LABEL_CELLS)}${text}`;
  const { present, adding, removing } = facts(vm, true);
  const pinned = pinningText(vm.topology);
  return [
    fact('Name', vm.name),
    fact('vCPUs', `${vm.vcpus} of ${mostVcpus(vm)}`),
    ...(present.length > 0 ? [fact('Numbers', present.join(', '))] : []),
    ...(adding.length > 0 ? [fact('Added', `${adding.join(', ')}: the guest has not taken that up`)] : []),
    ...(removing.length > 0
      ? [fact('To leave', `${removing.join(', ')}: the guest has not released that`)]
      : []),
    ...(pinned === '' ? [] : [fact('Pinned', pinned)]),
  ];
}

/** @param done null if the guest has not done its part */
function outcome(vm: VmInfo, wanted: number, done: VcpusChanged | null, wait: number): string {
  const { name } = vm;
  if (done !== null && !done.running)
    return `${name} is ${vm.state}: its definition has ${number(wanted)}, for its next start`;
  if (done?.noticed) return `${name} has ${number(done.vcpus)}`;
  const { adding, removing } = pendingVcpus(vm.topology);
  const open = [
    ...(adding.length > 0 ? [`taken up vCPU ${adding.join(', ')}`] : []),
    ...(removing.length > 0 ? [`released vCPU ${removing.join(', ')}`] : []),
  ].join(' and ');
  if (done !== null)
    return (
      `${name} has ${number(done.vcpus)}; its guest has no driver for CPU hotplug that is ready, so it has not ` +
      `${open}: it may do so once it has booted, or at its next reboot`
    );
  if (wait === 0) return `${name}: the guest was asked to have ${number(wanted)}`;
  return (
    `${name}: the guest has not ${open} in ${wait} s, and may still do so: vring vm cpus ${name} shows it` +
    (removing.length > 0 ? `, and --cancel keeps what it has` : '')
  );
}

/** What has become of a change within a number of seconds; null if the guest has not done its part. */
async function outcomeOf(
  engine: Vcpus,
  vm: VmInfo,
  wanted: number,
  changed: Promise<VcpusChanged>,
  wait: number,
): Promise<VcpusChanged | null> {
  // It may fail later, when the connection is closed.
  changed.catch(() => {});
  const isAsked = (now: VmInfo | undefined) => {
    const leaving = pendingVcpus(now?.topology ?? null).removing.length;
    return now === undefined || now.vcpus - leaving === wanted;
  };
  if (wait === 0) {
    const asked = until(engine, vm.name, isAsked, WAIT_SECONDS * 1000).then(() => null);
    return await Promise.race([changed, asked]);
  }
  const progress = new Progress(() => `waiting for the guest of ${vm.name} to use ${wanted} vCPUs`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>(resolve => {
    timer = setTimeout(() => resolve(null), wait * 1000);
  });
  try {
    return await Promise.race([changed, late]);
  } finally {
    clearTimeout(timer);
    progress.end();
  }
}
