import { formatRegisters } from '../cpu/vcpu-dump.ts';
import { EXIT, INTERNAL_ERROR } from '../kvm/constants.ts';
import type { RunPage } from '../kvm/run-page.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import { SystemError } from '../native/libc.ts';

/** Why vCPU `index` could not continue: a sentence, and its registers. */
export function describeExit(vcpu: VcpuFd, index: number): { reason: string; detail: string | null } {
  return { reason: `${sentence(vcpu.run)} on vCPU ${index}`, detail: registers(vcpu, index) };
}

function sentence(run: RunPage): string {
  switch (run.exitReason) {
    case EXIT.SHUTDOWN:
      return 'triple fault: an exception while the guest could not handle exceptions';
    case EXIT.INTERNAL_ERROR:
      return internalError(run);
    case EXIT.FAIL_ENTRY: {
      const { reason, cpu } = run.failEntry;
      return `the hardware refused to enter the guest (reason 0x${reason.toString(16)}, host CPU ${cpu})`;
    }
    case EXIT.SYSTEM_EVENT:
      return `KVM reported system event ${run.systemEvent.type}`;
    case EXIT.UNKNOWN:
      return `KVM does not know the hardware's exit reason 0x${run.hardwareExitReason.toString(16)}`;
    default:
      return `KVM exit ${exitName(run.exitReason)}, which vring does not handle,`;
  }
}

function internalError(run: RunPage): string {
  const { suberror, data, instruction } = run.internalError;
  const kind = Object.entries(INTERNAL_ERROR).find(([, value]) => value === suberror)?.[0];
  const what = `KVM internal error ${suberror}${kind === undefined ? '' : ` (${kind.toLowerCase()})`}`;
  if (suberror === INTERNAL_ERROR.EMULATION) {
    const bytes = instruction === null ? '' : `: ${Buffer.from(instruction).toString('hex')}`;
    return `${what}: KVM cannot emulate an instruction of the guest${bytes}`;
  }
  const words = data.map(word => `0x${word.toString(16)}`).join(' ');
  return words === '' ? what : `${what}, data ${words},`;
}

function exitName(reason: number): string {
  return Object.entries(EXIT).find(([, value]) => value === reason)?.[0] ?? String(reason);
}

/** A failure to read the registers must not hide the reason for the dump. */
function registers(vcpu: VcpuFd, index: number): string | null {
  try {
    return formatRegisters(index, vcpu.getRegs(), vcpu.getSregs());
  } catch (error) {
    if (error instanceof SystemError) return `registers: ${error.message}`;
    throw error;
  }
}
