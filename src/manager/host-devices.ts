import type { LenderOptions } from '../engine/host-devices/lender.ts';
import { journalDirectory } from '../host/plan/journal.ts';
import { hostLock } from './host-lock.ts';

/** How this process's VMs get host devices: under the lock that every change of the host takes. */
export function hostDevices(): LenderOptions {
  return { lock: hostLock(journalDirectory()) };
}
