import { CpuFeatureError, checkFeatures } from '../../vmm/cpu/cpuid-features.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import { Settings } from './settings.ts';

type CpuSettings = Exclude<NonNullable<DefinitionInput['cpus']>, number>;

/** -smp. @throws OptionError */
export function parseSmp(text: string): CpuSettings {
  const settings = new Settings(text, 'cpus');
  const [given, sockets, cores, threads] = ['cpus', 'sockets', 'cores', 'threads'].map(key =>
    settings.takeCount(key),
  );
  const most = settings.takeCount('maxcpus');
  for (const level of ['dies', 'clusters', 'modules', 'books', 'drawers']) settings.accept(level, '1');
  settings.end();
  if (sockets === undefined && cores === undefined && threads === undefined) {
    if (most !== undefined && most !== (given ?? most)) throw noHotplug(most);
    return { count: given ?? most ?? 1 };
  }
  const count = given ?? most ?? (sockets ?? 1) * (cores ?? 1) * (threads ?? 1);
  if (most !== undefined && most !== count) throw noHotplug(most);
  return { count, topology: fillIn(count, sockets, cores, threads) };
}

/** What is not given follows from the number of vCPUs, cores before sockets, as with QEMU since 6.2. */
function fillIn(count: number, sockets: number | undefined, cores: number | undefined, threads = 1) {
  if (cores === undefined)
    return { sockets: sockets ?? 1, cores: share(count, (sockets ?? 1) * threads), threads };
  return { sockets: sockets ?? share(count, cores * threads), cores, threads };
}

/** At least one, so that what does not come out even is said about the whole topology. */
function share(count: number, by: number): number {
  return Math.max(1, Math.floor(count / by));
}

function noHotplug(most: number): OptionError {
  return new OptionError(`maxcpus=${most}: vCPUs can't be added while the guest runs: leave it out`);
}

/** -cpu. @throws OptionError */
export function parseCpu(text: string): CpuSettings {
  const [model = '', ...changes] = text.split(',');
  if (model !== 'host' && model !== 'max') {
    throw new OptionError(
      `vring has no CPU model ${shown(model)}: a guest has the host's CPU, less what is taken away, as in -cpu host,-cx16`,
    );
  }
  const features: string[] = [];
  let hidden = false;
  for (const change of changes) {
    const { name, on } = parseChange(change);
    if (name === 'kvm') hidden = !on;
    else if (!on) features.push(`-${known(name)}`);
    // What is asked for is there already, if the host has it.
    else known(name);
  }
  return { ...(features.length > 0 && { features }), ...(hidden && { 'hide-hypervisor': true }) };
}

function parseChange(change: string): { name: string; on: boolean } {
  const match = /^([+-])?([A-Za-z0-9_.-]+?)(?:=(.*))?$/.exec(change);
  const [, sign, name = '', value] = match ?? [];
  if (match === null || (sign !== undefined && value !== undefined)) {
    throw new OptionError(`expected CPU features such as -cx16 or kvm=off, not ${shown(change)}`);
  }
  if (value !== undefined && value !== 'on' && value !== 'off') {
    throw new OptionError(`vring does not have ${shown(change)}: leave it out`);
  }
  return { name, on: sign === undefined ? value !== 'off' : sign === '+' };
}

/** The name in /proc/cpuinfo of a feature: QEMU has `-` and `.` in names, Linux has `_`. */
function known(name: string): string {
  const linux = name.toLowerCase().replaceAll(/[-.]/g, '_');
  if (/^hv_/.test(linux))
    throw new OptionError(`${name}: vring shows guests no Hyper-V interfaces: leave it out`);
  try {
    checkFeatures([linux]);
    return linux;
  } catch (error) {
    if (error instanceof CpuFeatureError) throw new OptionError(error.message);
    throw error;
  }
}
