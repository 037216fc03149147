import { Text } from 'ink';
import type { TimeSplit } from '../engine/sampling/rates.ts';
import { useTheme } from './contexts.ts';

/** Where time went, as a bar of `cells` cells: guest, KVM, devices, idle. */
export function TimeBar({ time, cells: room }: { time: TimeSplit; cells: number }) {
  const { style, glyphs } = useTheme();
  const cells = Math.max(0, room);
  const ends = [time.guest, time.guest + time.kvm, time.guest + time.kvm + time.devices].map(share =>
    Math.min(cells, Math.round(share * cells)),
  );
  const [guest, kvm, devices] = ends as [number, number, number];
  return (
    <Text wrap="truncate">
      <Text {...style('time.guest')}>{glyphs.bar.guest.repeat(guest)}</Text>
      <Text {...style('time.kvm')}>{glyphs.bar.kvm.repeat(kvm - guest)}</Text>
      <Text {...style('time.devices')}>{glyphs.bar.devices.repeat(devices - kvm)}</Text>
      <Text {...style('text.secondary')}>{glyphs.bar.idle.repeat(cells - devices)}</Text>
    </Text>
  );
}
