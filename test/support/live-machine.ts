import type { TerminalSize } from '../../src/devices/backends/char.ts';
import { builtFile } from '../../src/project-root.ts';
import type { GivenWire } from '../../src/vmm/backends/net/given-wires.ts';
import { CounterBlocks } from '../../src/vmm/counters/counter-blocks.ts';
import { CounterLayout } from '../../src/vmm/counters/counters.ts';
import { answerAccess } from '../../src/vmm/machine/answer-exit.ts';
import { type MachineConfigInput, parseMachineConfig } from '../../src/vmm/machine/config.ts';
import { ConsolePorts } from '../../src/vmm/machine/console-ports.ts';
import { describeExit } from '../../src/vmm/machine/describe-exit.ts';
import { HostFiles } from '../../src/vmm/machine/host-files.ts';
import { Machine } from '../../src/vmm/machine/life-cycle.ts';
import { MachineLoop } from '../../src/vmm/machine/loop.ts';
import { buildMachine } from '../../src/vmm/machine/machine.ts';
import { SerialConsole } from '../../src/vmm/machine/serial-console.ts';
import { atOnce } from '../../src/vmm/machine/turns.ts';
import { NativeVm } from '../../src/vmm/native/native-vm.ts';
import { requestStopOfAllQueues } from '../../src/vmm/native/queues.ts';
import { allocateCounters } from './counters.ts';

const MiB = 2 ** 20;
const SHAPE = { vcpus: 4, queues: 16, regions: 64, statistics: 16 };

/**
 * The embedded guest in a machine on the test's own thread: its loop runs in `run`. Machines may run inside each
 * other's callbacks.
 */
export class LiveMachine {
  readonly native: NativeVm;
  readonly loop: MachineLoop;
  readonly machine: Machine;
  readonly files: HostFiles;
  readonly #consoles: ConsolePorts;
  readonly #counters: BigUint64Array;
  readonly #blocks: CounterBlocks;
  /** What the guest has printed, but for what its consoles still hold: see `flush`. */
  output = '';
  /** The same, by console. */
  readonly printed: string[] = [];
  /** Called after the guest has printed. */
  onPrinted = () => {};
  /** Why it has ended. */
  ended: string | null = null;
  /** The guest's requests, other than to end. */
  readonly requests: string[] = [];

  /**
   * Builds it and starts its vCPUs, parked. @param append the guest's command line. @param
   * wires what its manager would open
   */
  constructor(append: string, options: Partial<MachineConfigInput> = {}, wires: readonly GivenWire[] = []) {
    const counters = allocateCounters(SHAPE);
    this.#counters = counters;
    this.#blocks = new CounterBlocks(counters, SHAPE);
    this.native = new NativeVm(counters, SHAPE);
    this.loop = new MachineLoop(this.native);
    const config = parseMachineConfig({
      name: 'guest',
      memory: { bytes: 32 * MiB },
      boot: { kind: 'kernel', path: builtFile('guest.elf'), append },
      ...options,
    });
    const print = (port: number) => (bytes: Uint8Array) => {
      const text = Buffer.from(bytes).toString('latin1');
      this.output += text;
      this.printed[port] = (this.printed[port] ?? '') + text;
      this.onPrinted();
    };
    this.#consoles = new ConsolePorts(port => new SerialConsole(print(port), this.loop));
    this.files = new HostFiles(this.native);
    this.files.giveWires(wires);
    const parts = buildMachine(config, {
      native: this.native,
      loop: this.loop,
      counters: this.#blocks,
      consoles: this.#consoles,
      files: this.files,
      origin: { kind: 'boot' },
      request: request => {
        if (request.kind === 'sleep') this.machine.sleep();
        if (['reset', 'sleep', 'wake'].includes(request.kind)) this.requests.push(request.kind);
        else this.end(request.kind);
      },
      reportBroken: (device, reason) => this.end(`${device}: ${reason}`),
      reportDiskErrors: (device, text) => this.requests.push(`${device}: ${text}`),
      pauseForDisk: (device, reason) => this.requests.push(`${device} pauses it: ${reason}`),
      requestUnplug: (device, reason) => this.requests.push(`${device}: ${reason}`),
      warn: text => this.end(text),
    });
    this.machine = new Machine(parts);
    this.machine.startThreads(config.pin ?? []);
  }

  /** A counter's sum over all queues of a device. @param word of `QUEUE` */
  counted(device: string, word: number): number {
    const layout = new CounterLayout(SHAPE);
    const queues = this.#blocks.labels.queues.filter(queue => queue.device === device);
    return queues.reduce((sum, { slot }) => sum + Number(this.#counters[layout.queue(slot) + word]), 0);
  }

  get ram() {
    return this.machine.parts.ram;
  }

  /** The guest's output on the console of this name: other output may appear in the middle of its lines. */
  printedOn(name: string): string {
    return this.printed[this.#port(name)] ?? '';
  }

  /** Types into the console of this name. */
  type(name: string, text: string): void {
    this.#consoles.typed(this.#port(name), Buffer.from(text));
  }

  /** Sets the size of its user's terminal. */
  resize(name: string, size: TerminalSize): void {
    this.#consoles.resize(this.#port(name), size);
  }

  #port(name: string): number {
    return this.#consoles.labels.find(label => label.name.startsWith(name))!.port;
  }

  /** Adds what its consoles hold back, for milliseconds, to `output`. A copy or a reset of the guest needs it. */
  flush(): void {
    this.#consoles.flush();
  }

  /** Runs its loop until `end`. */
  run(): void {
    const { parts } = this.machine;
    const { queues } = parts;
    const running = this.loop.run({
      exit: index => {
        const vcpu = parts.vcpus.at(index);
        if (!answerAccess(vcpu.run, parts.buses)) this.end(describeExit(vcpu, index).reason);
        else if (this.ended === null) this.native.completeVcpu(index);
      },
      parked: index => this.machine.vcpuParked(index),
      vcpuEnded: index => this.end(`vCPU ${index}: ${this.native.vcpuError(index)}`),
      idle: () => {},
      queueBroken: handle => queues.broken(handle),
      diskErrors: handle => queues.diskErrors(handle),
      queueEnded: handle => queues.ended(handle),
    });
    atOnce(running);
    this.#consoles.flush();
  }

  /** Leaves its loop after the current event. The first reason is kept. */
  end(reason: string): void {
    this.ended ??= reason;
    this.loop.stop();
  }

  /** Calls back after it has run for `ms`. */
  after(ms: number, callback: () => void): void {
    this.loop.at(this.loop.now() + BigInt(Math.round(ms * 1e6)), callback);
  }

  close(): void {
    requestStopOfAllQueues(this.native.handle);
    for (const { device } of this.machine.parts.chipset.devices) device.close?.();
    this.native.destroy();
  }
}
