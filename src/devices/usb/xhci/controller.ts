import { BatchedWork } from '../../batched-work.ts';
import type { Device, DeviceState, IoHandler } from '../../device.ts';
import type { MachineServices } from '../../machine-services.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { Msix } from '../../pci/msix.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { numberOf, stateOf, statesOf } from '../../state.ts';
import type { Statistic } from '../../statistic.ts';
import { CommandRing } from './command-ring.ts';
import { Commands } from './commands.ts';
import type { Endpoint } from './endpoint.ts';
import { GuestAccess, HostSystemError } from './guest-access.ts';
import { Interrupter } from './interrupter.ts';
import { readCapability, readExtended } from './read-only.ts';
import {
  INTERRUPTER_BYTES,
  INTERRUPTERS,
  OPERATIONAL,
  PORTS,
  SLOTS,
  SPACE,
  USB_COMMAND,
  USB_STATUS,
  USB_STATUS_CLEARABLE,
  withHigh,
  withLow,
} from './registers.ts';
import { RootHub } from './root-hub.ts';
import { createSlots, type Slot, takeBackAll } from './slots.ts';
import { CODE, type Event, TRB } from './trb.ts';

/** QEMU's xHCI: all current operating systems have a driver for its class. */
const IDENTITY = { vendor: 0x1b36, device: 0x000d, revision: 0x01, classCode: 0x0c_03_30 } as const;
/** The release of USB that the controller conforms to, in configuration space (xHCI 1.1 §5.2.3). */
const RELEASE_NUMBER = { offset: 0x60, value: 0x30 } as const;
const PAGE_4_KIB = 1;
const MICROFRAME_NS = 125_000n;
const MICROFRAMES = 0x3fff;
/** The number of commands and descriptors in a batch. */
const BATCH = 256;
const MAX_32 = 2 ** 32 - 1;
/** The command bits that are only stored. */
const COMMAND_BITS =
  USB_COMMAND.run | USB_COMMAND.interrupts | USB_COMMAND.hostErrors | USB_COMMAND.wrapEvents;

/** An xHCI host controller with USB 2.0 ports (xHCI 1.1). */
export class XhciController implements Device {
  readonly name: string;
  readonly function: PciFunction;
  /** The bus of USB devices. */
  readonly hub: RootHub;
  readonly #services: MachineServices;
  readonly #memory: GuestAccess;
  readonly #msix: Msix;
  readonly #slots: readonly Slot[];
  readonly #interrupters: readonly Interrupter[];
  readonly #commands: CommandRing;
  readonly #work: BatchedWork;
  readonly #statistics: readonly Statistic[];
  /** Endpoints that may have something to do. */
  readonly #due = new Set<Endpoint>();
  #command = 0;
  #status: number = USB_STATUS.halted;
  #notifications = 0;
  #contexts = 0;
  #usedSlots = 0;
  /** The driver's reset waits until devices no longer access memory. */
  #isResetting = false;
  /** Distinguishes what began before a reset from what comes later. */
  #generation = 0;

  constructor(name: string, services: MachineServices) {
    this.name = name;
    this.#services = services;
    this.function = new PciFunction(name, IDENTITY);
    this.function.addInterruptPin();
    this.function.config.define(RELEASE_NUMBER.offset, 1, RELEASE_NUMBER.value);
    this.function.addBar(0, { kind: 'memory64', size: SPACE.size, handler: this.#registers });
    this.#memory = new GuestAccess(new BusMaster(this.function, services.memory));
    this.#msix = new Msix(this.function, {
      vectors: Array.from({ length: INTERRUPTERS }, () => services.allocateMsi()),
      ...{ bar: 0, tableOffset: SPACE.msixTable, pendingOffset: SPACE.msixPending },
      onEnable: () => this.#update(),
    });
    this.function.onBusReset(() => {
      this.#hostReset();
      this.#msix.reset();
    });
    this.#interrupters = Array.from(
      { length: INTERRUPTERS },
      () =>
        new Interrupter({
          memory: this.#memory,
          raised: () => {
            this.#status |= USB_STATUS.event;
            this.#update();
          },
          changed: () => this.#update(),
        }),
    );
    const count = (what: string) => services.statistic({ device: name, name: what });
    const [transfers, commands] = [count('transfers'), count('commands')];
    this.#statistics = [transfers, commands];
    this.hub = new RootHub({
      name,
      isRunning: () => this.#isRunning,
      changed: port => this.#portChanged(port),
      silence: (port, then) => this.#silence(port, then),
    });
    const { ports } = this.hub;
    this.#slots = createSlots(ports, {
      memory: this.#memory,
      put: (interrupter, event) => this.#put(interrupter, event),
      ended: (endpoint, finish) => {
        this.#guard(finish);
        this.#look(endpoint);
      },
      counted: () => transfers.add(1),
    });
    const executor = new Commands({
      memory: this.#memory,
      slots: this.#slots,
      ports,
      contexts: () => this.#contexts,
      usedSlots: () => this.#usedSlots,
      guarded: action => this.#guard(action),
    });
    this.#commands = new CommandRing({
      memory: this.#memory,
      execute: (trb, completed) => {
        commands.add(1);
        executor.execute(trb, completed);
      },
      put: event => this.#put(0, event),
      ended: () => this.#work.run(),
    });
    this.#work = new BatchedWork(services.clock, () => this.#batch());
  }

  reset(): void {
    this.function.reset();
    this.#msix.reset();
    this.#powerOn();
    this.#update();
  }

  quiesce(done: () => void): void {
    this.#work.quiesce();
    done();
  }

  resume(): void {
    this.#lookAtAll();
    this.#work.resume();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      msix: this.#msix.save(),
      command: this.#command,
      status: this.#status,
      notifications: this.#notifications,
      contexts: this.#contexts,
      usedSlots: this.#usedSlots,
      commands: this.#commands.save(),
      interrupters: this.#interrupters.map(interrupter => interrupter.save()),
      ports: this.hub.ports.map(port => port.save()),
      slots: this.#slots.map(slot => slot.save()),
    };
  }

  load(state: DeviceState): void {
    const command = numberOf(state, 'command', MAX_32) & COMMAND_BITS;
    const status = numberOf(state, 'status', MAX_32);
    const notifications = numberOf(state, 'notifications', 0xffff);
    const contexts = numberOf(state, 'contexts');
    const usedSlots = numberOf(state, 'usedSlots', SLOTS);
    const interrupters = statesOf(state, 'interrupters', INTERRUPTERS);
    const ports = statesOf(state, 'ports', PORTS);
    const slots = statesOf(state, 'slots', SLOTS);
    this.#generation++;
    this.#isResetting = false;
    this.#due.clear();
    this.#work.cancel();
    this.#commands.load(stateOf(state, 'commands'));
    this.#interrupters.forEach((interrupter, index) => {
      interrupter.load(interrupters[index]!);
    });
    this.hub.ports.forEach((port, index) => {
      port.load(ports[index]!);
    });
    this.#slots.forEach((slot, index) => {
      slot.load(slots[index]!);
    });
    this.#command = command;
    this.#status = status & (USB_STATUS.halted | USB_STATUS.event | USB_STATUS_CLEARABLE);
    this.#notifications = notifications;
    this.#contexts = contexts;
    this.#usedSlots = usedSlots;
    this.function.load(stateOf(state, 'function'));
    this.#msix.load(stateOf(state, 'msix'));
    this.#update();
  }

  close(): void {
    this.#work.quiesce();
    this.function.close();
    this.#msix.release();
    for (const statistic of this.#statistics) statistic.release();
  }

  readonly #registers: IoHandler = {
    read: (offset, size) => {
      if (offset >= SPACE.msixPending) return this.#msix.readPending(offset - SPACE.msixPending, size);
      if (offset >= SPACE.msixTable) return mask(this.#msix.readTable(offset - SPACE.msixTable), size);
      return mask(this.#read(offset & ~3) >>> (8 * (offset & 3)), size);
    },
    write: (offset, size, value) => {
      if (offset >= SPACE.msixPending) return;
      if (offset >= SPACE.msixTable) this.#msix.writeTable(offset - SPACE.msixTable, size, value);
      // Registers are written as dwords (xHCI 1.1 §5.1).
      else if (size === 4) this.#guard(() => this.#write(offset & ~3, value));
    },
  };

  #read(offset: number): number {
    if (offset >= SPACE.doorbells) return 0;
    if (offset >= SPACE.interrupters) {
      const at = offset - SPACE.interrupters;
      return this.#interrupters[Math.floor(at / INTERRUPTER_BYTES)]?.read(at % INTERRUPTER_BYTES) ?? 0;
    }
    if (offset === SPACE.runtime) return Number(this.#services.clock.now() / MICROFRAME_NS) & MICROFRAMES;
    if (offset >= SPACE.extended) return readExtended(offset - SPACE.extended);
    if (offset >= SPACE.ports) return this.hub.read(offset - SPACE.ports);
    return offset >= SPACE.operational
      ? this.#readOperational(offset - SPACE.operational)
      : readCapability(offset);
  }

  #readOperational(offset: number): number {
    switch (offset) {
      case OPERATIONAL.usbCommand:
        return this.#command | (this.#isResetting ? USB_COMMAND.reset : 0);
      case OPERATIONAL.usbStatus:
        return this.#status;
      case OPERATIONAL.pageSize:
        return PAGE_4_KIB;
      case OPERATIONAL.deviceNotification:
        return this.#notifications;
      case OPERATIONAL.commandRing:
        return this.#commands.control;
      case OPERATIONAL.contexts:
        return this.#contexts % 2 ** 32;
      case OPERATIONAL.contextsHigh:
        return Math.floor(this.#contexts / 2 ** 32);
      case OPERATIONAL.configure:
        return this.#usedSlots;
      default:
        return 0;
    }
  }

  #write(offset: number, value: number): void {
    if (this.#isResetting) return;
    if (offset >= SPACE.doorbells) this.#ring((offset - SPACE.doorbells) / 4, value);
    else if (offset >= SPACE.interrupters) {
      const at = offset - SPACE.interrupters;
      this.#interrupters[Math.floor(at / INTERRUPTER_BYTES)]?.write(at % INTERRUPTER_BYTES, value);
      // There may be room for events.
      this.#work.run();
    } else if (offset >= SPACE.ports && offset < SPACE.extended) this.hub.write(offset - SPACE.ports, value);
    else if (offset >= SPACE.operational && offset < SPACE.ports)
      this.#writeOperational(offset - SPACE.operational, value);
  }

  #writeOperational(offset: number, value: number): void {
    switch (offset) {
      case OPERATIONAL.usbCommand:
        this.#writeCommand(value);
        break;
      case OPERATIONAL.usbStatus:
        this.#status &= ~(value & (USB_STATUS_CLEARABLE | USB_STATUS.event));
        break;
      case OPERATIONAL.deviceNotification:
        this.#notifications = value & 0xffff;
        break;
      case OPERATIONAL.commandRing:
        this.#commands.writeControl(value);
        break;
      case OPERATIONAL.commandRingHigh:
        this.#commands.writeHigh(value);
        break;
      case OPERATIONAL.contexts:
        this.#contexts = withLow(this.#contexts, (value & ~0x3f) >>> 0);
        break;
      case OPERATIONAL.contextsHigh:
        this.#contexts = withHigh(this.#contexts, value);
        break;
      case OPERATIONAL.configure:
        this.#usedSlots = Math.min(value & 0xff, SLOTS);
        break;
    }
  }

  #writeCommand(value: number): void {
    if (value & USB_COMMAND.reset) {
      this.#hostReset();
      return;
    }
    // What a driver saves is in its own memory; a restore is refused, so that it starts over (§4.23.2).
    if (value & USB_COMMAND.save) this.#status &= ~USB_STATUS.restoreError;
    if (value & USB_COMMAND.restore) this.#status |= USB_STATUS.restoreError;
    const wasRunning = this.#isRunning;
    this.#command = value & COMMAND_BITS;
    if (value & USB_COMMAND.run && !wasRunning) {
      this.#status &= ~USB_STATUS.halted;
      this.#lookAtAll();
      this.#work.run();
    } else if (!(value & USB_COMMAND.run) && wasRunning) this.#halt();
    this.#update();
  }

  get #isRunning(): boolean {
    return (this.#command & USB_COMMAND.run) !== 0;
  }

  /** @param target the command ring, or a slot */
  #ring(target: number, value: number): void {
    if (!this.#isRunning) return;
    const dci = value & 0xff;
    if (target === 0 && dci === 0) this.#commands.ring();
    else {
      const endpoint = this.#slots[target - 1]?.endpoint(dci);
      if (endpoint === undefined) return;
      endpoint.ring();
      this.#due.add(endpoint);
    }
    this.#work.run();
  }

  /** Processes commands and descriptors while there is room for their events. @returns whether more is left */
  #batch(): boolean {
    let left = BATCH;
    this.#guard(() => {
      while (left > 0 && this.#isRunning && !this.#isFull) {
        left--;
        if (this.#commands.step()) continue;
        const [endpoint] = this.#due;
        if (endpoint === undefined) break;
        // Other endpoints are next.
        this.#due.delete(endpoint);
        if (endpoint.step()) this.#due.add(endpoint);
      }
    });
    return left === 0;
  }

  get #isFull(): boolean {
    return this.#interrupters.some(({ isFull }) => isFull);
  }

  #look(endpoint: Endpoint): void {
    this.#due.add(endpoint);
    this.#work.run();
  }

  #lookAtAll(): void {
    for (const endpoint of this.#allEndpoints) this.#due.add(endpoint);
  }

  #put(interrupter: number, event: Event): void {
    (this.#interrupters[interrupter] ?? this.#interrupters[0]!).put(event);
  }

  /** The controller stops if an address from the guest is not memory (§4.24.1). */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof HostSystemError)) throw error;
      this.#status |= USB_STATUS.hostError;
      if (!this.#isRunning) return;
      this.#services.reportBroken(
        this.name,
        `its driver has given it an address that it cannot reach: ${error.message}`,
      );
      this.#command &= ~USB_COMMAND.run;
      this.#halt();
    }
  }

  /** It shows as halted once devices no longer access memory; what they had begun is restarted when it runs again. */
  #halt(): void {
    const generation = this.#generation;
    this.#commands.forget();
    this.#due.clear();
    takeBackAll(this.#allEndpoints, () => {
      if (generation === this.#generation && !this.#isRunning) this.#status |= USB_STATUS.halted;
    });
  }

  get #allEndpoints(): readonly Endpoint[] {
    return this.#slots.flatMap(({ endpoints }) => endpoints);
  }

  /** §4.2, §5.4.1: reads as set until devices no longer access memory. */
  #hostReset(): void {
    const endpoints = this.#allEndpoints;
    this.#powerOn();
    this.#isResetting = true;
    const generation = this.#generation;
    takeBackAll(endpoints, () => {
      if (generation === this.#generation) this.#isResetting = false;
    });
    this.#update();
  }

  #powerOn(): void {
    this.#generation++;
    this.#isResetting = false;
    this.#work.cancel();
    this.#due.clear();
    this.#command = 0;
    this.#status = USB_STATUS.halted;
    this.#notifications = 0;
    this.#contexts = 0;
    this.#usedSlots = 0;
    this.#commands.reset();
    for (const interrupter of this.#interrupters) interrupter.reset();
    for (const slot of this.#slots) slot.clear();
    for (const port of this.hub.ports) port.powerOn();
  }

  #portChanged(port: number): void {
    if (!this.#isRunning) return;
    this.#status |= USB_STATUS.portChange;
    const pointer = port * 2 ** 24;
    this.#guard(() => this.#put(0, { type: TRB.portStatusChange, pointer, code: CODE.success }));
  }

  /** Cancels a device's transfers, which are not answered any more. */
  #silence(port: number, then: () => void): void {
    const generation = this.#generation;
    const endpoints = this.#slots.filter(slot => slot.port === port).flatMap(slot => slot.endpoints);
    takeBackAll(endpoints, had => {
      if (generation !== this.#generation) return;
      this.#guard(() => {
        for (const { endpoint, descriptor } of had) endpoint.unanswered(descriptor);
      });
      then();
    });
  }

  #update(): void {
    const isOn = (this.#command & USB_COMMAND.interrupts) !== 0;
    const isMsix = this.#msix.enabled;
    this.#interrupters.forEach((interrupter, index) => {
      if (!isOn || !isMsix || !interrupter.level) return;
      interrupter.sent();
      this.#msix.vectors[index]!.signal();
    });
    this.function.setInterrupt(isOn && !isMsix && this.#interrupters.some(({ level }) => level));
  }
}

function mask(value: number, size: number): number {
  return (value & (2 ** (8 * size) - 1 || -1)) >>> 0;
}
