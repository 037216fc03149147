import type { GuestFacts } from '../engine/guest-agent/guest-facts.ts';
import { guestAddresses } from '../engine/networks/vm-nics.ts';
import { cannotStart, isAlive, isUnsafe, otherVersion, UNSAFE, type VmInfo } from '../engine/vm-info.ts';
import { version } from '../project-root.ts';
import type { AppState } from '../store/app-store.ts';
import { fullTime } from '../text/time.ts';
import type { Topology, VcpuLabel } from '../vmm/machine/topology.ts';
import { balloonOf, balloonText } from './balloon-facts.ts';

/** A VM in one line: how long it has run or why it does not, its definition, and its keyboard holder. */
export function summaryFacts({ infos }: AppState, id: string): string[] {
  const vm = infos[id];
  if (vm === undefined) return [];
  const { state, startedAt, reason, keyboardHolder, defined, autostart } = vm;
  const obstacle = cannotStart(vm);
  const other = otherVersion(vm, version());
  const since = startedAt !== null && isAlive(vm) ? `${state} since ${fullTime(startedAt)}` : state;
  const definition = !defined ? 'no definition' : autostart ? 'defined, autostart' : 'defined';
  const balloon = isAlive(vm) ? balloonOf(vm) : null;
  const { guest } = vm;
  const broken = Object.keys(vm.broken);
  const failing = Object.keys(vm.diskErrors ?? {});
  return [
    ...(isUnsafe(vm) ? [UNSAFE] : []),
    since,
    ...guestAddresses(vm).slice(0, 2),
    ...(reason === null ? [] : [reason]),
    ...(broken.length === 0 ? [] : [`broken: ${broken.join(', ')}`]),
    ...(failing.length === 0 ? [] : [`disk errors: ${failing.join(', ')}`]),
    obstacle === null ? definition : `cannot start: ${obstacle}`,
    ...(guest === undefined ? [] : [`guest: ${guestText(guest)}`]),
    ...(balloon === null ? [] : [`memory: ${balloonText(balloon)}`]),
    ...(other === null ? [] : [`runs vring ${other}`]),
    ...(keyboardHolder === null ? [] : [`keyboard: ${keyboardHolder}`]),
  ];
}

/** Of a VM that does not run: so much, and which key starts it, unless nothing may be changed. */
export function restingText(vm: VmInfo, isReadOnly: boolean): string {
  const obstacle = cannotStart(vm);
  if (obstacle !== null) return `The VM cannot start: ${obstacle}`;
  const [state, again] = vm.state === 'crashed' ? ['has crashed', ' again'] : [`is ${vm.state}`, ''];
  return `The VM ${state}${isReadOnly ? '' : `: S starts it${again}`}`;
}

/** `web1, Debian GNU/Linux 12 (bookworm), 192.168.122.7`. */
export function guestText({ hostname, os, interfaces }: GuestFacts): string {
  const addresses = interfaces.flatMap(each => each.addresses);
  return [hostname, os, ...addresses.slice(0, 2)].filter(part => part !== null).join(', ');
}

/** The number of vCPUs, and the most it can have if that is larger. */
export function vcpusText(vm: VmInfo): string {
  const { vcpus } = vm;
  if (vcpus === 0) return '-';
  const most = mostVcpus(vm);
  const { adding, removing } = pendingVcpus(vm.topology);
  return [
    most > vcpus ? `${vcpus}, with room for ${most}` : String(vcpus),
    ...(adding.length > 0 ? [`not taken up by the guest: ${adding.join(', ')}`] : []),
    ...(removing.length > 0 ? [`to be released: ${removing.join(', ')}`] : []),
  ].join('; ');
}

/** The most vCPUs that it has room for. */
export function mostVcpus({ vcpus, maxVcpus, topology }: VmInfo): number {
  return maxVcpus ?? Math.max(vcpus, topology?.shape.vcpus ?? 0);
}

/** The vCPUs that its guest has not taken up, and those that it has been asked to release and has not. */
export function pendingVcpus(topology: Topology | null): {
  readonly adding: number[];
  readonly removing: number[];
} {
  const labels = topology?.vcpuLabels ?? [];
  const indicesOf = (some: (label: VcpuLabel) => boolean) => labels.filter(some).map(({ index }) => index);
  return {
    adding: indicesOf(({ adding, removing }) => adding === true && removing === undefined),
    removing: indicesOf(({ removing }) => removing !== undefined),
  };
}

/** The host CPUs that a VM's vCPUs are pinned to: `vCPU 0 to CPU 2, 1 to 3`; empty if they may run anywhere. */
export function pinningText(topology: Topology | null): string {
  const pairs = (topology?.pinning ?? []).map((cpu, vcpu) =>
    vcpu === 0 ? `vCPU 0 to CPU ${cpu}` : `${vcpu} to ${cpu}`,
  );
  return pairs.join(', ');
}
