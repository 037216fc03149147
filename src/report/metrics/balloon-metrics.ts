import type { BalloonFacts, BalloonStat } from '../../devices/virtio/balloon/facts.ts';
import { isAlive } from '../../engine/vm-info.ts';
import type { Family, MetricFacts, Point } from './metric.ts';

/** What balloons hold, and what guests report about their remaining memory. */
export const BALLOON_METRICS: readonly Family[] = [
  {
    name: 'vring_balloon_target_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that the guest should keep.',
    labels: ['vm', 'device'],
    points: facts => perBalloon(facts, ({ target }) => target),
  },
  {
    name: 'vring_balloon_current_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that the guest keeps; the rest is in its balloon.',
    labels: ['vm', 'device'],
    points: facts => perBalloon(facts, ({ current }) => current),
  },
  stat('vring_guest_memory_total_bytes', 'Memory that the guest sees.', 'total'),
  stat('vring_guest_memory_free_bytes', 'Memory that the guest does not use at all.', 'free'),
  stat(
    'vring_guest_memory_available_bytes',
    'Memory that the guest estimates to be available to programs without swapping.',
    'available',
  ),
  stat(
    'vring_guest_memory_caches_bytes',
    'Memory of the guest with data that it could read again from disks.',
    'caches',
  ),
];

function stat(name: string, help: string, of: BalloonStat): Family {
  return {
    ...{ name, type: 'gauge', unit: 'bytes', labels: ['vm', 'device'] },
    help: `${help} From the statistics of its balloon.`,
    points: facts => perBalloon(facts, ({ stats }) => stats?.[of]),
  };
}

function perBalloon({ vms }: MetricFacts, value: (facts: BalloonFacts) => number | undefined): Point[] {
  return vms
    .filter(({ info }) => isAlive(info))
    .flatMap(({ info }) =>
      (info.topology?.devices ?? []).flatMap(({ name: device, balloon }) => {
        const found = balloon && value(balloon);
        return found === undefined ? [] : [{ labels: { vm: info.name, device }, value: found }];
      }),
    );
}
