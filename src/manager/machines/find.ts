import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { AnsweringMachine, Death, FoundMachine } from '../../engine/machines/machine.ts';
import { MachineConnection } from '../../engine/machines/machine-connection.ts';
import { parseHello } from '../../engine/machines/machine-messages.ts';
import { deathOfStranger, ProcessMachine } from '../../engine/machines/process-machine.ts';
import { isHeld, ProcessWatch, whyStuck } from '../../engine/machines/process-watch.ts';
import { cgroupOfMachine } from '../../vmm/confinement/cgroup-parent.ts';
import { counterShape } from '../../vmm/counters/counter-shape.ts';
import { mapCounters } from '../../vmm/counters/shared-counters.ts';
import { FrameReader, messageOf } from '../../vmm/machine/frames.ts';
import { PROTOCOL } from '../../vmm/machine/messages.ts';
import { AF_UNIX, connect, SOCK_STREAM, setNonblocking, socket } from '../../vmm/native/libc.ts';
import { credentialsOfPeer, receiveNow, unixAddress } from '../../vmm/native/unix-socket.ts';
import {
  keepRecord,
  type MachineRecord,
  promoted,
  readRecords,
  runningRecord,
  socketOf,
  withoutSuccessor,
} from './machine-record.ts';
import { followDevices, leavePlace, settleSuccession, succession, tidyPlace } from './register.ts';
import { renewPlace } from './renew-place.ts';

/** How long a process may take to exit after it has closed its connection. */
const EXIT_MS = 500;
const LOOK_MS = 2;
const LOOK_LESS_AFTER = 100;
const LOOK_LESS_MS = 100;

/**
 * The running machines of earlier managers. A record alone proves nothing: the process at its socket must be the one in
 * the record, belong to this user, and know the token.
 * @param problem called with the reason for each machine that is not taken over
 */
export function findMachines(
  folder: string,
  problem: (vm: string | null, text: string) => void,
): FoundMachine[] {
  return readRecords(folder, text => problem(null, text)).flatMap(({ id, record }) => {
    try {
      return findRunning(folder, id, record) ?? [];
    } catch (error) {
      problem(record.name, `its process ${record.pid} is not taken over: ${(error as Error).message}`);
      return [];
    }
  });
}

/** Any of its processes may end at any time, even during this check. @returns null if it has ended */
function findRunning(folder: string, id: string, record: MachineRecord): FoundMachine | null {
  for (let present: MachineRecord | null = record; present !== null; present = runningRecord(folder, id)) {
    try {
      return find(folder, id, present);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ESRCH') throw error;
    }
  }
  leavePlace(folder, id, record.name);
  return null;
}

function find(folder: string, id: string, record: MachineRecord): FoundMachine {
  const { name, config, startedAt } = record;
  keepRecord(folder, id, record);
  return {
    config,
    isAsStarted: record.changed !== true,
    pending: record.pending ?? [],
    startedAt,
    ...(record.successor === undefined ? findOne(folder, id, record) : findEither(folder, id, record)),
    succeed: () => succession(folder, id),
    follow: (config, pending) => followDevices(folder, id, config, pending),
    renew: () => renewPlace(folder, id),
    release: () => leavePlace(folder, id, name),
  };
}

type Found = Pick<FoundMachine, 'silent' | 'answered'>;

function findOne(folder: string, id: string, record: MachineRecord): Found {
  const watch = new ProcessWatch(record.pid);
  tidyPlace(folder, id, record);
  const path = socketOf(folder, id, record.slot);
  const fd = connectedNow(path);
  try {
    if (fd !== null) checkPeer(fd, record);
  } catch (error) {
    closeSync(fd!);
    throw error;
  }
  const death = deathOfStranger(watch, cgroupOfMachine(record.pid));
  return {
    silent: new ProcessMachine(watch, null, death, null),
    answered: answer(fd, path, record, watch, death),
  };
}

/** A hand-over completes without a manager. Soon one of the two processes is gone, and the other has the machine. */
function findEither(folder: string, id: string, record: MachineRecord): Found {
  const giver = new ProcessWatch(record.pid);
  const taker = new ProcessWatch(record.successor!.pid);
  const left = Promise.race([giver.exited.then(() => true), taker.exited.then(() => false)]).then(taken => {
    settleSuccession(folder, id, taken);
    const watch = taken ? taker : giver;
    const kept = taken ? promoted(record) : withoutSuccessor(record);
    return { record: kept, watch, death: deathOfStranger(watch, cgroupOfMachine(watch.pid)) };
  });
  return {
    silent: {
      version: null,
      connection: null,
      pid: giver.pid,
      gone: left.then(({ death }) => death),
      destroy: () => {
        for (const process of [giver, taker]) process.signal('SIGKILL');
      },
      isHeld: () => isHeld(giver.pid) || isHeld(taker.pid),
      whyStuck: () => `it is being handed over, and ${whyStuck(isHeld(taker.pid) ? taker.pid : giver.pid)}`,
    },
    answered: left.then(({ record, watch, death }) =>
      answer(null, socketOf(folder, id, record.slot), record, watch, death),
    ),
  };
}

/** @returns null if no process listens, or the backlog is full. @throws when there is no such socket */
function connectedNow(path: string): number | null {
  const fd = socket(AF_UNIX, SOCK_STREAM);
  try {
    setNonblocking(fd);
    connect(fd, path, unixAddress(path));
    return fd;
  } catch (error) {
    closeSync(fd);
    const { errno } = error as { errno?: number };
    if (errno === constants.errno.ECONNREFUSED || errno === constants.errno.EAGAIN) return null;
    throw error;
  }
}

/** The manager may have died right after it started the machine, before the machine listens. */
async function connected(path: string, record: MachineRecord, watch: ProcessWatch): Promise<number | null> {
  for (let round = 0; !watch.hasExited; round++) {
    await pause(round);
    const fd = connectedNow(path);
    if (fd === null) continue;
    try {
      checkPeer(fd, record);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
  return null;
}

function pause(round: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, round < LOOK_LESS_AFTER ? LOOK_MS : LOOK_LESS_MS));
}

/** The kernel recorded the listening process when it called listen(2). */
function checkPeer(fd: number, { pid, listener = pid }: MachineRecord): void {
  const peer = credentialsOfPeer(fd);
  if (peer.pid !== listener) throw new Error(`process ${peer.pid} listens at its socket`);
  if (peer.uid !== process.geteuid!()) throw new Error(`user ${peer.uid} listens at its socket`);
}

/** Waits while the process lives: it may have been stopped by a signal. */
async function answer(
  early: number | null,
  path: string,
  record: MachineRecord,
  watch: ProcessWatch,
  death: Promise<Death>,
): Promise<AnsweringMachine | null> {
  const fd = early ?? (await connected(path, record, watch));
  if (fd === null) return null;
  const reader = new FrameReader();
  let counters: number | null = null;
  try {
    for (let round = 0; !watch.hasExited; round++) {
      const received = receiveNow(fd);
      if (received.kind === 'closed') {
        await Promise.race([watch.exited, new Promise(resolve => setTimeout(resolve, EXIT_MS))]);
        if (watch.hasExited) break;
        throw new Error(`its process ${record.pid} closes the connection to this manager`);
      }
      if (received.kind === 'empty') {
        await pause(round);
        continue;
      }
      for (const each of received.fds) {
        if (counters === null) counters = each;
        else closeSync(each);
      }
      const [hello, ...others] = reader.push(received.bytes);
      if (hello === undefined) continue;
      const identity = parseHello(messageOf(hello));
      if (identity.token !== record.token) throw new Error('it does not know its token');
      if (identity.protocol !== PROTOCOL)
        throw new Error(
          `it was started by vring ${identity.version}, whose machines this version cannot manage`,
        );
      if (counters === null) throw new Error('it did not pass its counters');
      const mapped = mapCounters(counters, record.counters ?? counterShape(record.config));
      const connection = new MachineConnection(fd, reader, others);
      const machine = new ProcessMachine(watch, connection, death, identity.version);
      return { machine, counters: mapped };
    }
    closeSync(fd);
    return null;
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    if (counters !== null) closeSync(counters);
  }
}
