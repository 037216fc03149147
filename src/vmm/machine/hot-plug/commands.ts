import { takeGivenWires } from '../../backends/net/given-wires.ts';
import { close } from '../../native/libc.ts';
import { takeGivenDevices } from '../../vfio/given-devices.ts';
import { fdCount, type MachineCommands, type PlugArguments } from '../messages.ts';
import type { Reply } from '../reply.ts';
import type { GivenToPlug, HotPlug } from './hot-plug.ts';

/** The objects on which the commands act. */
type Plugged = {
  readonly hotPlug: HotPlug;
  /** Returns an fd that came with the command; null if none is left. */
  readonly takeFd: () => number | null;
};

type Arguments<Name extends 'plug' | 'unplug' | 'cancel-unplug'> = MachineCommands[Name]['arguments'];

export function plug(
  on: Plugged,
  given: PlugArguments,
  reply: Reply<MachineCommands['plug']['result']>,
): void {
  let taken: GivenToPlug;
  try {
    taken = takeFds(on, given);
  } catch (error) {
    reply.failed((error as Error).message);
    return;
  }
  on.hotPlug.plug(given, taken, outcome => {
    if (outcome instanceof Error) reply.failed(outcome.message);
    else reply.done(outcome);
  });
}

/** Takes all fds that came with it, even if it fails: the next message has its own. @throws if some have not arrived */
function takeFds(
  { takeFd }: Plugged,
  { name, hostDevices = [], disk, wire, rom }: PlugArguments,
): GivenToPlug {
  const taken = {
    hostDevices: takeGivenDevices(hostDevices, takeFd, close),
    disk: disk === undefined ? null : takeAll(fdCount(disk), takeFd),
  };
  const wires = wire === undefined ? [] : [{ device: name, wire }];
  try {
    const given = { ...taken, wires: takeGivenWires(wires, takeFd, close) };
    return { ...given, rom: rom === undefined ? null : takeFd() };
  } catch (error) {
    for (const fd of taken.disk ?? []) close(fd);
    for (const fd of taken.hostDevices.flatMap(({ fds }) => [...fds.values()])) close(fd);
    throw error;
  }
}

/** Null if some have not arrived. */
export function takeAll(count: number, takeFd: () => number | null): readonly number[] | null {
  const taken = Array.from({ length: count }, takeFd);
  const fds = taken.filter(fd => fd !== null);
  if (fds.length === count) return fds;
  for (const fd of fds) close(fd);
  return null;
}

export function unplug(on: Plugged, { device, force }: Arguments<'unplug'>, reply: Reply<null>): void {
  const done = (error: string | null) => (error === null ? reply.done(null) : reply.failed(error));
  try {
    on.hotPlug.unplug(device, force, done);
  } catch (error) {
    reply.failed((error as Error).message);
  }
}

export function cancelUnplug(on: Plugged, { device }: Arguments<'cancel-unplug'>, reply: Reply<null>): void {
  try {
    on.hotPlug.cancel(device);
  } catch (error) {
    reply.failed((error as Error).message);
    return;
  }
  reply.done(null);
}
