import { closeSync } from 'node:fs';
import { version } from '../../project-root.ts';
import type { Cgroup } from '../../vmm/confinement/cgroup.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import { allowLocking } from '../host-devices/memlock.ts';
import {
  type Death,
  hostDevicesOf,
  type Launch,
  type Machine,
  type Machines,
  restoreOf,
  wiresOf,
} from './machine.ts';
import { MachineCgroups } from './machine-cgroups.ts';
import { machineCodeWasReplaced } from './machine-code.ts';
import { MachineConnection } from './machine-connection.ts';
import { killedForMemory, MachineProcess } from './machine-process.ts';
import { isHeld, type ProcessWatch, whyStuck } from './process-watch.ts';

/** A machine in its own process. */
export class ProcessMachine implements Machine {
  readonly version: string | null;
  readonly connection: MachineConnection | null;
  readonly gone: Promise<Death | null>;
  readonly #process: Pick<MachineProcess, 'pid' | 'signal'>;

  /**
   * @param connection null for an earlier manager's machine that has not answered yet
   * @param death resolves with how the process died, once it is gone
   * @param version of the vring that runs it; default: this one
   */
  constructor(
    process: Pick<MachineProcess, 'pid' | 'signal'>,
    connection: MachineConnection | null,
    death: Promise<Death | null>,
    ranBy: string | null = version(),
  ) {
    this.version = ranBy;
    this.#process = process;
    this.connection = connection;
    this.gone = connection === null ? death : this.#whenGone(connection, death);
  }

  get pid(): number {
    return this.#process.pid;
  }

  destroy(): void {
    this.#process.signal('SIGKILL');
  }

  isHeld(): boolean {
    return isHeld(this.pid);
  }

  whyStuck(): string {
    return whyStuck(this.pid);
  }

  async #whenGone(connection: MachineConnection, death: Promise<Death | null>): Promise<Death | null> {
    const violation = await connection.closed;
    // A machine that violates the protocol cannot be trusted with anything.
    if (violation !== null) this.destroy();
    const died = await death;
    return violation === null ? died : { reason: `its process was killed: ${violation}`, detail: null };
  }
}

/**
 * How a process that is not a child of this one ended; only its cgroup may know.
 * @param cgroup removed with it
 */
export async function deathOfStranger(process: ProcessWatch, cgroup: Cgroup | null): Promise<Death> {
  await process.exited;
  const outOfMemory = cgroup?.outOfMemory() ?? null;
  void cgroup?.remove();
  const reason =
    outOfMemory === null ? `its process ${process.pid} died` : killedForMemory(process.pid, outOfMemory);
  return { reason, detail: null };
}

/** Machines in their own processes: they keep running when this process ends. */
export class ProcessMachines implements Machines {
  readonly #cgroups: MachineCgroups;
  #spare: MachineProcess | null = null;

  constructor(cgroups = new MachineCgroups()) {
    this.#cgroups = cgroups;
  }

  warm(): void {
    try {
      this.#spare ??= this.#start(true);
    } catch {
      // The next launch reports why.
    }
  }

  launch(launch: Launch): Machine {
    const { config } = launch;
    const process = this.#processFor(config);
    try {
      return this.#give(process, launch);
    } catch (error) {
      void process.end();
      throw error;
    }
  }

  #give(process: MachineProcess, launch: Launch): Machine {
    const { config, countersFd, registration, takeOver, restore, hostDevices, wires } = launch;
    registration?.started(process.pid, launch);
    const last = takeOver ?? registration?.lock;
    const restored = restoreOf(restore);
    const given = hostDevicesOf(hostDevices);
    if (given.fds.length > 0) allowLocking(process.pid, config.memory.bytes);
    const networks = wiresOf(wires);
    const listener = registration === null ? [] : [registration.listener];
    const fds = [countersFd, ...restored.fds, ...given.fds, ...networks.fds, ...listener];
    if (last !== undefined) fds.push(last);
    const layers = this.#cgroups.explain(process.limitTo(config));
    const uid = registration?.uid ?? null;
    const user = uid === null ? null : { uid, gid: uid };
    const build = {
      kind: 'build',
      config,
      token: registration?.token ?? '',
      layers,
      user,
      takeOver: takeOver !== undefined,
      ...restored.message,
      ...given.message,
      ...networks.message,
    } as const;
    const socket = process.takeSocket();
    try {
      const connection = MachineConnection.open(socket, build, fds);
      return new ProcessMachine(process, connection, process.death());
    } catch (error) {
      closeSync(socket);
      throw error;
    }
  }

  whyNotUpgraded(): string | null {
    if (!machineCodeWasReplaced()) return null;
    return `vring has been reinstalled since this manager (process ${process.pid}, vring ${version()}) was started: replace it first with vring manager restart, which keeps the VMs running`;
  }

  async cool(): Promise<void> {
    const spare = this.#spare;
    this.#spare = null;
    await spare?.end();
  }

  /** They keep running without this process. */
  abandon(): void {}

  #processFor({ confine }: MachineConfig): MachineProcess {
    if (confine === 'off') return this.#start(false);
    const spare = this.#spare;
    this.#spare = null;
    return spare?.alive ? spare : this.#start(true);
  }

  #start(confined: boolean): MachineProcess {
    return new MachineProcess({ confined, cgroup: this.#cgroups.create() });
  }
}
