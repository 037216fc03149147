import { BatchedWork } from '../../batched-work.ts';
import type { AccessSize, Device, DeviceState, IoHandler } from '../../device.ts';
import type { MachineServices } from '../../machine-services.ts';
import { Msix } from '../../pci/msix.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { PowerManagement } from '../../pci/power-management.ts';
import { stateOf } from '../../state.ts';
import { type Active, ActiveCommands, MAX_ACTIVE } from './active-commands.ts';
import { AdminCommands } from './admin-commands.ts';
import { CompletionQueue } from './completion-queue.ts';
import { type EventKind, EventRequests } from './event-requests.ts';
import { Features } from './features.ts';
import { GuestData } from './guest-data.ts';
import type { ControllerIdentity } from './identify.ts';
import { Interrupts } from './interrupts.ts';
import { Logs } from './logs.ts';
import type { NvmeNamespace } from './namespace.ts';
import { executeNvm, flushAll } from './nvm-commands.ts';
import { Queues } from './queues.ts';
import { RegisterFile } from './register-file.ts';
import { DOORBELL_BYTES, SPACE } from './registers.ts';
import { type Complete, STATUS, statusField } from './status.ts';
import { SubmissionQueue } from './submission-queue.ts';

/** QEMU's controller: all current operating systems have a driver for its class. */
const IDENTITY = {
  ...{ vendor: 0x1b36, device: 0x0010, revision: 0x02, classCode: 0x01_08_02 },
  ...{ subsystemVendor: 0x1af4, subsystem: 0x1100 },
} as const;
/** The number of commands in a batch. */
const BATCH = 64;
/** In the log of errors: of no queue, and of no command. */
const NONE = 0xffff;

export type NvmeOptions = {
  readonly name: string;
  readonly identity: ControllerIdentity;
  /** Pairs of queues for I/O. */
  readonly queues: number;
  /** The largest identifier of a namespace. */
  readonly lastNamespace: number;
};

/** An NVMe controller (NVM Express base specification 1.4). Its namespaces come and go. */
export class NvmeController implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly #services: MachineServices;
  readonly #maxQueues: number;
  readonly #msix: Msix;
  readonly #power: PowerManagement;
  readonly #registers: RegisterFile;
  readonly #interrupts: Interrupts;
  readonly #features: Features;
  readonly #logs: Logs;
  readonly #events = new EventRequests();
  readonly #namespaces = new Map<number, NvmeNamespace>();
  readonly #active: ActiveCommands;
  readonly #work: BatchedWork;
  readonly #queues = new Queues();
  /** Queues with commands that have not been taken. */
  readonly #due = new Set<SubmissionQueue>();
  /** Namespaces that still have requests from before a reset. */
  #resetting = 0;
  /** Distinguishes what began before a reset from what comes later. */
  #generation = 0;

  constructor({ name, identity, queues, lastNamespace }: NvmeOptions, services: MachineServices) {
    this.name = name;
    this.#services = services;
    this.#maxQueues = queues;
    this.function = new PciFunction(name, IDENTITY);
    this.function.addInterruptPin();
    this.function.addBar(0, { kind: 'memory64', size: SPACE.size, handler: this.#space });
    this.#registers = new RegisterFile({
      enable: () => this.#start(),
      disable: () => this.#controllerReset(),
      shutDown: () => this.#shutDown(),
      maskChanged: () => this.#interrupts.update(),
    });
    this.#interrupts = new Interrupts({
      fn: this.function,
      msix: () => this.#msix,
      events: services.events,
      mask: () => this.#registers.mask,
      queues: () => this.#queues.completion.values(),
    });
    this.#msix = new Msix(this.function, {
      vectors: Array.from({ length: queues + 1 }, () => services.allocateMsi()),
      ...{ bar: 0, tableOffset: SPACE.msixTable, pendingOffset: SPACE.msixPending },
      onEnable: () => this.#interrupts.update(),
    });
    this.#power = new PowerManagement(this.function, { onState: () => this.#reachable() });
    this.function.onBusMaster(() => this.#reachable());
    this.function.onBusReset(() => this.#busReset());
    this.#features = new Features(queues, queues + 1);
    this.#logs = new Logs(identity.firmware);
    const data = new GuestData(services.memory, () => this.#registers.page);
    const namespaces = this.#namespaces;
    const admin = new AdminCommands({
      ...{ identity, data, namespaces, lastNamespace, maxQueues: queues },
      queues: this.#queues,
      features: this.#features,
      events: this.#events,
      logs: this.#logs,
      page: () => this.#registers.page,
      hasEntrySizes: () => this.#registers.hasEntrySizes,
      vectors: () => (this.#msix.enabled ? queues + 1 : 1),
      interruptsChanged: () => this.#interrupts.update(),
    });
    const nvm = { data, namespaces, lastNamespace, logs: this.#logs };
    this.#active = new ActiveCommands({
      execute: ({ queue, command }, complete: Complete) => {
        if (queue.id === 0) admin.execute(command, complete);
        else executeNvm(command, nvm, complete);
      },
      ended: (active, status, result) => this.#ended(active, status, result),
    });
    this.#work = new BatchedWork(services.clock, () => this.#batch());
  }

  /** By their identifiers. */
  get namespaces(): ReadonlyMap<number, NvmeNamespace> {
    return this.#namespaces;
  }

  /** Adds a namespace with a free identifier. */
  add(id: number, namespace: NvmeNamespace): void {
    this.#namespaces.set(id, namespace);
    namespace.setWriteCache(this.#features.hasWriteCache);
    namespace.onResized = () => this.changed(id);
  }

  remove(id: number): void {
    const namespace = this.#namespaces.get(id);
    if (namespace === undefined) return;
    this.#namespaces.delete(id);
    namespace.onResized = null;
    this.#active.endOf(id, STATUS.invalidNamespace);
    namespace.drop();
    this.changed(id);
  }

  /** A namespace has changed, come or gone: notifies the driver. @returns whether it has asked for that */
  changed(id: number): boolean {
    this.#logs.namespaceChanged(id);
    return this.#raise('namespaceChanged') && this.#registers.isReady;
  }

  reset(): void {
    this.#generation++;
    this.#resetting = 0;
    this.function.reset();
    this.#msix.reset();
    this.#power.powerOn();
    this.#registers.reset();
    this.#logs.reset();
    this.#forget();
  }

  quiesce(done: () => void): void {
    this.#work.quiesce();
    this.#interrupts.quiesce();
    done();
  }

  resume(): void {
    this.#interrupts.resume();
    this.#active.resume();
    if (this.#registers.shutdown === 'occurring') this.#shutDown();
    const { isEnabled, isReady, isFatal } = this.#registers;
    if (isEnabled && !isReady && !isFatal) this.#start();
    this.#writeCompletions();
    this.#work.resume();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      msix: this.#msix.save(),
      registers: this.#registers.save(),
      features: this.#features.save(),
      logs: this.#logs.save(),
      events: this.#events.save(),
      queues: this.#queues.save(),
      active: this.#active.save(),
    };
  }

  load(state: DeviceState): void {
    const limits = { queues: this.#maxQueues, vectors: this.#maxQueues + 1, waiting: MAX_ACTIVE };
    const queues = Queues.load(stateOf(state, 'queues'), limits);
    const takeOver = [
      this.#registers.load(stateOf(state, 'registers')),
      this.#features.load(stateOf(state, 'features')),
      this.#logs.load(stateOf(state, 'logs')),
      this.#events.load(stateOf(state, 'events')),
      this.#active.load(state, 'active', queues.submission),
    ];
    const msix = stateOf(state, 'msix');
    this.function.load(stateOf(state, 'function'));
    this.#generation++;
    this.#resetting = 0;
    this.#interrupts.reset();
    for (const take of takeOver) take();
    this.#queues.take(queues);
    this.#due.clear();
    for (const queue of this.#queues.submission.values()) if (queue.isDue) this.#due.add(queue);
    for (const namespace of this.#namespaces.values()) namespace.setWriteCache(this.#features.hasWriteCache);
    this.#power.loaded();
    this.#msix.load(msix);
    this.#interrupts.update();
  }

  close(): void {
    this.#generation++;
    this.#interrupts.reset();
    this.#work.quiesce();
    this.function.close();
    this.#msix.release();
  }

  readonly #space: IoHandler = {
    read: (offset, size) => {
      if (offset < SPACE.doorbells) return this.#registers.read(offset, size);
      // Doorbells read as zero.
      if (offset < SPACE.msixTable) return 0;
      if (offset >= SPACE.msixPending) return this.#msix.readPending(offset - SPACE.msixPending, size);
      return cut(this.#msix.readTable(offset - SPACE.msixTable), size);
    },
    write: (offset, size, value) => {
      if (offset < SPACE.doorbells) this.#registers.write(offset, size, value);
      else if (offset < SPACE.msixTable) {
        if (size === DOORBELL_BYTES) this.#ring((offset - SPACE.doorbells) / DOORBELL_BYTES, value & 0xffff);
      } else if (offset < SPACE.msixPending) this.#msix.writeTable(offset - SPACE.msixTable, size, value);
    },
  };

  /** A doorbell (§3.1.25, §3.1.26): the tail of a submission queue, or the head of a completion queue. */
  #ring(doorbell: number, value: number): void {
    if (!this.#registers.isReady || this.#registers.isFatal) return;
    const id = doorbell >>> 1;
    const isTail = (doorbell & 1) === 0;
    const submission = isTail ? this.#queues.submission.get(id) : undefined;
    const completion = isTail ? undefined : this.#queues.completion.get(id);
    const isValid = submission?.moveTail(value) ?? completion?.moveHead(value);
    if (isValid !== true) {
      const error = { queue: NONE, command: NONE, status: 0, lba: 0, namespace: 0 };
      this.#logs.failed(error);
      this.#raise(isValid === undefined ? 'invalidDoorbell' : 'invalidDoorbellValue');
      return;
    }
    if (submission !== undefined) this.#due.add(submission);
    if (completion !== undefined) {
      this.#write(completion);
      this.#interrupts.update();
    }
    this.#work.run();
  }

  /** Begins commands, one of each queue in turn (§4.13.1). @returns whether there are more */
  #batch(): boolean {
    for (let left = BATCH; left > 0; left--) {
      const queue = this.#next();
      if (queue === null) return false;
      const command = queue.take(this.#services.memory);
      if (command === null) {
        this.#fail();
        return false;
      }
      this.#active.begin({ queue, command });
    }
    return this.#next() !== null;
  }

  /** The next queue of which a command may begin. */
  #next(): SubmissionQueue | null {
    if (!this.#canReachMemory || this.#registers.isFatal) return null;
    for (const queue of this.#due) {
      if (!queue.isDue) {
        this.#due.delete(queue);
        continue;
      }
      // Without room for its completions, it waits.
      if (queue.completions.waiting > 0 || !this.#active.hasRoom(queue)) continue;
      this.#due.delete(queue);
      this.#due.add(queue);
      return queue;
    }
    return null;
  }

  #ended({ queue, command }: Active, status: number, result: number): void {
    const { id, head, completions } = queue;
    if (status !== STATUS.success) {
      const lba = id === 0 ? 0 : command.qword(10);
      const { id: cid, namespace } = command;
      this.#logs.failed({ queue: id, command: cid, status: statusField(status), lba, namespace });
    }
    completions.put({ queue: id, head, command: command.id, status: statusField(status), result });
    this.#write(completions);
    if (queue.active === 0) queue.onIdle?.();
    this.#work.run();
  }

  /** Writes completions for which there is room. */
  #write(queue: CompletionQueue): void {
    if (!this.#canReachMemory || this.#registers.isFatal) return;
    const written = queue.write(this.#services.memory);
    if (written === null) this.#fail();
    else if (written > 0) this.#interrupts.written(queue);
  }

  #writeCompletions(): void {
    for (const queue of this.#queues.completion.values()) this.#write(queue);
  }

  /** Whether the function may access memory: in D0, as a bus master. */
  get #canReachMemory(): boolean {
    return this.function.busMaster && this.#power.isOn;
  }

  /** It may access memory again, or no longer. */
  #reachable(): void {
    // Called while the function is being created.
    if (this.#work === undefined || !this.#canReachMemory) return;
    this.#writeCompletions();
    this.#work.run();
  }

  /** A queue is not in memory: what can only be reported in the status register (CSTS.CFS). */
  #fail(): void {
    this.#registers.isFatal = true;
  }

  /** @returns whether the driver has asked to be notified */
  #raise(kind: EventKind): boolean {
    return this.#events.raise(kind, this.#features.eventConfiguration);
  }

  /** CC.EN was set (§7.6.1). A reset that is still under way comes first. */
  #start(): void {
    if (this.#resetting > 0) return;
    const admin = this.#registers.adminQueues;
    if (admin === null) {
      this.#fail();
      return;
    }
    const completions = new CompletionQueue({ id: 0, ...admin.completion, vector: 0, hasInterrupts: true });
    this.#queues.completion.set(0, completions);
    this.#queues.submission.set(0, new SubmissionQueue({ id: 0, ...admin.submission, completions }));
    this.#registers.isReady = true;
  }

  /** CC.EN was cleared (§7.3.2): CSTS.RDY is cleared once no request reaches disk or memory any more. */
  #controllerReset(): void {
    const generation = ++this.#generation;
    this.#forget();
    this.#logs.controllerReset();
    this.#resetting = this.#namespaces.size + 1;
    const ended = () => {
      if (generation !== this.#generation) return;
      this.#resetting--;
      if (this.#resetting > 0) return;
      this.#registers.controllerReset();
      if (this.#registers.isEnabled) this.#start();
    };
    for (const namespace of [...this.#namespaces.values()]) namespace.cancel(ended);
    ended();
  }

  /** Its function has been reset by a bridge. */
  #busReset(): void {
    this.#registers.reset();
    this.#msix.reset();
    this.#controllerReset();
  }

  /** Forgets queues, commands, and what the driver has set. */
  #forget(): void {
    this.#work.cancel();
    this.#active.clear();
    this.#events.reset();
    this.#queues.clear();
    this.#due.clear();
    this.#interrupts.reset();
    this.#features.reset();
    for (const namespace of this.#namespaces.values()) namespace.setWriteCache(true);
    this.#interrupts.update();
  }

  /** CC.SHN (§7.6.2): what is in the write cache is made durable. */
  #shutDown(): void {
    const generation = this.#generation;
    this.#registers.shutdown = 'occurring';
    flushAll(this.#namespaces.values(), () => {
      if (generation === this.#generation) this.#registers.shutdown = 'complete';
    });
  }
}

function cut(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & (2 ** (8 * size) - 1);
}
