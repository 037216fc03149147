import type { MachineEnd } from '../vmm/machine/messages.ts';
import { endsWithin } from './ends-within.ts';
import type { Death } from './machines/machine.ts';
import type { VmRun } from './vm-run.ts';

/** How long a machine may take to end on its own before it is destroyed. */
const STOP_TIMEOUT_MS = 1500;
/** A machine that is visibly held up by its host gets only this long. */
const HELD_TIMEOUT_MS = 250;
/**
 * How long destroying it may take before it is reported as stuck: on a busy host, the kernel takes a second to tear
 * down a VM.
 */
const DESTROY_TIMEOUT_MS = 1700;
export const STOPPED = 'it was stopped';

/** Asks the machine to end. @param gone resolves when it has @returns whether it has in time */
export async function endsOnRequest(run: VmRun, reason: string, gone: Promise<void>): Promise<boolean> {
  requestStop(run, reason);
  if (await endsWithin(gone, HELD_TIMEOUT_MS)) return true;
  // A machine that waits in the kernel, or was stopped by a signal, cannot respond.
  return !run.machine.isHeld() && (await endsWithin(gone, STOP_TIMEOUT_MS - HELD_TIMEOUT_MS));
}

/** Destroys the machine. @param gone resolves when it has ended @returns whether it has in time */
export async function endsByForce(run: VmRun, gone: Promise<void>): Promise<boolean> {
  run.destroy();
  return await endsWithin(gone, DESTROY_TIMEOUT_MS);
}

/**
 * If the machine ends before it answers, that is no failure. If it was handed over first, its new process is asked
 * again.
 */
function requestStop(run: VmRun, reason: string): void {
  const { machine } = run;
  if (machine.connection === null) return;
  run.command('stop', { reason }).catch(() => {
    if (run.machine !== machine) requestStop(run, reason);
  });
}

/** How a machine that is gone ended. @param wasForced whether it was destroyed on request */
export function howItEnded(
  { end, ending, hasRun }: VmRun,
  death: Death | null,
  wasForced: boolean,
): MachineEnd {
  // It had stopped when it was killed, and was only slow to be torn down.
  if (end === null && ending !== null) return ending;
  if (wasForced && (end === null || end.crashed)) {
    // While it is being built, a machine does not respond to anything.
    const reason = hasRun ? 'it was ended by force, because its machine did not respond' : STOPPED;
    return { crashed: false, reason, detail: null, exitCode: null };
  }
  if (end !== null) return end;
  const { reason, detail } = death ?? { reason: 'its machine ended without a reason', detail: null };
  return { crashed: true, reason, detail, exitCode: null };
}
