import { cannotStart, isAlive, isUnsafe, UNSAFE, type VmInfo } from '../engine/vm-info.ts';
import type { HostUsage } from '../host-service/usage.ts';
import { memoryInUse } from '../store/usage-slice.ts';
import { bytes, percent } from '../text/units.ts';
import { lossText, names, START_AGAIN_KEY } from './manager-loss.ts';
import { memoized } from './memoized.ts';

/** A condition that needs the administrator's attention. */
export type Alarm = {
  readonly key: string;
  readonly level: 'error' | 'warning';
  /** The VM it concerns; null for the host, or all VMs. */
  readonly vm: string | null;
  readonly text: string;
};

const MEMORY_IN_USE = 0.95;
const MEMORY_WAITS = 0.1;
/** Free space is low below this share of a file system, or below this many bytes if that is less. */
const LITTLE_ROOM = 0.05;
const LITTLE_ROOM_BYTES = 20 * 2 ** 30;

/** Alarms of the manager, the VMs and the host, in this order; errors before warnings. */
export function createAlarmsSelector() {
  return memoized(
    state => [state.managerLost, state.order, state.infos, state.usage] as const,
    (managerLost, order, infos, usage): readonly Alarm[] => {
      const manager =
        managerLost === null
          ? []
          : [error('manager', null, lossText(managerLost, Object.values(infos), { key: null }))];
      const all = [
        ...manager,
        ...interruptedAlarm(order.map(id => infos[id]!).filter(vm => vm.interrupted)),
        ...order.flatMap(id => vmAlarms(infos[id]!)),
        ...(usage === null ? [] : hostAlarms(usage)),
      ];
      return [
        ...all.filter(({ level }) => level === 'error'),
        ...all.filter(({ level }) => level === 'warning'),
      ];
    },
  );
}

/** One alarm for all VMs that ended while no manager ran, or with the host. */
function interruptedAlarm(vms: readonly VmInfo[]): Alarm[] {
  const [first] = vms;
  if (first === undefined) return [];
  const one = vms.length === 1;
  const reason = one ? first.reason : 'they ended unexpectedly, while no manager ran or with the host';
  const text = `${names(vms)}: ${reason}; ${START_AGAIN_KEY} starts ${one ? 'it' : 'them'} again`;
  return [error('interrupted', one ? first.id : null, text)];
}

function vmAlarms(vm: VmInfo): Alarm[] {
  const { id, name, state, reason, broken, diskErrors = {}, problem, blockers, interrupted } = vm;
  const obstacle = cannotStart({ problem, blockers });
  return [
    ...(state === 'crashed' && !interrupted
      ? [error(`${id} crashed`, id, `${name} crashed: ${reason ?? 'no reason given'}`)]
      : []),
    ...(state === 'stuck' ? [error(`${id} stuck`, id, `${name} is stuck: ${reason}`)] : []),
    ...(isUnsafe(vm) && isAlive(vm) ? [warning(`${id} unsafe`, id, `${name} is ${UNSAFE}`)] : []),
    ...Object.entries(broken).map(([device, why]) =>
      error(`${id} ${device}`, id, `${name}: ${device} is broken: ${why}`),
    ),
    ...Object.entries(diskErrors).map(([device, text]) =>
      error(`${id} ${device} disk`, id, `${name}: ${device}: ${text}`),
    ),
    ...(obstacle === null ? [] : [warning(`${id} definition`, id, `${name} cannot start: ${obstacle}`)]),
  ];
}

function hostAlarms(usage: HostUsage): Alarm[] {
  const { kvm, hugepages, memory, stateSpace } = usage.vitals;
  const used = memoryInUse(usage);
  const waits = usage.waits.memory ?? 0;
  return [
    ...(kvm === 'absent' ? [error('kvm', null, 'no VM can run: there is no /dev/kvm; 6 says why')] : []),
    ...(kvm === 'forbidden'
      ? [error('kvm', null, 'no VM can run: this user may not open /dev/kvm; 6 says what to do')]
      : []),
    ...(used >= MEMORY_IN_USE
      ? [warning('memory', null, `memory is low: ${bytes(memory.availableBytes)} available`)]
      : []),
    ...(waits >= MEMORY_WAITS
      ? [warning('pressure', null, `tasks wait for memory ${percent(waits)} of the time`)]
      : []),
    ...hugepages
      .filter(({ total, free }) => total > 0 && free === 0)
      .map(({ pageBytes, total }) =>
        warning(`huge ${pageBytes}`, null, `all ${total} huge pages of ${bytes(pageBytes)} are in use`),
      ),
    ...(stateSpace !== null && isLow(stateSpace)
      ? [warning('disk', null, `${stateSpace.path} has only ${bytes(stateSpace.availableBytes)} left`)]
      : []),
  ];
}

function isLow({ totalBytes, availableBytes }: { totalBytes: number; availableBytes: number }): boolean {
  return availableBytes < Math.min(totalBytes * LITTLE_ROOM, LITTLE_ROOM_BYTES);
}

function error(key: string, vm: string | null, text: string): Alarm {
  return { key, level: 'error', vm, text };
}

function warning(key: string, vm: string | null, text: string): Alarm {
  return { key, level: 'warning', vm, text };
}
