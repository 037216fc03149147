import type { EventLoop, InterruptLine, MsiVector } from '../../devices/device.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import { eventfd, signalEventfd } from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { GsiRouting } from './gsi-routing.ts';
import { IrqfdVector } from './irqfd-vector.ts';

/** What interrupts need from KVM. */
export type InterruptVm = Pick<
  VmFd,
  'setGsiRouting' | 'assignIrqfd' | 'deassignIrqfd' | 'setIrqLine' | 'signalMsi'
>;

/** The interrupts of one VM: wires to its 8259s and IOAPIC, and MSI vectors as irqfds. The irqchip must exist. */
export class Interrupts {
  readonly #vm: InterruptVm;
  readonly #routing: GsiRouting;
  /** How many wires assert each GSI. */
  readonly #asserted = new Map<number, number>();

  constructor(vm: InterruptVm, events: EventLoop, owner: ResourceOwner) {
    const applyFd = owner.ownFd(eventfd());
    this.#vm = vm;
    this.#routing = new GsiRouting(vm, () => signalEventfd(applyFd));
    events.watch(applyFd, () => this.#routing.apply());
  }

  /**
   * A wire to GSI 0-23: ISA interrupts 0-15 reach the 8259s and the IOAPIC, the others the IOAPIC alone. Wires to the same
   * GSI are ORed: it is asserted while any of them is.
   */
  line(gsi: number): InterruptLine {
    let level = false;
    return {
      set: next => {
        if (next === level) return;
        level = next;
        const asserted = (this.#asserted.get(gsi) ?? 0) + (next ? 1 : -1);
        this.#asserted.set(gsi, asserted);
        if (asserted === (next ? 1 : 0)) this.#vm.setIrqLine(gsi, next);
      },
    };
  }

  allocateMsi(): MsiVector {
    return new IrqfdVector(this.#vm, this.#routing);
  }
}
