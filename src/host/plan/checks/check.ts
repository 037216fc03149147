import type { PciFunction } from '../../pci/function.ts';
import type { DeviceUsers } from '../../use/device-users.ts';
import type { Check, CheckCode } from '../plan.ts';
import type { HostSurvey } from '../survey.ts';

/** The subject of a check: a function taken from its driver, and the rest of the plan. */
export type Subject = {
  readonly survey: HostSurvey;
  readonly fn: PciFunction;
  /** The function's new driver. */
  readonly driver: string;
  /** Addresses of all functions that the plan takes from the host. */
  readonly taken: ReadonlySet<string>;
  /** Processes that have device files of these functions and their VFs open. */
  readonly users: DeviceUsers;
};

export function ok(code: CheckCode, subject: string | null, reason: string): Check {
  return { level: 'ok', code, subject, reason, forceable: true };
}

export function warn(code: CheckCode, subject: string | null, reason: string): Check {
  return { level: 'warn', code, subject, reason, forceable: true };
}

/** A risk that --force accepts. */
export function block(code: CheckCode, subject: string | null, reason: string): Check {
  return { level: 'block', code, subject, reason, forceable: true };
}

/** What the kernel or the hardware refuses or never completes: --force does not help. */
export function impossible(code: CheckCode, subject: string | null, reason: string): Check {
  return { level: 'block', code, subject, reason, forceable: false };
}
