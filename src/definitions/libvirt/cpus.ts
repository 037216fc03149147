import type { XmlElement } from '@rgrove/parse-xml';
import { CpuModelError, cpuModel } from '../../vmm/cpu/cpu-models.ts';
import { CpuFeatureError, checkFeatures } from '../../vmm/cpu/cpuid-features.ts';
import { linuxFeature } from '../../vmm/cpu/feature-names.ts';
import { MOST as MOST_VCPUS } from '../fields/cpus.ts';
import { leftOutProperty } from '../qemu/cpus.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

type CpuSettings = Exclude<NonNullable<DefinitionInput['cpus']>, number>;

/** <vcpu>, <cpu>, <cputune>, and the CPU settings in <features>. @throws LibvirtError */
export function readCpus(document: DomainDocument, domain: XmlElement): CpuSettings {
  const vcpu = document.child(domain, 'vcpu');
  const text = document.text(vcpu);
  if (text !== null && !/^\d{1,4}$/.test(text))
    throw document.error(vcpu!, `expected a number of vCPUs, not ${text}`);
  if (document.attribute(vcpu, 'placement') === 'auto')
    document.leaveOut(vcpu!, 'vring does not place vCPUs automatically');
  const given = text === null ? 1 : Number(text);
  const current = document.attribute(vcpu, 'current');
  if (current !== null && !(/^\d{1,4}$/.test(current) && Number(current) >= 1 && Number(current) <= given))
    throw document.error(vcpu!, `expected a number of vCPUs from 1 to ${given} in current, not ${current}`);
  const count = current === null ? given : Number(current);
  const all = given > MOST_VCPUS && count <= MOST_VCPUS ? MOST_VCPUS : given;
  if (all !== given) document.leaveOut(vcpu!, `a VM has room for at most ${MOST_VCPUS} vCPUs`);
  readEach(document, document.child(domain, 'vcpus'), count);
  const cpu = document.child(domain, 'cpu');
  const mode = document.attribute(cpu, 'mode');
  document.skip(cpu, 'migratable', 'match');
  if (mode === 'host-model' || mode === 'host-passthrough' || mode === 'maximum')
    document.skipAll(document.child(cpu, 'model'));
  const isCustom = cpu !== null && (mode === null || mode === 'custom');
  const model = isCustom ? readModel(document, cpu) : undefined;
  const enforced = document.attribute(cpu, 'check') === 'full';
  const pinning = readPinning(document, domain, count, all);
  const features = readFeatures(document, cpu, model !== undefined);
  const topology = readTopology(document, cpu, all);
  return {
    count,
    ...(all > count && { maxcpus: all }),
    ...(topology && { topology }),
    ...(pinning && { pinning }),
    ...(model !== undefined && { model }),
    ...(features.length > 0 && { features }),
    ...(enforced && { enforce: true }),
    ...(isHidden(document, domain) && { 'hide-hypervisor': true }),
  };
}

/** <vcpus>: the first ones are present; any but vCPU 0 can be removed. */
function readEach(document: DomainDocument, vcpus: XmlElement | null, count: number): void {
  const isPresent = (vcpu: XmlElement) => document.attribute(vcpu, 'enabled') !== 'no';
  const present = document.children(vcpus, 'vcpu').filter(isPresent);
  const isFirst = (vcpu: XmlElement) => Number(document.attribute(vcpu, 'id')) < count;
  if (present.length === count && present.every(isFirst)) document.skipAll(vcpus);
}

function readTopology(
  document: DomainDocument,
  cpu: XmlElement | null,
  count: number,
): CpuSettings['topology'] {
  const element = document.child(cpu, 'topology');
  if (element === null) return undefined;
  const part = (name: string) => Number(document.attribute(element, name) ?? 1);
  const [sockets, threads] = [part('sockets'), part('threads')];
  // A socket of vring has the cores of all its dies and clusters.
  const cores = part('dies') * part('clusters') * part('cores');
  if (sockets * cores * threads === count) return { sockets, cores, threads };
  document.leaveOut(element, `expected sockets x cores x threads to equal ${count}`);
  return undefined;
}

/** <model>: with an unknown one, the guest gets the host's CPU. */
function readModel(document: DomainDocument, cpu: XmlElement): string | undefined {
  const element = document.child(cpu, 'model');
  const name = document.text(element);
  document.skip(element, 'fallback', 'check');
  if (element === null || name === null) return undefined;
  try {
    cpuModel(name);
    return name;
  } catch (error) {
    if (!(error instanceof CpuModelError)) throw error;
    document.leaveOut(element, error.message);
    return undefined;
  }
}

/** <feature>: features to remove, and with a model, features to add; the host's CPU already has all of its own. */
function readFeatures(document: DomainDocument, cpu: XmlElement | null, ofModel: boolean): string[] {
  const features: string[] = [];
  for (const element of document.children(cpu, 'feature')) {
    const given = document.attribute(element, 'name') ?? '';
    const policy = document.attribute(element, 'policy') ?? 'require';
    const name = linuxFeature(given);
    const reason = leftOutProperty(given);
    try {
      checkFeatures([name]);
      if (policy === 'disable' || policy === 'forbid') features.push(`-${name}`);
      else if (ofModel) features.push(`+${name}`);
    } catch (error) {
      if (!(error instanceof CpuFeatureError)) throw error;
      document.leaveOut(element, reason ?? error.message);
    }
  }
  return features;
}

function readPinning(
  document: DomainDocument,
  domain: XmlElement,
  count: number,
  all: number,
): number[] | undefined {
  const cputune = document.child(domain, 'cputune');
  document.skip(cputune);
  const pins = document.children(cputune, 'vcpupin');
  const pinning: number[] = [];
  for (const pin of pins) {
    const vcpu = Number(document.attribute(pin, 'vcpu'));
    const cpuset = document.attribute(pin, 'cpuset') ?? '';
    if (vcpu < all && /^\d{1,4}$/.test(cpuset)) pinning[vcpu] = Number(cpuset);
  }
  if (pins.length === 0) return undefined;
  const pinned = Object.keys(pinning).length;
  if (pinned === pins.length && pinned === pinning.length && [count, all].includes(pinned)) return pinning;
  for (const pin of pins) document.leaveOut(pin, `expected one host CPU for each of the ${count} vCPUs`);
  return undefined;
}

/** <features>: every guest has ACPI and an APIC. */
function isHidden(document: DomainDocument, domain: XmlElement): boolean {
  const features = document.child(domain, 'features');
  document.skip(features);
  for (const name of ['acpi', 'apic', 'pae']) document.skip(document.child(features, name));
  // What no guest of vring has may be switched off.
  for (const name of ['vmport', 'smm']) {
    const absent = document.child(features, name);
    if (absent?.attributes.state === 'off') document.skipAll(absent);
  }
  const kvm = document.child(features, 'kvm');
  document.skip(kvm);
  return document.attribute(document.child(kvm, 'hidden'), 'state') === 'on';
}
