import { EXIT, SYSTEM_EVENT } from '../kvm/constants.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import { errnoName } from '../native/libc.ts';
import { answerAccess } from './answer-exit.ts';
import { describeExit } from './describe-exit.ts';
import type { Ending } from './ending.ts';
import type { MachineParts } from './machine-parts.ts';
import type { Notify } from './report.ts';
import { mark, takeMarks } from './start-trace.ts';
import { TripleFaults } from './triple-faults.ts';

export type VcpuExitsParts = {
  readonly machine: MachineParts;
  readonly ending: Ending;
  readonly notify: Notify;
};

/** Answers vCPUs' exits: accesses to devices, and any others, which end or reset the machine. */
export class VcpuExits {
  readonly #parts: VcpuExitsParts;
  readonly #tripleFaults = new TripleFaults();
  #hasExited = false;

  constructor(parts: VcpuExitsParts) {
    this.#parts = parts;
  }

  /** vCPU `index` has left the guest, and waits. */
  exit(index: number): void {
    const { machine, ending } = this.#parts;
    const vcpu = machine.vcpus.at(index);
    if (!this.#hasExited) this.#firstExit();
    if (!answerAccess(vcpu.run, machine.buses)) this.#unhandled(vcpu, index);
    if (ending.end === null) machine.native.completeVcpu(index);
  }

  /** The thread of vCPU `index` has ended. */
  ended(index: number, errno: number, died: boolean): void {
    const { machine, ending } = this.#parts;
    const cause = died ? 'its thread died' : `KVM_RUN failed with ${errnoName(errno)}`;
    const error = machine.native.vcpuError(index);
    ending.crash({ reason: `vCPU ${index} ended: ${error === '' ? cause : error}` });
  }

  /** Its first instruction that needs the machine, which comes soon after the very first. */
  #firstExit(): void {
    this.#hasExited = true;
    mark('entry');
    const marks = takeMarks();
    if (marks !== null) this.#parts.notify(report => report.happened('info', marks));
  }

  /** A triple fault resets a PC, but a machine that has booted a kernel directly is not one. */
  #tripleFault(vcpu: VcpuFd, index: number): void {
    const { machine, ending, notify } = this.#parts;
    if (!this.#tripleFaults.mayReset()) {
      const { reason, detail } = describeExit(vcpu, index);
      ending.crash({ reason: `the guest keeps resetting itself: ${reason}`, detail });
      return;
    }
    notify(report => report.happened('warning', `triple fault on vCPU ${index}: the machine is reset`));
    machine.services.request({ kind: 'reset' });
  }

  #unhandled(vcpu: VcpuFd, index: number): void {
    const { machine, ending } = this.#parts;
    const { request } = machine.services;
    const { run } = vcpu;
    const event = run.exitReason === EXIT.SYSTEM_EVENT ? run.systemEvent.type : null;
    if (event === SYSTEM_EVENT.SHUTDOWN) request({ kind: 'power-off' });
    else if (event === SYSTEM_EVENT.RESET) request({ kind: 'reset' });
    else if (run.exitReason === EXIT.SHUTDOWN && machine.chipset.q35 !== null) this.#tripleFault(vcpu, index);
    else ending.crash(describeExit(vcpu, index));
  }
}
