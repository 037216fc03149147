import type { BalloonControl, BuiltDevice } from '../../devices/device-type.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import { close } from '../native/libc.ts';
import type { ConsolePorts } from './console-ports.ts';
import { changeMedium, limitDisk, resizeDisk } from './disk-commands.ts';
import type { HandOver } from './hand-over/hand-over.ts';
import type { HostFiles } from './host-files.ts';
import { cancelUnplug, plug, takeAll, unplug } from './hot-plug/commands.ts';
import type { HotPlug } from './hot-plug/hot-plug.ts';
import type { VcpuPlug } from './hot-plug/vcpus.ts';
import type { InPlaceReset } from './in-place-reset.ts';
import type { MachineInput } from './input-commands.ts';
import type { Machine } from './life-cycle.ts';
import {
  type CommandName,
  fdCount,
  type MachineCommand,
  type MachineCommands,
  type MigrationFacts,
  type SnapshotArguments,
} from './messages.ts';
import type { Migration } from './migration/migration.ts';
import { limitNic, setLink } from './nic-commands.ts';
import type { Reply } from './reply.ts';
import type { Notify } from './report.ts';
import { resizeScreen, watchScreen } from './screen-commands.ts';
import { labelOf, type SnapshotWriter } from './snapshot-writer.ts';
import type { Suspension } from './suspension.ts';
import type { UserPause } from './user-pause.ts';

/** The objects on which commands act. */
export type Commanded = {
  readonly machine: Machine;
  readonly files: HostFiles;
  readonly snapshots: SnapshotWriter;
  readonly pause: UserPause;
  readonly reset: InPlaceReset;
  readonly suspension: Suspension;
  readonly handOver: HandOver;
  readonly migration: Migration;
  readonly migrationFacts: (reply: Reply<MigrationFacts>) => void;
  /** Why an operation that needs the machine as it is has to wait; null if it does not. */
  readonly busy: () => string | null;
  readonly hotPlug: HotPlug;
  readonly vcpuPlug: VcpuPlug;
  readonly input: MachineInput;
  readonly consoles: Pick<ConsolePorts, 'resize'>;
  /** Call it after a change to anything that screens show of its devices. */
  readonly updateTopology: () => void;
  /** Ends the machine. */
  readonly finish: (reason: string) => void;
  /** Accepts later managers at a listening socket, and holds another lock of the VM's name. Takes over the fds. */
  readonly listenAt: (listener: number, lock: number | null) => void;
  /** Returns an fd that came with the command and hands it to the caller; null if none is left. */
  readonly takeFd: () => number | null;
};

type Handler<Name extends CommandName> = (
  on: Commanded,
  given: MachineCommands[Name]['arguments'],
  reply: Reply<MachineCommands[Name]['result']>,
) => void;

const HANDLERS: { readonly [Name in CommandName]: Handler<Name> } = {
  pause: ({ pause }, _, reply) => pause.begin(() => reply.done(null)),
  resume: ({ pause, migration }, _, reply) => migration.resume(reply, () => pause.end()),
  reset: ({ reset, migration }, _, reply) => {
    const { notReset } = migration;
    if (notReset !== null) {
      reply.failed(notReset);
      return;
    }
    reset.begin('reset');
    reply.done(null);
  },
  'power-button': ({ machine }, _, reply) => {
    const { powerButton } = machine.parts.chipset;
    const noticed = powerButton.enabled || machine.asleep;
    powerButton.press();
    reply.done({ noticed });
  },
  wake: ({ suspension }, _, reply) => {
    if (!suspension.wake('user', () => reply.done(null))) reply.failed('its guest is not suspended');
  },
  'resize-disk': (on, given, reply) =>
    changeDevice(on, reply, () => resizeDisk(on.machine.parts.chipset.devices, given)),
  'limit-disk': (on, given, reply) =>
    changeDevice(on, reply, () => limitDisk(on.machine.parts.chipset.devices, given)),
  'set-link': (on, given, reply) =>
    changeDevice(on, reply, () => setLink(on.machine.parts.chipset.devices, given)),
  'limit-nic': (on, given, reply) =>
    changeDevice(on, reply, () => limitNic(on.machine.parts.chipset.devices, given)),
  screen: ({ machine }, given, reply) => watchScreen(machine.parts.chipset.devices, given, reply),
  'resize-screen': ({ machine }, given, reply) => {
    try {
      reply.done(resizeScreen(machine.parts.chipset.devices, given));
    } catch (error) {
      reply.failed((error as Error).message);
    }
  },
  'set-balloon': (on, { bytes }, reply) =>
    changeDevice(on, reply, () => balloonOf(on.machine.parts.chipset.devices).setTarget(bytes)),
  'set-vcpus': ({ vcpuPlug }, { count }, reply) =>
    vcpuPlug.set(count, outcome => {
      if (outcome instanceof Error) reply.failed(outcome.message);
      else reply.done(outcome);
    }),
  input: ({ machine, input, suspension }, { events }, reply) => {
    // The key that wakes it up is not passed on as input: its driver may not be ready yet.
    if (events.some(isPress) && suspension.wake('user')) {
      reply.done({ taken: events.length });
      return;
    }
    try {
      reply.done({ taken: input.pass(machine.parts.chipset.devices, events) });
    } catch (error) {
      reply.failed((error as Error).message);
    }
  },
  'change-medium': (on, given, reply) => {
    const { machine, files, takeFd } = on;
    const fds = given.disk === null ? null : takeAll(fdCount(given.disk.facts), takeFd);
    const busy = on.busy();
    if (busy !== null) {
      for (const fd of fds ?? []) close(fd);
      reply.failed(busy);
    } else changeDevice(on, reply, () => changeMedium(machine.parts.chipset.devices, files, given, fds));
  },
  plug,
  unplug,
  'cancel-unplug': cancelUnplug,
  disks: ({ files }, _, reply) => reply.done(files.disks.map(labelOf)),
  snapshot: takeSnapshot,
  'end-snapshot': ({ snapshots }, _, reply) => {
    snapshots.cancel('it was canceled');
    reply.done(null);
  },
  'migration-facts': ({ migrationFacts }, _, reply) => migrationFacts(reply),
  migrate: ({ migration, busy, takeFd }, request, reply) => {
    const fd = takeFd();
    const obstacle = busy() ?? (fd === null ? 'no connection came with it' : null);
    if (obstacle === null) {
      migration.begin(request, fd!, reply);
      return;
    }
    if (fd !== null) close(fd);
    reply.failed(obstacle);
  },
  'commit-migration': ({ migration }, { reason }, reply) => attempt(reply, () => migration.commit(reason)),
  'end-migration': ({ migration }, _, reply) => migration.end(reply),
  arrive: ({ migration }, _, reply) => attempt(reply, () => migration.arrive()),
  listen: ({ listenAt, takeFd }, { lock }, reply) => {
    const listener = takeFd();
    const nameLock = lock ? takeFd() : null;
    if (listener === null || (lock && nameLock === null)) {
      if (listener !== null) close(listener);
      reply.failed('no socket was passed');
      return;
    }
    listenAt(listener, nameLock);
    reply.done(null);
  },
  ping: (_on, _, reply) => reply.done(null),
  'resize-console': ({ consoles }, { port, columns, rows }, reply) => {
    consoles.resize(port, { columns, rows });
    reply.done(null);
  },
  'hand-over': ({ handOver, takeFd }, _, reply) => handOver.begin(takeFd(), reason => reply.failed(reason)),
  stop: ({ finish }, { reason }, reply) => {
    finish(reason);
    reply.done(null);
  },
};

/** Whether a key or a button goes down. */
function isPress(event: InputEvent): boolean {
  return (event.kind === 'key' || event.kind === 'button') && event.down;
}

/** @throws an error for the user */
function balloonOf(devices: readonly BuiltDevice[]): BalloonControl {
  const balloon = devices.find(({ capabilities }) => capabilities?.balloon)?.capabilities?.balloon;
  if (balloon === undefined) throw new Error('the VM has no balloon: add `balloon: true` to its definition');
  return balloon;
}

function changeDevice({ updateTopology }: Commanded, reply: Reply<null>, change: () => void): void {
  try {
    change();
    updateTopology();
  } catch (error) {
    reply.failed((error as Error).message);
    return;
  }
  reply.done(null);
}

function attempt(reply: Reply<null>, action: () => void): void {
  try {
    action();
  } catch (error) {
    reply.failed((error as Error).message);
    return;
  }
  reply.done(null);
}

function takeSnapshot(
  { snapshots, handOver, migration, takeFd }: Commanded,
  request: SnapshotArguments,
  reply: Reply<MachineCommands['snapshot']['result']>,
): void {
  const fds: number[] = [];
  for (let left = 3 + 2 * request.disks.length; left > 0; left--) {
    const fd = takeFd();
    if (fd !== null) fds.push(fd);
  }
  const busy = handOver.busy ?? migration.busy;
  if (busy !== null) {
    for (const fd of fds) close(fd);
    reply.failed(busy);
    return;
  }
  snapshots.take(request, fds, (error, written) => {
    if (error !== null) reply.failed(error);
    else reply.done(written!);
  });
}

/** Carries out managers' commands to a machine. */
export class Commands {
  readonly #on: Commanded;
  readonly #notify: Notify;
  /** Commands without a reply so far, each with its id. */
  readonly #open = new Map<Reply<unknown>, number>();

  constructor(on: Commanded, notify: Notify) {
    this.#on = on;
    this.#notify = notify;
  }

  /** A manager of another version may send a command that this machine does not know. */
  carryOut({ id, command, arguments: given }: MachineCommand & { readonly id: number }): void {
    const reply: Reply<unknown> = {
      done: result => this.#reply(reply, null, result),
      failed: reason => this.#reply(reply, reason, null),
    };
    this.#open.set(reply, id);
    if (Object.hasOwn(HANDLERS, command))
      (HANDLERS[command] as Handler<CommandName>)(this.#on, given as never, reply);
    else reply.failed('this machine does not know that command: restart it');
  }

  /** The sender of the commands is gone. Another manager restarts the numbering: late replies would be misattributed. */
  forget(): void {
    this.#open.clear();
  }

  /** Replies to all open commands. */
  end(reason: string): void {
    for (const reply of this.#open.keys()) reply.failed(reason);
  }

  #reply(reply: Reply<unknown>, error: string | null, result: unknown): void {
    const id = this.#open.get(reply);
    if (id === undefined) return;
    this.#open.delete(reply);
    this.#notify(report => report.reply(id, error, result));
  }
}
