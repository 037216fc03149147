import type { Cancel } from '../../devices/device.ts';
import { builtFile } from '../../project-root.ts';
import { counterShape } from '../counters/counter-shape.ts';
import { CounterLayout, writeHeader } from '../counters/counters.ts';
import { NativeVm } from '../native/native-vm.ts';
import type { MachineConfig } from './config.ts';
import type { MachineLoop } from './loop.ts';
import type { Incoming } from './manager-link.ts';
import type { MachineEnd } from './messages.ts';
import { MachineReport } from './report.ts';
import { runMachine } from './run-machine.ts';
import { atOnce } from './turns.ts';

const MiB = 2 ** 20;
/** The guest takes a few hundredths of that. */
const LIMIT_NS = 1_000_000_000n;

/** The embedded guest, which examines all devices, and ends. */
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
 * Builds a machine, runs it and destroys it. Code is compiled on its first run: machines built after this take a third
 * of the time. It leaves nothing behind, and ends early when there is something to read from `managerFd`.
 * @returns how it ended @throws if this host cannot run machines
 */
export function rehearse(managerFd: number): MachineEnd | null {
  const report = new MachineReport();
  const config = { ...CONFIG, boot: { ...CONFIG.boot, path: builtFile('guest.elf') } };
  return atOnce(runMachine(config, newCounters(), report, new RehearsalLink(managerFd, report), {}));
}

/** Same, for only the native side of a machine, which takes a hundredth of the time. */
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

/**
 * Replaces a link to a manager: it stops the machine when the manager wants one, or when the rehearsal takes too long.
 */
class RehearsalLink {
  readonly #managerFd: number;
  readonly #report: MachineReport;
  #over = false;

  constructor(managerFd: number, report: MachineReport) {
    this.#managerFd = managerFd;
    this.#report = report;
  }

  /** There is never another one. */
  readonly manager = 0;
  readonly reachable = true;

  next(): Incoming | null {
    if (!this.#over) return null;
    return { kind: 'command', id: 0, command: 'stop', arguments: { reason: 'the rehearsal is over' } };
  }

  listenAt(): void {}

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
