import type { MachineRequest } from '../../devices/device.ts';
import { AcpiPm } from '../../devices/legacy/acpi-pm.ts';
import type { RawDisks } from '../backends/open-disk.ts';
import { CounterBlocks } from '../counters/counter-blocks.ts';
import { shapeOf } from '../counters/counters.ts';
import { VcpuGroup } from '../cpu/vcpu-group.ts';
import { EXIT, SYSTEM_EVENT } from '../kvm/constants.ts';
import { errnoName } from '../native/libc.ts';
import { NativeVm } from '../native/native.ts';
import { answerAccess } from './answer-exit.ts';
import type { MachineConfig } from './config.ts';
import { describeExit } from './describe-exit.ts';
import { MachineLoop } from './loop.ts';
import { buildMachine, type Machine } from './machine.ts';
import type { FromMachine, MachineCommand, MachineEnd, ToMachine } from './messages.ts';
import { SerialConsole } from './serial-console.ts';

/** How one boot of a machine ended: for good, or with a reset. */
export type RunEnd = { readonly kind: 'reset' } | { readonly kind: 'ended'; readonly end: MachineEnd };

/** The channel to the main thread. `next` returns its oldest unread message, null if there is none. */
export type MachinePort = {
  post(message: FromMachine): void;
  next(): ToMachine | null;
};

/**
 * One boot of a machine, from power-on to power-off or reset, on the machine thread. Everything it creates belongs to its
 * NativeVm, which `close` destroys.
 */
export class MachineRunner {
  readonly #port: MachinePort;
  readonly #native: NativeVm;
  readonly #loop: MachineLoop;
  readonly #blocks: CounterBlocks;
  readonly #console: SerialConsole;
  readonly #rawDisks: RawDisks;
  /** The `pause` commands whose vCPUs haven't all paused. */
  readonly #pausing = new Set<number>();
  #machine: Machine | null = null;
  #onReboot: MachineConfig['onReboot'] = 'restart';
  #end: RunEnd | null = null;

  /** @param rawDisks the raw disks of previous boots */
  constructor(counters: BigUint64Array, port: MachinePort, rawDisks: RawDisks = new Set()) {
    const shape = shapeOf(counters);
    this.#port = port;
    this.#rawDisks = rawDisks;
    this.#native = new NativeVm(counters, shape);
    this.#loop = new MachineLoop(this.#native);
    this.#blocks = new CounterBlocks(counters, shape);
    this.#console = new SerialConsole(
      bytes => port.post({ kind: 'console', bytes }),
      this.#loop,
      bytes => port.post({ kind: 'input-taken', bytes }),
    );
    port.post({ kind: 'created', vm: this.#native.handle });
  }

  /** @throws an error for the user if the configuration or this host is unsuitable */
  build(config: MachineConfig): void {
    const machine = buildMachine(config, {
      native: this.#native,
      loop: this.#loop,
      counters: this.#blocks,
      console: this.#console,
      rawDisks: this.#rawDisks,
      request: request => this.#request(request),
      reportBroken: (device, reason) => this.#port.post({ kind: 'broken', device, reason }),
    });
    this.#machine = machine;
    this.#onReboot = config.onReboot;
    const { pin = [] } = config;
    const topology = { ...this.#blocks.labels, devices: machine.labels, pinning: pin };
    this.#port.post({ kind: 'built', topology });
  }

  /** Runs the built machine to its end. */
  run(): RunEnd {
    const machine = this.#machine!;
    const vcpus = new VcpuGroup(this.#native, machine.vcpus.length);
    this.#resume(vcpus);
    this.#loop.run({
      exit: index => this.#exit(machine, index),
      parked: index => vcpus.parked(index),
      vcpuEnded: (index, errno, died) => this.#vcpuEnded(index, errno, died),
      queueBroken: handle => machine.queues.broken(handle),
      doorbell: () => this.#handleMessages(machine, vcpus),
    });
    this.#console.flush();
    for (const id of this.#pausing) this.#port.post({ kind: 'reply', id, error: 'the machine was reset' });
    return this.#end!;
  }

  /** Releases everything. */
  close(): void {
    for (const { close } of this.#machine?.devices ?? []) close?.();
    this.#native.destroy();
  }

  #exit({ vcpus, buses }: Machine, index: number): void {
    const vcpu = vcpus[index]!;
    if (!answerAccess(vcpu.run, buses)) {
      this.#unhandledExit(vcpu, index);
    } else if (this.#end === null) {
      this.#native.completeVcpu(index);
    }
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
        else this.#stop({ kind: 'reset' });
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
      const message = this.#port.next();
      if (message === null) return;
      if (message.kind === 'input') this.#console.onInput?.(message.bytes);
      if (message.kind === 'command') this.#command(machine, vcpus, message.command, message.id);
    }
  }

  #command(machine: Machine, vcpus: VcpuGroup, command: MachineCommand, id: number): void {
    const done = () => this.#port.post({ kind: 'reply', id, error: null });
    if (command === 'pause') {
      this.#pausing.add(id);
      vcpus.pause(() => {
        this.#pausing.delete(id);
        this.#paused(machine, vcpus, done);
      });
      return;
    }
    if (command === 'resume') this.#resume(vcpus);
    if (command === 'power-button') pressPowerButton(machine);
    if (command === 'reset') this.#stop({ kind: 'reset' });
    if (command === 'stop') this.#finish('it was stopped');
    done();
  }

  #resume(vcpus: VcpuGroup): void {
    if (vcpus.running) return;
    vcpus.resume();
    this.#port.post({ kind: 'state', state: 'running' });
  }

  #paused(machine: Machine, vcpus: VcpuGroup, done: () => void): void {
    if (!vcpus.running) {
      for (const vcpu of machine.vcpus) vcpu.notePause();
      this.#port.post({ kind: 'state', state: 'paused' });
    }
    done();
  }
}

function pressPowerButton({ devices }: Machine): void {
  for (const { device } of devices) if (device instanceof AcpiPm) device.pressPowerButton();
}
