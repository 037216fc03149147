import type { AccessSize, DeviceState, IoHandler } from '../device.ts';
import { booleanOf, numberOf, statesOf } from '../state.ts';

/** Offsets of the registers (docs/specs/acpi_cpu_hotplug.rst of QEMU, the modern interface). */
export const CPU_REG = {
  /** Written: the index of the CPU that the other registers are about. */
  selector: 0x0,
  /** Read: the upper half of a CPU's ID, 0 here. It also tells firmware that this is the modern interface. */
  data2: 0x0,
  /** Read: the CPU's flags. Written: what to do with it. */
  flags: 0x4,
  /** Written. */
  command: 0x5,
  data: 0x8,
  size: 0xc,
} as const;

/** Bits of the flags. Writing 1 to the events clears them; `eject` is only written. */
export const CPU_FLAG = { enabled: 1 << 0, inserting: 1 << 1, removing: 1 << 2, eject: 1 << 3 } as const;

/** What a read of the data returns, or a write of it sets. */
export const CPU_COMMAND = { nextWithEvent: 0, ostEvent: 1, ostStatus: 2, id: 3 } as const;
const COMMANDS = 4;

const MAX_32 = 0xffff_ffff;

export type CpuHotplugOptions = {
  /** The IDs of the CPUs' local APICs, by index, including those of absent CPUs. */
  readonly apicIds: readonly number[];
  readonly isPresent: (cpu: number) => boolean;
  /** Notifies the guest that a CPU has an event. */
  readonly notify: () => void;
  /** Whether the guest has enabled that notification. */
  readonly isEnabled: () => boolean;
};

/** What the guest has to know about a CPU. */
type Cpu = {
  /** It was added, and the guest has not looked yet. */
  inserting: boolean;
  /** The guest is asked to release it, and has not looked yet. */
  removing: boolean;
  /** The host wants it back: until the guest ejects it, or the request is withdrawn. */
  requested: boolean;
  /** The last event whose outcome the guest has reported by _OST (ACPI 6.5 §6.3.5). */
  ostEvent: number;
};

/** How the guest acts on CPUs. */
export type CpuEvents = {
  /** It has given up a CPU, which is absent from now on: possibly without having been asked. */
  readonly ejected: (cpu: number) => void;
  /** It has taken note that a CPU was added. */
  readonly noticed: (cpu: number) => void;
  /** It reports what has become of an event: the codes of _OST (ACPI 6.5 §6.3.5). */
  readonly reported: (cpu: number, event: number, status: number) => void;
};

/**
 * ACPI hot plug of CPUs. The host marks a CPU and raises a general-purpose event, whose method notifies the CPU's
 * device; to release a CPU, the guest runs its _EJ0. CPU 0 always stays.
 */
export class CpuHotplug implements IoHandler {
  static readonly size = CPU_REG.size;
  events: CpuEvents | null = null;
  readonly #options: CpuHotplugOptions;
  readonly #cpus: Cpu[];
  #selector = 0;
  #command = 0;

  constructor(options: CpuHotplugOptions) {
    this.#options = options;
    this.#cpus = options.apicIds.map(nothing);
  }

  get apicIds(): readonly number[] {
    return this.#options.apicIds;
  }

  /** Whether the guest has a driver that acts on events. */
  driven(): boolean {
    return this.#options.isEnabled();
  }

  /** A CPU has been added. */
  announce(cpu: number): void {
    Object.assign(this.#at(cpu), nothing(), { inserting: true });
    this.#options.notify();
  }

  /** Asks the guest to release a CPU; once more if it has been asked before. */
  requestRemoval(cpu: number): void {
    Object.assign(this.#at(cpu), { requested: true, removing: true });
    this.#options.notify();
  }

  cancelRemoval(cpu: number): void {
    Object.assign(this.#at(cpu), { requested: false, removing: false });
  }

  /** Whether the guest has been asked to release a CPU that it still has. */
  removing(cpu: number): boolean {
    return this.#at(cpu).requested;
  }

  /** Whether a CPU was added and the guest has not noticed. */
  inserting(cpu: number): boolean {
    return this.#at(cpu).inserting;
  }

  read(offset: number, size: AccessSize): number {
    const shift = 8 * (offset & 3);
    const mask = size === 4 ? MAX_32 : 2 ** (8 * size) - 1;
    return ((this.#register(offset & ~3) >>> shift) & mask) >>> 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === CPU_REG.selector) {
      this.#selector = value;
      return;
    }
    const cpu = this.#cpus[this.#selector];
    if (cpu === undefined) return;
    if (offset === CPU_REG.flags) this.#control(this.#selector, cpu, value);
    else if (offset === CPU_REG.command && value < COMMANDS) {
      this.#command = value;
      if (value === CPU_COMMAND.nextWithEvent) this.#selectNext();
    } else if (offset === CPU_REG.data) this.#ost(this.#selector, cpu, value);
  }

  /**
   * Restores the power-on state. CPUs that the guest has been asked to release are removed: the guest no longer runs on
   * them. Those that were added stay, and are in the tables that the guest gets.
   */
  reset(): void {
    this.wake();
    for (const [index, cpu] of this.#cpus.entries()) {
      const { requested, inserting } = cpu;
      Object.assign(cpu, nothing());
      if (requested) this.#eject(index, cpu);
      else if (inserting) this.events?.noticed(index);
    }
  }

  /** The guest wakes from S3, and has what it had. */
  wake(): void {
    this.#selector = 0;
    this.#command = 0;
  }

  save(): DeviceState {
    return {
      selector: this.#selector,
      command: this.#command,
      cpus: this.#cpus.map(cpu => ({ ...cpu })),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const cpus = statesOf(state, 'cpus', this.#cpus.length).map(
      (cpu): Cpu => ({
        inserting: booleanOf(cpu, 'inserting'),
        removing: booleanOf(cpu, 'removing'),
        requested: booleanOf(cpu, 'requested'),
        ostEvent: numberOf(cpu, 'ostEvent', MAX_32),
      }),
    );
    this.#selector = numberOf(state, 'selector', MAX_32);
    this.#command = numberOf(state, 'command', COMMANDS - 1);
    for (const [index, cpu] of cpus.entries()) {
      const isFree = index > 0 && this.#options.isPresent(index);
      Object.assign(this.#cpus[index]!, isFree ? cpu : { ...nothing(), ostEvent: cpu.ostEvent });
    }
  }

  #register(offset: number): number {
    const cpu = this.#cpus[this.#selector];
    if (cpu === undefined) return 0;
    if (offset === CPU_REG.flags) {
      const { enabled, inserting, removing } = CPU_FLAG;
      return (
        (this.#options.isPresent(this.#selector) ? enabled : 0) |
        (cpu.inserting ? inserting : 0) |
        (cpu.removing ? removing : 0)
      );
    }
    if (offset !== CPU_REG.data) return 0;
    if (this.#command === CPU_COMMAND.nextWithEvent) return this.#selector;
    return this.#command === CPU_COMMAND.id ? this.#options.apicIds[this.#selector]! : 0;
  }

  /** One bit per write counts, the lowest, as in QEMU. */
  #control(index: number, cpu: Cpu, value: number): void {
    if ((value & CPU_FLAG.inserting) !== 0) {
      if (!cpu.inserting) return;
      cpu.inserting = false;
      this.events?.noticed(index);
    } else if ((value & CPU_FLAG.removing) !== 0) cpu.removing = false;
    else if ((value & CPU_FLAG.eject) !== 0) this.#eject(index, cpu);
  }

  /** Selects the first CPU with an event, from the present one on and around; without any, the selection stays. */
  #selectNext(): void {
    const count = this.#cpus.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#selector + step) % count;
      const { inserting, removing } = this.#cpus[index]!;
      if (!inserting && !removing) continue;
      this.#selector = index;
      return;
    }
  }

  #ost(index: number, cpu: Cpu, value: number): void {
    if (this.#command === CPU_COMMAND.ostEvent) cpu.ostEvent = value;
    else if (this.#command === CPU_COMMAND.ostStatus) this.events?.reported(index, cpu.ostEvent, value);
  }

  /** A guest may eject what it has not been asked to release. */
  #eject(index: number, cpu: Cpu): void {
    if (index === 0 || !this.#options.isPresent(index)) return;
    Object.assign(cpu, nothing());
    this.events?.ejected(index);
  }

  #at(cpu: number): Cpu {
    const found = this.#cpus[cpu];
    if (found === undefined) throw new RangeError(`there is no CPU ${cpu}`);
    return found;
  }
}

function nothing(): Cpu {
  return { inserting: false, removing: false, requested: false, ostEvent: 0 };
}
