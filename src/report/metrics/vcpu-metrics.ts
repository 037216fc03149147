import { countedVcpus } from '../../engine/sampling/counted.ts';
import { exitName } from '../../engine/sampling/names.ts';
import { VCPU } from '../../vmm/counters/counters.ts';
import { type CountedVm, countedVms, latencyPoint, NS_PER_SECOND, word } from './counters.ts';
import type { Family, Labels, MetricFacts, Point } from './metric.ts';

const EXIT_REASONS = 64;

/** Each vCPU of a VM that has run, since its last start. */
export const VCPU_METRICS: readonly Family[] = [
  {
    name: 'vring_vcpu_cpu_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'CPU time of the vCPU thread: in the guest (guest), in vring (user) and in the kernel including KVM (system).',
    labels: ['vm', 'vcpu', 'mode'],
    points: facts =>
      eachVcpu(facts, ({ snapshot }, vcpu, labels) => {
        const times = snapshot.threads[vcpu];
        if (times === undefined) return [];
        return [
          { labels: { ...labels, mode: 'guest' }, value: times.guestNs / NS_PER_SECOND },
          { labels: { ...labels, mode: 'user' }, value: times.userNs / NS_PER_SECOND },
          { labels: { ...labels, mode: 'system' }, value: times.systemNs / NS_PER_SECOND },
        ];
      }),
  },
  perVcpu('vring_vcpu_entries', 'Entries into KVM (KVM_RUN).', VCPU.entries),
  perVcpu('vring_vcpu_kicks', 'Exits forced by a signal to the vCPU thread.', VCPU.kicks),
  {
    name: 'vring_vcpu_exits',
    type: 'counter',
    help: 'Exits from KVM to vring, by reason.',
    labels: ['vm', 'vcpu', 'reason'],
    points: facts => eachExit(facts, (vm, base, reason) => word(vm, base + VCPU.exits + reason)),
  },
  {
    name: 'vring_vcpu_exit_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time from an exit until the vCPU entered KVM again.',
    labels: ['vm', 'vcpu', 'reason'],
    points: facts =>
      eachExit(facts, (vm, base, reason) => word(vm, base + VCPU.exitNs + reason) / NS_PER_SECOND),
  },
  {
    name: 'vring_vcpu_exit_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time until an exit was handled.',
    labels: ['vm', 'vcpu'],
    points: facts =>
      eachVcpu(facts, (vm, vcpu, labels) => {
        const base = vm.snapshot.layout.vcpu(vcpu);
        return [latencyPoint(vm, labels, base + VCPU.latency, word(vm, base + VCPU.deviceNs))];
      }),
  },
];

function perVcpu(name: string, help: string, offset: number): Family {
  return {
    name,
    type: 'counter',
    help,
    labels: ['vm', 'vcpu'],
    points: facts =>
      eachVcpu(facts, (vm, vcpu, labels) => [
        { labels, value: word(vm, vm.snapshot.layout.vcpu(vcpu) + offset) },
      ]),
  };
}

function eachVcpu<Item>(
  facts: MetricFacts,
  points: (vm: CountedVm, vcpu: number, labels: Labels) => Item[],
): Item[] {
  return countedVms(facts).flatMap(vm =>
    countedVcpus(vm.snapshot, vm.topology).flatMap(vcpu =>
      points(vm, vcpu, { vm: vm.name, vcpu: String(vcpu) }),
    ),
  );
}

/** Exit reasons that occurred. */
function eachExit(
  facts: MetricFacts,
  value: (vm: CountedVm, base: number, reason: number) => number,
): Point[] {
  return eachVcpu(facts, (vm, vcpu, labels) => {
    const base = vm.snapshot.layout.vcpu(vcpu);
    const reasons = Array.from({ length: EXIT_REASONS }, (_, reason) => reason);
    return reasons
      .filter(reason => word(vm, base + VCPU.exits + reason) > 0)
      .map(reason => ({ labels: { ...labels, reason: exitName(reason) }, value: value(vm, base, reason) }));
  });
}
