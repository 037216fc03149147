import { close } from '../../native/libc.ts';
import type { MachineCommands, PlugArguments } from '../messages.ts';
import type { Reply } from '../reply.ts';
import type { HotPlug } from './hot-plug.ts';

/** What the commands are carried out on. */
type Plugged = {
  readonly hotPlug: HotPlug;
  /** Why the devices have to stay what they are for now; null: they need not. */
  readonly handOver: { readonly busy: string | null };
  readonly snapshots: { readonly busy: string | null };
  /** An fd that came with the command; null if none is left. */
  readonly takeFd: () => number | null;
};

type Arguments<Name extends 'plug' | 'unplug' | 'cancel-unplug'> = MachineCommands[Name]['arguments'];

export function plug(
  on: Plugged,
  given: PlugArguments,
  reply: Reply<MachineCommands['plug']['result']>,
): void {
  // Whatever becomes of it: the next message has its own.
  const disk = given.disk === undefined ? null : on.takeFd();
  const busy = whyNotNow(on);
  if (busy !== null) {
    if (disk !== null) close(disk);
    reply.failed(busy);
    return;
  }
  let plugged: MachineCommands['plug']['result'];
  try {
    plugged = on.hotPlug.plug(given, disk);
  } catch (error) {
    reply.failed((error as Error).message);
    return;
  }
  reply.done(plugged);
}

export function unplug(on: Plugged, { device, force }: Arguments<'unplug'>, reply: Reply<null>): void {
  const busy = force ? whyNotNow(on) : null;
  if (busy !== null) {
    reply.failed(busy);
    return;
  }
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

function whyNotNow({ handOver, snapshots }: Plugged): string | null {
  return handOver.busy ?? snapshots.busy;
}
