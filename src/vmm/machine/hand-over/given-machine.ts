import { version } from '../../../project-root.ts';
import { wireFacts, wireFds } from '../../backends/net/wire.ts';
import { fdsOf } from '../../backends/open-disk.ts';
import { reasonOf } from '../device-modules.ts';
import type { HostFiles } from '../host-files.ts';
import type { Machine } from '../life-cycle.ts';
import { diskFacts } from '../messages.ts';
import type { MachineReport } from '../report.ts';
import type { CounterLabels } from '../topology.ts';
import { clientsOf, handedConnections } from './connections.ts';
import type { GivenMachine } from './giver.ts';
import { FORMAT, type OfferedDisk } from './messages.ts';
import type { PrivateRamCopy } from './private-ram.ts';
import { encodeHandedState } from './state.ts';

/** fds of a machine's process that its successor also needs. */
export type OwnFds = {
  /** The memfd of its counters. */
  readonly counters: number;
  /** The lock of the VM's name. */
  readonly lock: number;
};

export type GivenParts = {
  readonly machine: Machine;
  readonly files: HostFiles;
  readonly own: OwnFds | null;
  readonly report: MachineReport;
  readonly counters: () => CounterLabels;
  /** Sends what its ports have printed, and reports what they have read. */
  readonly settlePorts: () => void;
  /** Whether its user has paused it. */
  readonly isPaused: () => boolean;
  /** Whether its memory may be merged with that of others (KSM). */
  readonly isMergeable: boolean;
  readonly deviceModules: readonly string[];
  /** Makes a copy of memory that only this process has. */
  readonly copyRam: () => PrivateRamCopy;
  /** Calls back once no reset is in progress. */
  readonly afterReset: (done: () => void) => void;
};

/** A machine in the form in which it is handed over. */
export function givenMachine(parts: GivenParts): GivenMachine & { close(): void } {
  const { machine, files, own, report } = parts;
  let stoppedAt = 0n;
  let copy: PrivateRamCopy | null = null;
  const saved = () => {
    try {
      return machine.save();
    } catch (error) {
      throw new Error(reasonOf(error, parts.deviceModules), { cause: error });
    }
  };
  return {
    offer: () => {
      const { blocks } = machine.parts.ram;
      if (own === null) throw new Error('its machine is a part of another process, which it ends with');
      if (parts.isMergeable) throw new Error(MERGEABLE);
      const [first] = blocks;
      if (first!.fd === null) copy = parts.copyRam();
      const ram = copy?.fd ?? first!.fd!;
      const disks = files.disks.map(
        ({ path, format, label, readonly, cache, transient, ...disk }): OfferedDisk => ({
          options: {
            ...{ path, format, readonly, cache },
            ...(transient && { transient }),
            ...(label !== undefined && { label }),
          },
          facts: diskFacts(disk),
        }),
      );
      const images = files.images.map(({ path }) => path);
      const wires = files.wires.map(({ device, wire }) => ({ device, wire: wireFacts(wire) }));
      const fds = [...files.disks.flatMap(fdsOf), ...files.images.map(({ fd }) => fd)];
      const wiresFds = files.wires.flatMap(({ wire }) => wireFds(wire));
      return {
        offer: { kind: 'offer', format: FORMAT, version: version(), disks, images, wires },
        fds: [ram, own.counters, own.lock, ...fds, ...wiresFds],
      };
    },
    quiesce: done => {
      stoppedAt = process.hrtime.bigint();
      const release = machine.quiesce(() =>
        parts.afterReset(() => {
          if (copy === null) {
            done(null);
            return;
          }
          try {
            copy.copy(done);
          } catch (error) {
            done((error as Error).message);
          }
        }),
      );
      return () => {
        copy?.cancel();
        release();
      };
    },
    get extraStopNs() {
      return copy?.limitNs ?? 0n;
    },
    close: () => copy?.close(),
    get holdups() {
      return machine.holdups;
    },
    state: () => {
      parts.settlePorts();
      const { connections } = machine.parts.chars;
      const bytes = encodeHandedState({
        machine: saved(),
        paused: parts.isPaused(),
        stoppedAt,
        counters: parts.counters(),
        report: report.freeze(),
        connections: handedConnections(connections),
      });
      return { bytes, fds: clientsOf(connections) };
    },
  };
}

const MERGEABLE =
  'its memory may be merged with that of other VMs (KSM), and is private to its process: shut it down and start it again';
