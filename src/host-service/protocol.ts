import type { MessagePort, Worker } from 'node:worker_threads';
import type { HostNetworks } from '../host/networks/host-networks.ts';
import type { Assessment, PassthroughRequest } from '../host/passthrough/assessment.ts';
import type { PciDetails } from '../host/pci/details.ts';
import type { PciFunction } from '../host/pci/function.ts';
import type { Outcome, Waiting } from '../host/plan/apply.ts';
import type { Plan } from '../host/plan/plan.ts';
import type { UndoOutcome } from '../host/plan/run.ts';
import type { StepState } from '../host/plan/step-states.ts';
import type { HostPart } from './delta.ts';
import type { HostImages } from './images.ts';
import type { LastPlan, ShownPlan } from './plans.ts';
import type { PlanRequest } from './requests.ts';
import type { HostUsage } from './usage.ts';

/** What is read and sent for one function at a time. */
export type FunctionDetails = PciDetails & Pick<PciFunction, 'regions' | 'capabilities'>;

/** Calls of the UI to the host thread, and their results. */
export type HostCalls = {
  details: { argument: string; result: FunctionDetails | null };
  plan: { argument: PlanRequest; result: Plan };
  /** What VMs can be connected to, as it is now. */
  networks: { argument: null; result: HostNetworks };
  /** Disk images: of definitions, in known folders, and the files that are given here. */
  images: { argument: readonly string[]; result: HostImages };
  /** Whether functions can be passed to a VM, and what it takes. */
  assess: { argument: PassthroughRequest; result: Assessment };
  /** Reports its progress. */
  apply: { argument: ShownPlan; result: Outcome };
  /** The plan that can be undone. */
  lastPlan: { argument: null; result: LastPlan };
  /** Of a journal entry, by its id. */
  undo: { argument: string; result: UndoOutcome };
};
export type HostCall = keyof HostCalls;

/** Calls that change the host: they must not be interrupted. */
export const CHANGING_CALLS: readonly HostCall[] = ['apply', 'undo'];

export type ToHostThread =
  /** Whether to keep the UI up to date. */
  | { readonly kind: 'watch'; readonly on: boolean }
  /** Sample usage at this interval in milliseconds; null stops it. */
  | { readonly kind: 'usage'; readonly intervalMs: number | null }
  /** Read everything now. */
  | { readonly kind: 'refresh' }
  | { readonly kind: 'call'; readonly id: number; readonly call: HostCall; readonly argument: unknown };

/** The number of functions read, and the total. */
export type ReadProgress = { readonly read: number; readonly total: number };

export type FromHostThread =
  | { readonly kind: 'part'; readonly part: HostPart }
  | { readonly kind: 'usage'; readonly usage: HostUsage }
  /** Progress of the first read: functions sent, and the total. */
  | { readonly kind: 'reading'; readonly progress: ReadProgress }
  /** All parts of a difference have been sent. */
  | { readonly kind: 'read' }
  | {
      readonly kind: 'progress';
      readonly id: number;
      readonly steps: readonly StepState[];
      readonly waiting: Waiting | null;
    }
  | { readonly kind: 'answer'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string };

/** One end of a channel. */
export type Channel = Worker | MessagePort;
