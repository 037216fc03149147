import { LocalEngine } from '../engine/local-engine.ts';
import type { Machines } from '../engine/machines/machine.ts';
import { mainThreadMachines } from '../engine/machines/main-thread-machine.ts';
import { threadMachines } from '../engine/machines/thread-machine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { announceStarted } from '../files/program-started.ts';
import { hostDevices } from '../manager/host-devices.ts';
import { managerPaths, variablesFolder } from '../manager/paths.ts';
import { lockName } from '../manager/vm-lock.ts';
import { outputFailure, printError } from '../text/output.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { mark, TRACE, takeMarks, tracing } from '../vmm/machine/start-trace.ts';
import type { VncSettings } from '../vmm/machine/vnc-settings.ts';
import { insistOnSignals } from '../vmm/native/signals.ts';
import type { VncServer } from '../vnc/server.ts';
import { endingSignal } from './ending-signal.ts';
import { reportEnd } from './report-end.ts';
import { withMachineOf } from './run-config.ts';
import type { RunOptions } from './run-options.ts';
import { joinConsole } from './terminal-console.ts';

/**
 * `vring run` with the VM in this process.
 * @returns the exit status: the guest's own code, 0 after a power-off, 1 after a crash, a signal's if one ended it
 */
export function runVm(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
): Promise<number> {
  // A default name (from the kernel) is not locked, so that several such VMs can run.
  const place = options.name === undefined ? {} : { takePlace: lockName };
  const variables = options.name === undefined ? {} : { variables: variablesFolder(managerPaths().state) };
  return withMachineOf(words, options, given, config =>
    run(
      new LocalEngine({
        ...place,
        ...variables,
        hostDevices: hostDevices(),
        machines: machinesFor(config),
      }),
      config,
    ),
  );
}

/**
 * Where its machine runs. It starts sooner on this thread, but code of users may never return, and pictures for VNC clients
 * take their time: neither should hold up the other.
 */
function machinesFor({ deviceModules = [], vnc }: MachineConfigInput): Machines {
  return deviceModules.length > 0 || vnc !== undefined ? threadMachines : mainThreadMachines;
}

async function run(engine: LocalEngine, config: MachineConfigInput): Promise<number> {
  const ended = Promise.withResolvers<VmInfo>();
  engine.subscribe(event => {
    if (event.kind === 'vm' && !isAlive(event.vm)) ended.resolve(event.vm);
    if (tracing && event.kind === 'log' && event.entry.text.startsWith(TRACE)) printError(event.entry.text);
  });
  mark('command');
  const id = await engine.start(config);
  announceStarted();
  const vnc = config.vnc === undefined ? null : await vncBeside(engine, id, config.vnc);
  if (process.stdin.isTTY) printError(`vring: ${config.name} is running; Ctrl-] quits and kills it`);
  // Before the guest prints: a program that reads its output may send a signal immediately.
  const signal = endingSignal();
  insistOnSignals();
  const joined = joinConsole(engine, id);
  const marks = takeMarks();
  if (marks !== null) printError(marks);
  const outcome = await Promise.race([ended.promise, joined.left, signal.status]);
  vnc?.close();
  // The terminal is restored, and a signal ends vring immediately even if the VM takes long to end.
  joined.restore();
  signal.ignore();
  await engine.close();
  if (typeof outcome !== 'number') return reportEnd(outcome);
  printError(`\nvring: killed ${config.name}`);
  if (outputFailure() !== null) return 1;
  // Do not wait for output to be read after the user quit.
  process.exit(outcome);
}

/** Starts the VNC server in this process, like the VM. @returns null if it cannot start, after printing why */
async function vncBeside(engine: LocalEngine, id: string, settings: VncSettings): Promise<VncServer | null> {
  const { startVnc } = await import('./vm/vnc.ts');
  try {
    const vm = engine.vms().find(each => each.id === id)!;
    const server = await startVnc(engine, vm, settings);
    printError(`vring: VNC at ${server.address}`);
    return server;
  } catch (error) {
    printError(`vring: no VNC: ${(error as Error).message}`);
    return null;
  }
}
