import type { InterruptLine } from '../../devices/device.ts';
import { IOAPIC_NUM_PINS } from '../kvm/constants.ts';
import type { VmFd } from '../kvm/vm-fd.ts';

/** What wires need from KVM. */
export type LineVm = Pick<VmFd, 'assignIrqfd' | 'deassignIrqfd' | 'setIrqLine'>;

/**
 * The wires to the pins of a VM's interrupt controllers, GSI 0-23. Wires to the same GSI are ORed: the pin is asserted
 * while any of them is. Those set by devices are ORed here; KVM has a separate source for irqfds and ORs the two.
 */
export class GsiLines {
  readonly #vm: LineVm;
  /** Number of wires that assert each GSI. */
  readonly #asserted = new Array<number>(IOAPIC_NUM_PINS).fill(0);
  /** The GSIs that `hold` keeps asserted. */
  readonly #held = new Set<number>();
  /** The GSIs that are asserted in KVM. */
  readonly #high = new Set<number>();

  constructor(vm: LineVm) {
    this.#vm = vm;
  }

  line(gsi: number): InterruptLine {
    return new GsiLine(this.#vm, gsi, asserts => {
      this.#asserted[gsi]! += asserts ? 1 : -1;
      this.#drive(gsi);
    });
  }

  /** The asserted GSIs, ascending, without those that only an irqfd asserts. */
  get high(): number[] {
    return [...this.#high].sort((a, b) => a - b);
  }

  /** Asserts these GSIs, whatever their wires do, until `release`. */
  hold(gsis: readonly number[]): void {
    const before = [...this.#held];
    this.#held.clear();
    for (const gsi of gsis) this.#held.add(gsi);
    for (const gsi of new Set([...before, ...gsis])) this.#drive(gsi);
  }

  release(): void {
    this.hold([]);
  }

  #drive(gsi: number): void {
    const level = this.#asserted[gsi]! > 0 || this.#held.has(gsi);
    if (level === this.#high.has(gsi)) return;
    if (level) this.#high.add(gsi);
    else this.#high.delete(gsi);
    this.#vm.setIrqLine(gsi, level);
  }
}

class GsiLine implements InterruptLine {
  readonly #vm: LineVm;
  readonly #gsi: number;
  readonly #change: (asserts: boolean) => void;
  readonly #fds = new Set<number>();
  #level = false;

  constructor(vm: LineVm, gsi: number, change: (asserts: boolean) => void) {
    this.#vm = vm;
    this.#gsi = gsi;
    this.#change = change;
  }

  set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    this.#change(level);
  }

  connect(fd: number, resampleFd?: number): void {
    if (this.#fds.has(fd)) throw new Error(`eventfd ${fd} drives GSI ${this.#gsi} already`);
    this.#vm.assignIrqfd(fd, this.#gsi, resampleFd);
    this.#fds.add(fd);
  }

  disconnect(fd: number): void {
    if (this.#fds.delete(fd)) this.#vm.deassignIrqfd(fd, this.#gsi);
  }

  release(): void {
    for (const fd of [...this.#fds]) this.disconnect(fd);
    this.set(false);
  }
}
