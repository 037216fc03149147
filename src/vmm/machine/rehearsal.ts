import type { Cancel } from '../../devices/device.ts';
import { builtFile } from '../../project-root.ts';
import { counterShape } from '../counters/counter-shape.ts';
import { CounterLayout, writeHeader } from '../counters/counters.ts';
import { NativeVm } from '../native/native.ts';
import type { MachineConfig } from './config.ts';
import type { MachineLoop } from './loop.ts';
import type { Incoming } from './manager-link.ts';
import type { MachineEnd } from './messages.ts';
import { MachineReport } from './report.ts';
import { runMachine } from './run-machine.ts';

const MiB = 2 ** 20;
/** The guest takes a few hundredths of that. */
const LIMIT_NS = 1_000_000_000n;

/** The embedded guest, which looks at all devices, and ends. */
const CONFIG: MachineConfig = {
  name: 'rehearsal',
  cpus: 1,
  memory: { bytes: 4 * MiB, mergeable: false },
  numa: [],
  boot: { kind: 'kernel', path: '', modules: [], append: 'quiet run="exit 0"' },
  devices: [{ type: 'virtio-rng' }],
  deviceModules: [],
  cpuFeatures: { add: [], remove: [] },
  cpuEnforce: false,
  hideHypervisor: false,
  onReboot: 'stop',
  rootPorts: { at: [], count: 0 },
  confine: 'default',
};

/**
 * Builds a machine, runs it and destroys it. Code is compiled when it runs first: a machine that is built after this is built in a
 * third of the time. Nothing of it is left. It ends early when there is something to read from `managerFd`.
 * @returns how it ended @throws when this host can run no machine
 */
export function rehearse(managerFd: number): MachineEnd | null {
  const report = new MachineReport();
  const config = { ...CONFIG, boot: { ...CONFIG.boot, path: builtFile('guest.elf') } };
  return runMachine(config, newCounters(), report, new RehearsalLink(managerFd, report), {});
}

/** The same for the native side of a machine alone, which takes a hundredth of the time. */
export function rehearseNative(): void {
  const counters = newCounters();
  new NativeVm(counters, counterShape(CONFIG)).destroy();
}

function newCounters(): BigUint64Array {
  const shape = counterShape(CONFIG);
  const counters = new BigUint64Array(new SharedArrayBuffer(new CounterLayout(shape).bytes));
  writeHeader(counters, shape);
  return counters;
}

/** In place of a link to a manager: it stops the machine when the manager wants one, or when that takes too long. */
class RehearsalLink {
  readonly #managerFd: number;
  readonly #report: MachineReport;
  #over = false;

  constructor(managerFd: number, report: MachineReport) {
    this.#managerFd = managerFd;
    this.#report = report;
  }

  /** There is no other one. */
  readonly manager = 0;
  readonly reachable = true;

  next(): Incoming | null {
    if (!this.#over) return null;
    return { kind: 'command', id: 0, command: 'stop', arguments: { reason: 'the rehearsal is over' } };
  }

  takeFd(): null {
    return null;
  }

  flush(): void {
    while (this.#report.next() !== null);
  }

  attach(loop: MachineLoop, onMessages: () => void): Cancel {
    const end = () => {
      this.#over = true;
      onMessages();
    };
    loop.watchFd(this.#managerFd, false, end);
    const cancel = loop.at(loop.now() + LIMIT_NS, end);
    return () => {
      cancel();
      loop.unwatchFd(this.#managerFd);
    };
  }
}
