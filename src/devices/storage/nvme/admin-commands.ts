import { CompletionQueue } from './completion-queue.ts';
import type { EventRequests } from './event-requests.ts';
import { FEATURE, type Features } from './features.ts';
import type { GuestData } from './guest-data.ts';
import {
  CNS,
  type ControllerIdentity,
  identifyController,
  identifyNamespace,
  namespaceDescriptors,
  namespaceList,
  noNamespace,
} from './identify.ts';
import { LOG, type Logs } from './logs.ts';
import type { NvmeNamespace } from './namespace.ts';
import { flushAll } from './nvm-commands.ts';
import { ADMIN, ALL_NAMESPACES } from './opcodes.ts';
import type { Queues } from './queues.ts';
import { MAX_ENTRIES, MIN_ENTRIES } from './registers.ts';
import { type Complete, STATUS } from './status.ts';
import { SubmissionQueue } from './submission-queue.ts';
import type { SubmittedCommand } from './submitted-command.ts';

/** Bits of dword 11 of the commands that create a queue: it is contiguous, and it has interrupts. */
const [CONTIGUOUS, INTERRUPTS] = [1 << 0, 1 << 1];
/** RAE of Get Log Page: the event stays masked. */
const RETAIN_EVENT = 1 << 15;
/** The result of Abort: the command was not aborted. */
const NOT_ABORTED = 1;

/** A controller as its admin commands see it. */
export type AdminHost = {
  readonly identity: ControllerIdentity;
  readonly data: GuestData;
  readonly queues: Queues;
  readonly features: Features;
  readonly events: EventRequests;
  readonly logs: Logs;
  readonly namespaces: ReadonlyMap<number, NvmeNamespace>;
  /** The largest identifier of a namespace. */
  readonly lastNamespace: number;
  /** Pairs of queues for I/O, at most. */
  readonly maxQueues: number;
  /** Bytes of a page. */
  readonly page: () => number;
  /** Whether the driver has set the sizes of entries. */
  readonly hasEntrySizes: () => boolean;
  /** Vectors that a queue may have: one while the pin is in use. */
  readonly vectors: () => number;
  /** A queue is gone, or the mask of one has changed. */
  readonly interruptsChanged: () => void;
};

/** The admin commands of a controller (NVMe base 1.4 §5). */
export class AdminCommands {
  readonly #host: AdminHost;

  constructor(host: AdminHost) {
    this.#host = host;
  }

  execute(command: SubmittedCommand, complete: Complete): void {
    if (command.isFusedOrSgl) {
      complete(STATUS.invalidField);
      return;
    }
    switch (command.opcode) {
      case ADMIN.createCompletionQueue:
        complete(this.#createCompletionQueue(command));
        break;
      case ADMIN.createSubmissionQueue:
        complete(this.#createSubmissionQueue(command));
        break;
      case ADMIN.deleteCompletionQueue:
        complete(this.#deleteCompletionQueue(command));
        break;
      case ADMIN.deleteSubmissionQueue:
        this.#deleteSubmissionQueue(command, complete);
        break;
      case ADMIN.identify:
        complete(this.#identify(command));
        break;
      case ADMIN.getLogPage:
        complete(this.#getLogPage(command));
        break;
      case ADMIN.getFeatures: {
        const { status, result } = this.#host.features.get(command.dword(10), command.dword(11));
        complete(status, result);
        break;
      }
      case ADMIN.setFeatures:
        this.#setFeatures(command, complete);
        break;
      case ADMIN.abort:
        complete(STATUS.success, NOT_ABORTED);
        break;
      case ADMIN.eventRequest:
        this.#host.events.request(complete);
        break;
      default:
        complete(STATUS.invalidOpcode);
    }
  }

  /** §5.3. */
  #createCompletionQueue(command: SubmittedCommand): number {
    const { queues, vectors } = this.#host;
    const flags = command.dword(11);
    const problem = this.#problemOfQueue(command, queues.completion);
    if (problem !== STATUS.success) return problem;
    const vector = flags >>> 16;
    if (vector >= vectors()) return STATUS.invalidInterruptVector;
    const { id, entries } = queueOf(command);
    const hasInterrupts = (flags & INTERRUPTS) !== 0;
    const options = { id, base: command.prp1, entries, vector, hasInterrupts };
    queues.completion.set(id, new CompletionQueue(options));
    return STATUS.success;
  }

  /** §5.4. */
  #createSubmissionQueue(command: SubmittedCommand): number {
    const { queues, maxQueues } = this.#host;
    const problem = this.#problemOfQueue(command, queues.submission);
    if (problem !== STATUS.success) return problem;
    const completionId = command.dword(11) >>> 16;
    if (completionId === 0 || completionId > maxQueues) return STATUS.invalidQueueIdentifier;
    const completions = queues.completion.get(completionId);
    if (completions === undefined) return STATUS.invalidCompletionQueue;
    const { id, entries } = queueOf(command);
    queues.submission.set(id, new SubmissionQueue({ id, base: command.prp1, entries, completions }));
    return STATUS.success;
  }

  /** What is wrong with a queue to be created, as a status. */
  #problemOfQueue(command: SubmittedCommand, others: ReadonlyMap<number, unknown>): number {
    const { maxQueues, page, hasEntrySizes } = this.#host;
    const { id, entries } = queueOf(command);
    if (id === 0 || id > maxQueues || others.has(id)) return STATUS.invalidQueueIdentifier;
    if (entries < MIN_ENTRIES || entries > MAX_ENTRIES || !hasEntrySizes()) return STATUS.invalidQueueSize;
    if ((command.dword(11) & CONTIGUOUS) === 0) return STATUS.invalidField;
    if (command.prp1 % page() !== 0) return STATUS.invalidPrpOffset;
    // No memory is there, and sums would not be exact.
    return Number.isSafeInteger(command.prp1 + 2 ** 32) ? STATUS.success : STATUS.invalidField;
  }

  /** §5.5. */
  #deleteCompletionQueue(command: SubmittedCommand): number {
    const { queues, interruptsChanged } = this.#host;
    const { id } = queueOf(command);
    const queue = queues.completion.get(id);
    if (id === 0 || queue === undefined) return STATUS.invalidQueueIdentifier;
    if (queues.isUsed(queue)) return STATUS.invalidQueueDeletion;
    queues.completion.delete(id);
    interruptsChanged();
    return STATUS.success;
  }

  /** §5.6: the commands of the queue that have been taken end first; the others are dropped. */
  #deleteSubmissionQueue(command: SubmittedCommand, complete: Complete): void {
    const { submission } = this.#host.queues;
    const { id } = queueOf(command);
    const queue = submission.get(id);
    if (id === 0 || queue === undefined || queue.onIdle !== null) {
      complete(STATUS.invalidQueueIdentifier);
      return;
    }
    queue.onIdle = () => {
      submission.delete(id);
      complete(STATUS.success);
    };
    if (queue.active === 0) queue.onIdle();
  }

  /** §5.15. */
  #identify(command: SubmittedCommand): number {
    const { data, identity, lastNamespace, namespaces } = this.#host;
    const id = command.namespace;
    switch (command.dword(10) & 0xff) {
      case CNS.controller:
        return data.give(command, identifyController(identity, lastNamespace));
      case CNS.namespace: {
        if (id === 0 || id > lastNamespace) return STATUS.invalidNamespace;
        const namespace = namespaces.get(id);
        return data.give(command, namespace === undefined ? noNamespace() : identifyNamespace(namespace));
      }
      case CNS.activeNamespaces: {
        if (id >= ALL_NAMESPACES - 1) return STATUS.invalidNamespace;
        const ids = [...namespaces.keys()].filter(other => other > id).sort((a, b) => a - b);
        return data.give(command, namespaceList(ids));
      }
      case CNS.descriptors: {
        if (id === 0 || id > lastNamespace) return STATUS.invalidNamespace;
        const namespace = namespaces.get(id);
        if (namespace === undefined) return STATUS.invalidField;
        return data.give(command, namespaceDescriptors(namespace));
      }
      default:
        return STATUS.invalidField;
    }
  }

  /** §5.14. */
  #getLogPage(command: SubmittedCommand): number {
    const { data, logs, events, features } = this.#host;
    const selector = command.dword(10);
    const id = selector & 0xff;
    const page = logs.page(id, features.isTemperatureReported);
    if (page === null) return STATUS.invalidLogPage;
    // The SMART log is the controller's.
    const isOfOne = command.namespace !== 0 && command.namespace !== ALL_NAMESPACES;
    if (id === LOG.smart && isOfOne) return STATUS.invalidField;
    const offset = command.qword(12);
    if (offset % 4 !== 0 || offset >= page.length) return STATUS.invalidField;
    const dwords = (selector >>> 16) + (command.dword(11) & 0xffff) * 2 ** 16 + 1;
    const status = data.give(command, page.subarray(offset, offset + 4 * dwords));
    if (status !== STATUS.success) return status;
    logs.read(id);
    if ((selector & RETAIN_EVENT) === 0) events.logRead(id);
    return status;
  }

  /** §5.21. */
  #setFeatures(command: SubmittedCommand, complete: Complete): void {
    const { features, queues, events, namespaces } = this.#host;
    const selector = command.dword(10);
    const hasQueues = queues.submission.size > 1 || queues.completion.size > 1;
    const { status, result } = features.set(selector, command.dword(11), hasQueues);
    if (status !== STATUS.success) {
      complete(status);
      return;
    }
    switch (selector & 0xff) {
      case FEATURE.writeCache:
        for (const namespace of namespaces.values()) namespace.setWriteCache(features.hasWriteCache);
        // What it has is written when it is turned off.
        if (!features.hasWriteCache) {
          flushAll(namespaces.values(), complete);
          return;
        }
        break;
      case FEATURE.temperatureThreshold:
      case FEATURE.eventConfiguration:
        if (features.isTemperatureReported) events.raise('temperature', features.eventConfiguration);
        break;
    }
    complete(status, result);
  }
}

/** The identifier of a queue, and its entries. */
function queueOf(command: SubmittedCommand): { readonly id: number; readonly entries: number } {
  const value = command.dword(10);
  return { id: value & 0xffff, entries: (value >>> 16) + 1 };
}
