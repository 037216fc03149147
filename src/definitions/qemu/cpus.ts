import { splitCommas } from '../../text/commas.ts';
import { CpuModelError, cpuModel } from '../../vmm/cpu/cpu-models.ts';
import { CpuFeatureError, checkFeatures } from '../../vmm/cpu/cpuid-features.ts';
import { linuxFeature } from '../../vmm/cpu/feature-names.ts';
import { MOST } from '../fields/cpus.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

export type CpuSettings = Exclude<NonNullable<DefinitionInput['cpus']>, number>;

/** -smp. @throws OptionError */
export function readSmp(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'cpus');
  const [given, sockets, inDie, threads] = ['cpus', 'sockets', 'cores', 'threads'].map(key =>
    settings.takeCount(key),
  );
  const maximum = settings.takeCount('maxcpus');
  for (const level of ['books', 'drawers']) settings.accept(level, '1');
  const between = ['dies', 'clusters', 'modules'].map(level => takeLevel(draft, settings, level, place));
  settings.end();
  const inSocket = between.reduce((all, each) => all * each, 1);
  const cores = inDie === undefined ? undefined : inDie * inSocket;
  const named = sockets !== undefined || cores !== undefined || threads !== undefined;
  const product = (sockets ?? 1) * (cores ?? inSocket) * (threads ?? 1);
  const whole = sockets !== undefined && cores !== undefined && threads !== undefined;
  const count = given ?? maximum ?? product;
  if (count > MOST) throw new OptionError(`expected at most ${MOST} vCPUs, not ${count}`);
  if (maximum !== undefined && maximum > MOST) {
    draft.leaveOut(place, `a VM has room for at most ${MOST} vCPUs`, `maxcpus=${maximum}`);
    if (named) draft.leaveOut(place, 'it is that of the vCPUs that are left out', 'the topology');
    // Without the topology, another number of them would not look the same.
    setCpus(draft, { count, ...(!named && count < MOST && { maxcpus: MOST }) });
    return;
  }
  const most = maximum;
  // As in QEMU, a complete topology sets the maximum number of vCPUs.
  const all = most ?? (whole && product > count ? product : count);
  if (all < count) throw new OptionError(`maxcpus=${all}: expected at least ${count}, the number of vCPUs`);
  const topology = named && { topology: fillIn(all, sockets, cores, threads) };
  setCpus(draft, { count, ...(all > count && { maxcpus: all }), ...topology });
}

/** The device of a vCPU: `host-x86_64-cpu`. */
export const CPU_DEVICE = /^[\w.-]+-(x86_64|i386)-cpu$/;

/** -device of a vCPU, which is there in addition to those of -smp from the start. @throws OptionError */
export function readCpuDevice(draft: Draft, settings: Settings): void {
  const { count = 1, maxcpus = count } = (draft.fields.cpus ?? {}) as CpuSettings;
  for (const key of ['id', 'socket-id', 'die-id', 'core-id', 'thread-id', 'node-id', 'apic-id'])
    settings.take(key);
  settings.end();
  if (count >= maxcpus) throw new OptionError(`there is no room for it: -smp needs maxcpus=${count + 1}`);
  const { maxcpus: _, ...rest } = (draft.fields.cpus ?? {}) as CpuSettings;
  draft.fields.cpus = { ...rest, count: count + 1, ...(maxcpus > count + 1 && { maxcpus }) };
}

function setCpus(draft: Draft, more: CpuSettings): void {
  draft.fields.cpus = { ...(draft.fields.cpus as CpuSettings | undefined), ...more };
}

/** Levels between sockets and cores: a socket of vring has all of their cores. @throws OptionError */
function takeLevel(draft: Draft, settings: Settings, level: string, place: Place): number {
  const count = settings.takeCount(level) ?? 1;
  if (count > 1) draft.leaveOut(place, 'each socket has their cores', `${level}=${count}`);
  return count;
}

/**
 * Missing parts follow from the number of vCPUs: cores before sockets, and threads where both are given, as in QEMU
 * since 6.2 (hw/core/machine-smp.c).
 */
function fillIn(
  count: number,
  sockets: number | undefined,
  cores: number | undefined,
  threads: number | undefined,
) {
  if (cores === undefined)
    return {
      sockets: sockets ?? 1,
      cores: share(count, (sockets ?? 1) * (threads ?? 1)),
      threads: threads ?? 1,
    };
  if (sockets === undefined)
    return { sockets: share(count, cores * (threads ?? 1)), cores, threads: threads ?? 1 };
  return { sockets, cores, threads: threads ?? share(count, sockets * cores) };
}

/** At least one, so that a remainder is reported for the whole topology. */
function share(count: number, by: number): number {
  return Math.max(1, Math.floor(count / by));
}

const OF_THE_HOST = "the guest sees the host CPU's value";
const OWN_CACHES = "the guest sees the host CPU's caches, shared according to the topology";

/** Properties of -cpu that a guest does not need, and why. */
const LEFT_OUT: readonly { names: RegExp; reason: string }[] = [
  { names: /^hv-/, reason: 'vring offers no Hyper-V enlightenments; Windows runs without them' },
  { names: /^kvm(-.*|clock.*)$/, reason: "KVM's paravirtual interfaces are offered as KVM has them" },
  {
    names: /^(migratable|tsc-freq(uency)?|tcg-cpuid|tsc-scale|tsc-adjust-scale)$/,
    reason:
      'the guest gets what this host has, and a migration is refused if the other host lacks some of it',
  },
  {
    names: /^((host-|guest-)?phys-bits(-limit)?|(min-)?x?level.*|full-cpuid-auto-level|ucode-rev)$/,
    reason: OF_THE_HOST,
  },
  { names: /^(vendor|family|model|stepping|model-id)$/, reason: 'they come from the CPU model' },
  { names: /^(host-cache-info|l3-cache|legacy-cache)$/, reason: OWN_CACHES },
  {
    names:
      /^(pmu|lbr-fmt|vmware-cpuid-freq|lmce|x-.*|cpuid-0xb|fill-mtrr-mask|mwait.*|perf-?mon.*|notify-?vmexit.*)$/,
    reason: 'KVM decides it',
  },
  {
    names:
      /^(rdctl|rsba|skip-l1dfl-vmentry|ssb|mds|if-pschange-mc|pschange-mc|taa|tsx-ctrl|ibrs-all|split-lock-detect|core-capability|sbdr-ssdp|fbsdp|psdp|fb-clear|gds|rfds|bhi|bhi-ctrl|mcdt|pbrsb|its|tsa-sq|tsa-l1|btc|intel-psfd|ipred-ctrl|rrsba-ctrl|ddpd-u|rfds-clear|misc-package-ctls|energy-filtering-ctl|doitm)(-no)?$/,
    reason: 'it is a bit of an MSR that KVM controls',
  },
  {
    names:
      /^(npt|lbrv|svm-lock|nrip-save|vmcb-clean|flushbyasid|decodeassists|pause-?filter|pfthreshold|avic|v-vmsave-vmload|vgif|svme-addr-chk|vnmi|(amd-)?stibp-always-on|amd-psfd|amd-no-ssb|virt-ssbd|null-sel-clr-base|lfence-always-serializing|no-nested-data-bp|auto-ibrs|sbpb|ibpb-brtype|srso-.*|succor|overflow-recov|ssbd?-no|ibrs-preferred|same-mode-fp|ibpb-ret|fs-gs-base-ns|eraps|verw-clear|prefetchi|lbr-v2|x2avic)$/,
    reason: 'KVM decides it',
  },
  {
    names: /^(x2apic|hypervisor|vmx|svm|vmx-.*|osxsave|xfd|fdp-excptn-only|zero-fcs-fds|sgx.+)$/,
    reason: 'KVM decides it',
  },
];

/** Why a guest does not need a CPU property, by QEMU's or libvirt's name; null for all others. */
export function leftOutProperty(name: string): string | null {
  const spelling = name.toLowerCase().replaceAll(/[_.]/g, '-');
  return LEFT_OUT.find(({ names }) => names.test(spelling))?.reason ?? null;
}

/** -cpu. @throws OptionError */
export function readCpu(draft: Draft, text: string, place: Place): void {
  const [model = '', ...changes] = splitCommas(text);
  const settings: CpuSettings = {};
  if (model !== 'host' && model !== 'max' && model !== 'base') settings.model = knownModel(model);
  const features: string[] = [];
  for (const change of changes.filter(word => word !== '')) {
    const { name, on, value } = parseChange(change);
    if (name === 'kvm') settings['hide-hypervisor'] = !on;
    else if (name === 'hypervisor' && !on) settings['hide-hypervisor'] = true;
    else if (name === 'enforce') settings.enforce = on;
    else if (name !== 'check') {
      const reason = leftOutProperty(name);
      if (reason !== null) draft.leaveOut(place, reason, change);
      else if (value !== null) throw new OptionError(`vring does not support ${shown(change)}: leave it out`);
      else features.push(...feature(name, on));
    }
  }
  setCpus(draft, { ...settings, ...(features.length > 0 && { features }) });
}

/** @throws OptionError */
function knownModel(name: string): string {
  const plain = name.replace(/-(x86_64|i386)-cpu$/, '');
  try {
    cpuModel(plain);
    return plain;
  } catch (error) {
    if (error instanceof CpuModelError) throw new OptionError(error.message);
    throw error;
  }
}

/** A property in QEMU's current spelling, `hv-relaxed`, and its value unless it is a switch. */
function parseChange(change: string): { name: string; on: boolean; value: string | null } {
  const match = /^([+-])?([A-Za-z0-9_.-]+?)(?:=(.*))?$/.exec(change);
  const [, sign, name = '', value] = match ?? [];
  if (match === null || (sign !== undefined && value !== undefined)) {
    throw new OptionError(`expected CPU features such as -cx16 or kvm=off, not ${shown(change)}`);
  }
  const isSwitch = value === undefined || /^(on|off|yes|no|true|false)$/.test(value);
  const on = sign === undefined ? value === undefined || /^(on|yes|true)$/.test(value) : sign === '+';
  return { name: name.toLowerCase().replaceAll('_', '-'), on, value: isSwitch ? null : value! };
}

/** @throws OptionError */
function feature(name: string, on: boolean): string[] {
  const linux = linuxFeature(name);
  try {
    checkFeatures([linux]);
    return [`${on ? '+' : '-'}${linux}`];
  } catch (error) {
    if (error instanceof CpuFeatureError) throw new OptionError(error.message);
    throw error;
  }
}
