import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { disksFolder } from '../definitions/create/plan.ts';
import { DefinitionFileError } from '../definitions/files.ts';
import { DefinitionStore } from '../definitions/store.ts';
import { LocalEngine } from '../engine/local-engine.ts';
import { MachineCgroups } from '../engine/machines/machine-cgroups.ts';
import { keepMachineCode } from '../engine/machines/machine-code.ts';
import { ProcessMachines } from '../engine/machines/process-machine.ts';
import { ControlServer } from '../engine/remote/server.ts';
import { SnapshotStore } from '../engine/snapshots/store.ts';
import { version } from '../project-root.ts';
import { metricsNow } from '../report/metrics-now.ts';
import { codeCache, pruneCodeCache } from './code-cache.ts';
import { LockHeldError } from './file-lock.ts';
import { hostDevices } from './host-devices.ts';
import { whenIdle } from './idle.ts';
import { KeptReachable } from './kept-reachable.ts';
import { logoutWarning } from './kill-user-processes.ts';
import { cgroupsUnder } from './machines/cgroups.ts';
import { findMachines } from './machines/find.ts';
import { placesWith, sweepPlaces } from './machines/register.ts';
import type { UidRange } from './machines/uids.ts';
import { fileLog, stderrLog } from './manager-log.ts';
import type { MetricsAddress } from './metrics/address.ts';
import { MetricsServer } from './metrics/server.ts';
import { requireOpenFiles, residentBytes } from './open-files.ts';
import {
  ensurePrivateFolder,
  type ManagerPaths,
  managerPaths,
  tpmsFolder,
  variablesFolder,
} from './paths.ts';
import { type LastRun, RunningRecord, readLastRun } from './running-record.ts';
import { saveGuests } from './save-guests.ts';
import { notifySystemd } from './sd-notify.ts';
import { shutDownGuests } from './shut-down-guests.ts';
import { stopRequests, surviveExceptions } from './signals.ts';
import { thisUnit } from './unit.ts';
import { lockOwnership, type Ownership } from './vm-lock.ts';
import { VncPrograms } from './vnc-programs.ts';

/** How often the manager checks that its socket is still where clients look for it. */
const SOCKET_CHECK_MS = 5000;

export type ServeOptions = {
  /** Started by a client: logs to a file, does not autostart VMs, and ends when it is no longer used. */
  readonly background: boolean;
  /** How long guests may take to power off before they are killed, or to be saved. */
  readonly shutdownMs: number;
  /** Save VMs when the manager stops, instead of shutting them down; the next one starts them. */
  readonly saves: boolean;
  /** How long a background manager stays without VMs and clients. */
  readonly idleMs: number;
  readonly metrics: MetricsAddress | null;
  /** For a manager of root. */
  readonly uids: UidRange;
};

/**
 * Runs the manager until it is asked to stop.
 * @returns the exit status
 * @throws when another manager runs, or this one cannot listen
 */
export async function serve(options: ServeOptions): Promise<number> {
  const paths = managerPaths();
  requireOpenFiles();
  ensurePrivateFolder(paths.runtime);
  ensurePrivateFolder(paths.state);
  let ownership: Ownership;
  try {
    ownership = lockOwnership(paths);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    // Two clients started one at the same time: the other's will do.
    if (options.background) {
      const text = `this manager (process ${process.pid}) is not needed: ${error.message}`;
      fileLog(paths.log)({ number: 0, at: Date.now(), vm: null, level: 'info', text });
      return 0;
    }
    throw new Error(`${error.message}: attach to it with vring, or stop it with vring manager stop`);
  }
  try {
    return await manage(paths, options, ownership);
  } finally {
    ownership.release();
  }
}

async function manage(paths: ManagerPaths, options: ServeOptions, ownership: Ownership): Promise<number> {
  const { background, idleMs, metrics } = options;
  const lastRun = readLastRun(paths.state);
  const problems: { readonly vm: string | null; readonly text: string }[] = [];
  sweepPlaces(paths);
  const machines = findMachines(paths.machines, (vm, text) => problems.push({ vm, text }));
  const snapshots = {
    store: new SnapshotStore(join(paths.state, 'snapshots')),
    disks: disksFolder(paths.state),
  };
  snapshots.store.sweep();
  const found = new Set(machines.map(({ config }) => config.name));
  const engine = new LocalEngine({
    definitions: new DefinitionStore(),
    machines: new ProcessMachines(new MachineCgroups(() => cgroupsUnder(background ? null : thisUnit()))),
    takePlace: placesWith(options.uids),
    metrics: metricsNow,
    snapshots,
    variables: variablesFolder(paths.state),
    tpms: tpmsFolder(paths.state),
    hostDevices: hostDevices(),
    interrupted: lastRun.interrupted.filter(vm => !found.has(vm.name)),
  });
  const write = background ? fileLog(paths.log) : stderrLog();
  for (const entry of engine.log()) write(entry);
  engine.subscribe(event => {
    if (event.kind === 'log') write(event.entry);
  });
  if (lastRun.problem !== null) engine.note('error', lastRun.problem);
  for (const { vm, text } of problems) engine.note('error', text, vm);
  await engine.adopt(machines);
  void engine.recoverHostDevices();
  surviveExceptions(text => engine.note('error', text));
  const running = new RunningRecord(paths.state, engine, error =>
    engine.note('warning', `the record of running VMs cannot be written: ${error.message}`),
  );
  const metricsServer =
    metrics === null ? null : await MetricsServer.listen(metrics, format => engine.metrics(format));
  const stop = stopRequests(text => engine.note('info', text));
  const idle = background ? whenIdle(engine, idleMs) : null;
  const unit = background ? null : thisUnit();
  const server = new ControlServer(engine, {
    note: (level, text) => engine.note(level, text),
    clients: count => idle?.clients(count),
    introduced: () => readDefinitions(engine),
    status: () => ({
      pid: process.pid,
      version: version(),
      startedAt: engine.manager.startedAt,
      unit,
      socket: paths.socket,
      log: background ? paths.log : null,
      metrics: metricsServer?.url ?? null,
      memoryBytes: residentBytes(),
      clients: server.clients,
      stopping: engine.ending,
    }),
    stop: ({ resume = false, ...request }, terminal) => {
      if (resume) running.resumeLater();
      stop.request({ text: `${request.keepVms ? 'left' : 'stopped'} by ${terminal}`, ...request });
    },
  });
  // Clients that come later find no manager, and start another one.
  void idle?.reached.then(() => server.stopListening());
  await listen(server, paths);
  // They are clients of this manager.
  const vncPrograms = new VncPrograms(engine);
  const reachable = new KeptReachable({
    ...{ server, engine, ownership },
    socket: paths.socket,
    listen: () => listen(server, paths),
  });
  const socketCheck = setInterval(() => void reachable.check(), SOCKET_CHECK_MS);
  engine.note('info', `vring ${version()} (process ${process.pid}) listening at ${paths.socket}`);
  if (metricsServer !== null) engine.note('info', `serving metrics at ${metricsServer.url}`);
  const warning = background ? logoutWarning() : null;
  if (warning !== null) engine.note('warning', warning);
  notifySystemd('READY=1');
  outliveUpgrades(engine);
  void startVms(engine, lastRun, background);
  const cache = codeCache();
  if (cache !== null) void pruneCodeCache(cache);

  const reason = await Promise.race([stop.first, ...(idle === null ? [] : [idle.reached])]);
  engine.note('info', `ending: ${reason.text}`);
  engine.refuseStarts();
  clearInterval(socketCheck);
  vncPrograms.close();
  const timeoutMs = reason.timeoutMs ?? options.shutdownMs;
  notifySystemd(`STOPPING=1\nEXTEND_TIMEOUT_USEC=${(timeoutMs + 15_000) * 1000}`);
  if (reason.keepVms) {
    running.detach();
    await reachable.check();
    await engine.leaveRunning();
  } else {
    if (options.saves) await saveGuests(engine, { timeoutMs, hurry: stop.second });
    // Clients may watch their guests shut down.
    const killed = await shutDownGuests(engine, { timeoutMs, hurry: stop.second });
    if (killed.length > 0)
      engine.note('warning', `killed, because they did not shut down in time: ${killed.join(', ')}`);
    await engine.close();
    running.close();
  }
  metricsServer?.close();
  await server.close(reason.text);
  return 0;
}

/** An existing socket file is stale: this process has the lock. */
async function listen(server: ControlServer, { runtime, socket }: ManagerPaths): Promise<void> {
  ensurePrivateFolder(runtime);
  rmSync(socket, { force: true });
  await server.listen(socket);
}

function readDefinitions(engine: LocalEngine): void {
  try {
    engine.readDefinitions();
  } catch (error) {
    // Definitions can wait: the folder is watched, and read again when it changes.
    if (!(error instanceof DefinitionFileError)) throw error;
  }
}

/** Keeps files open that may be needed: an upgrade of vring replaces them while this manager keeps running. */
function outliveUpgrades(engine: LocalEngine): void {
  try {
    keepMachineCode();
  } catch (error) {
    const { message } = error as Error;
    engine.note('warning', `once vring is upgraded, this manager can start no more VMs: ${message}`);
  }
}

/**
 * Starts VMs one by one, so that each has the host to itself while it boots: those that the last manager saved or ran,
 * then autostart.
 */
async function startVms(engine: LocalEngine, { resume }: LastRun, background: boolean): Promise<void> {
  for (const { id } of engine.vms().filter(vm => vm.saved?.automatic)) {
    if (engine.ending) return;
    await startIfDown(engine, id);
  }
  for (const { name, config } of resume) {
    if (engine.ending) return;
    if (config === null) await startIfDown(engine, name);
    else
      await engine.start(config).catch(error => engine.note('error', `not resumed: ${error.message}`, name));
  }
  if (background) return;
  await engine.bringNetworksUp();
  for (const { id } of engine.vms().filter(vm => vm.autostart)) {
    if (engine.ending) return;
    await startIfDown(engine, id);
  }
}

/** It may have been started or removed while it waited for its turn. */
async function startIfDown(engine: LocalEngine, id: string): Promise<void> {
  const vm = engine.vms().find(vm => vm.id === id);
  if (vm?.state === 'off' || vm?.interrupted) await engine.startUnattended(id);
}
