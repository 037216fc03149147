import type { MachineRequest } from '../../devices/device.ts';
import { CounterBlocks } from '../counters/counter-blocks.ts';
import { shapeOf } from '../counters/counters.ts';
import { startVcpus } from '../cpu/machine-vcpus.ts';
import { VcpuGroup } from '../cpu/vcpu-group.ts';
import { EXIT, SYSTEM_EVENT } from '../kvm/constants.ts';
import { errnoName } from '../native/libc.ts';
import { NativeVm } from '../native/native.ts';
import { answerAccess } from './answer-exit.ts';
import type { MachineConfig } from './config.ts';
import { ConsolePorts } from './console-ports.ts';
import { describeExit } from './describe-exit.ts';
import { HostFiles } from './host-files.ts';
import { MachineLoop } from './loop.ts';
import { buildMachine, type Machine } from './machine.ts';
import type { ManagerLink } from './manager-link.ts';
import type { MachineCommand, MachineCommands, MachineEnd } from './messages.ts';
import type { MachineReport } from './report.ts';
import { SerialConsole } from './serial-console.ts';
import { mark, takeMarks } from './start-trace.ts';

/** How one boot of a machine ended: for good, or with a reset. */
export type RunEnd =
  | { readonly kind: 'reset'; readonly by: 'guest' | 'button' }
  | { readonly kind: 'ended'; readonly end: MachineEnd };

/** The kernel doesn't return a queue's thread from a request. What the request uses is released when it does. */
const LEFT_BEHIND =
  "the host's disk does not answer one of its requests; memory and disk are released when it does";

export type RunnerOptions = {
  readonly counters: BigUint64Array;
  readonly report: MachineReport;
  readonly link: Pick<ManagerLink, 'next' | 'flush' | 'attach'>;
  /** Opens the files of the first boot; null: this is the first. */
  readonly files?: HostFiles | null;
};

/**
 * One boot of a machine, from power-on to power-off or reset, on the machine thread. Everything it creates belongs to its
 * NativeVm, which `close` destroys.
 */
export class MachineRunner {
  readonly #report: MachineReport;
  readonly #link: RunnerOptions['link'];
  readonly #native: NativeVm;
  readonly #loop: MachineLoop;
  readonly #blocks: CounterBlocks;
  readonly #consoles: ConsolePorts;
  readonly files: HostFiles;
  /** The `pause` commands whose vCPUs haven't all paused. */
  readonly #pausing = new Set<number>();
  #machine: Machine | null = null;
  #onReboot: MachineConfig['onReboot'] = 'restart';
  #end: RunEnd | null = null;
  #hasExited = false;
  #pinning: readonly number[] = [];
  #topologyIsDue = false;

  constructor({ counters, report, link, files = null }: RunnerOptions) {
    const shape = shapeOf(counters);
    this.#report = report;
    this.#link = link;
    this.#native = new NativeVm(counters, shape);
    this.#loop = new MachineLoop(this.#native);
    this.#blocks = new CounterBlocks(counters, shape, () => this.#topologyChanged());
    this.files = files ?? new HostFiles(this.#native);
    files?.attach(this.#native);
    const send = (change: () => void) => {
      change();
      link.flush();
    };
    this.#consoles = new ConsolePorts(
      port =>
        new SerialConsole(
          bytes => send(() => report.printed(port, bytes)),
          this.#loop,
          bytes => send(() => report.inputTaken(port, bytes)),
        ),
    );
  }

  /** For a manager in the same process (native.ts). */
  get nativeVm(): number {
    return this.#native.handle;
  }

  /** @throws an error for the user if the configuration or this host is unsuitable */
  build(config: MachineConfig): void {
    const machine = buildMachine(config, {
      native: this.#native,
      loop: this.#loop,
      counters: this.#blocks,
      consoles: this.#consoles,
      files: this.files,
      request: request => this.#request(request),
      reportBroken: (device, reason) => {
        this.#report.broke(device, reason);
        this.#link.flush();
      },
      warn: text => {
        this.#report.happened('warning', text);
        this.#link.flush();
      },
      reportDiskErrors: (device, text) => {
        this.#report.diskFailed(device, text);
        this.#link.flush();
      },
    });
    this.#machine = machine;
    this.#onReboot = config.onReboot;
    this.#pinning = config.pin ?? [];
    this.#reportTopology(machine);
  }

  /** Starts the threads of its vCPUs, parked. A process is confined before that. @throws an error for the user */
  start({ pin = [] }: MachineConfig): void {
    startVcpus(this.#native, this.#machine!.vcpus, pin);
  }

  /** Runs the started machine to its end. @param idle called once, when it has had nothing to do for a while */
  run(idle = () => {}): RunEnd {
    const machine = this.#machine!;
    const vcpus = new VcpuGroup(this.#native, machine.vcpus.length);
    this.#resume(vcpus);
    const handleMessages = () => this.#handleMessages(machine, vcpus);
    const detach = this.#link.attach(this.#loop, handleMessages);
    try {
      // What came while it was being built.
      handleMessages();
      this.#loop.run({
        exit: index => this.#exit(machine, index),
        parked: index => vcpus.parked(index),
        vcpuEnded: (index, errno, died) => this.#vcpuEnded(index, errno, died),
        idle,
        queueBroken: handle => machine.queues.broken(handle),
        diskErrors: handle => machine.queues.diskErrors(handle),
        queueEnded: handle => machine.queues.ended(handle),
      });
    } finally {
      detach();
    }
    this.#consoles.flush();
    for (const id of this.#pausing) this.#report.reply(id, 'the machine was reset');
    this.#link.flush();
    return this.#end!;
  }

  /** Releases everything. */
  close(): void {
    // The last counts stay on screens.
    this.#blocks.keep();
    this.#native.requestStopOfAllQueues();
    for (const { device } of this.#machine?.chipset.devices ?? []) device.close?.();
    for (const slot of this.#native.stuckQueues) {
      const queue = this.#blocks.labels.queues.find(queue => queue.slot === slot);
      if (queue !== undefined) this.#report.broke(queue.device, LEFT_BEHIND);
    }
    this.#native.destroy();
  }

  #reportTopology({ chipset, vcpus }: Machine): void {
    this.#report.built({
      ...this.#blocks.labels,
      devices: chipset.labels,
      consoles: this.#consoles.labels,
      vcpus: vcpus.length,
      pinning: this.#pinning,
    });
  }

  /** A queue or range came or went; with a device there are many, which are reported together. */
  #topologyChanged(): void {
    const machine = this.#machine;
    if (machine === null || this.#topologyIsDue) return;
    this.#topologyIsDue = true;
    this.#loop.at(0n, () => {
      this.#topologyIsDue = false;
      this.#reportTopology(machine);
      this.#link.flush();
    });
  }

  #exit({ vcpus, buses }: Machine, index: number): void {
    const vcpu = vcpus[index]!;
    if (!this.#hasExited) this.#firstExit();
    if (!answerAccess(vcpu.run, buses)) {
      this.#unhandledExit(vcpu, index);
    } else if (this.#end === null) {
      this.#native.completeVcpu(index);
    }
  }

  /** Its first instruction that needs the machine, which soon follows the very first. */
  #firstExit(): void {
    this.#hasExited = true;
    mark('entry');
    const marks = takeMarks();
    if (marks !== null) this.#report.happened('info', marks);
  }

  /** Any exit other than a device access ends the machine. */
  #unhandledExit(vcpu: Machine['vcpus'][number], index: number): void {
    const { run } = vcpu;
    const event = run.exitReason === EXIT.SYSTEM_EVENT ? run.systemEvent.type : null;
    if (event === SYSTEM_EVENT.SHUTDOWN) this.#request({ kind: 'power-off' });
    else if (event === SYSTEM_EVENT.RESET) this.#request({ kind: 'reset' });
    else this.#crash(describeExit(vcpu, index));
  }

  #vcpuEnded(index: number, errno: number, died: boolean): void {
    const cause = died ? 'its thread died' : `KVM_RUN failed with ${errnoName(errno)}`;
    const error = this.#native.vcpuError(index);
    this.#crash({ reason: `vCPU ${index} ended: ${error === '' ? cause : error}`, detail: null });
  }

  #request(request: MachineRequest): void {
    switch (request.kind) {
      case 'power-off':
        this.#finish('the guest powered off');
        break;
      case 'exit':
        this.#finish(`the guest ended itself with code ${request.code}`, request.code);
        break;
      case 'crash':
        this.#crash({ reason: request.reason, detail: null });
        break;
      case 'reset':
        if (this.#onReboot === 'stop') this.#finish('the guest rebooted (on-reboot: stop)');
        else this.#stop({ kind: 'reset', by: 'guest' });
        break;
    }
  }

  #finish(reason: string, exitCode: number | null = null): void {
    this.#stop({ kind: 'ended', end: { crashed: false, reason, detail: null, exitCode } });
  }

  #crash({ reason, detail }: { reason: string; detail: string | null }): void {
    this.#stop({ kind: 'ended', end: { crashed: true, reason, detail, exitCode: null } });
  }

  /** Leaves the loop after the current event. The first reason wins. */
  #stop(end: RunEnd): void {
    this.#end ??= end;
    this.#loop.stop();
  }

  /** Leaves messages after a reset or a stop for the next boot, if there is one. */
  #handleMessages(machine: Machine, vcpus: VcpuGroup): void {
    while (this.#end === null) {
      const message = this.#link.next();
      if (message === null) break;
      switch (message.kind) {
        case 'input':
          this.#consoles.typed(message.port, message.bytes);
          break;
        case 'command':
          this.#command(machine, vcpus, message);
          break;
        case 'note':
          this.#report.noted(message.event);
          break;
        case 'build':
        case 'collected':
          break;
      }
    }
    this.#link.flush();
  }

  #command(machine: Machine, vcpus: VcpuGroup, command: MachineCommand & { readonly id: number }): void {
    const reply = (result: unknown = null) => this.#report.reply(command.id, null, result);
    switch (command.command) {
      case 'pause':
        this.#pausing.add(command.id);
        vcpus.pause(() => {
          this.#pausing.delete(command.id);
          this.#paused(machine, vcpus);
          reply();
          this.#link.flush();
        });
        break;
      case 'resume':
        this.#resume(vcpus);
        reply();
        break;
      case 'power-button':
        reply({ noticed: pressPowerButton(machine) } satisfies MachineCommands['power-button']['result']);
        break;
      case 'ping':
        reply();
        break;
      case 'reset':
        this.#stop({ kind: 'reset', by: 'button' });
        reply();
        break;
      case 'stop':
        this.#finish(command.arguments.reason);
        reply();
        break;
      default:
        this.#report.reply(
          (command as { id: number }).id,
          'this machine does not know that command: restart it',
        );
    }
  }

  #resume(vcpus: VcpuGroup): void {
    if (vcpus.running) return;
    vcpus.resume();
    this.#report.entered('running');
    this.#link.flush();
  }

  #paused(machine: Machine, vcpus: VcpuGroup): void {
    if (vcpus.running) return;
    for (const vcpu of machine.vcpus) vcpu.notePause();
    this.#report.entered('paused');
  }
}

/** @returns whether the guest notices it */
function pressPowerButton({ chipset: { powerButton } }: Machine): boolean {
  powerButton.press();
  return powerButton.enabled;
}
