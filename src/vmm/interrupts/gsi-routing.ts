import type { MsiMessage } from '../../devices/device.ts';
import { IOAPIC_NUM_PINS, IRQCHIP } from '../kvm/constants.ts';
import type { GsiRoute, VmFd } from '../kvm/vm-fd.ts';

/** Lower GSIs are the pins of the interrupt controllers. */
const FIRST_MSI_GSI = IOAPIC_NUM_PINS;
/** KVM_MAX_IRQ_ROUTES (linux/kvm_host.h): entries in KVM's table. */
const MAX_ROUTES = 4096;
const PIC_PINS = 8;

/** The 8254's interrupt, which boards wire to pin 2 of the IOAPIC, as the MADT says. */
const TIMER_GSI = 0;
const TIMER_IOAPIC_PIN = 2;

const PIN_ROUTES: readonly GsiRoute[] = pinRoutes();

/** Most MSI vectors of a VM that can have a route at a time. */
export const MAX_MSI_ROUTES = MAX_ROUTES - PIN_ROUTES.length;

/**
 * The VM's table from GSIs to interrupt controller pins and MSI messages. Replacing it waits until no vCPU uses KVM's
 * old table (up to milliseconds), so changes are batched: the constructor's `requestApply` schedules a call of `apply`.
 */
export class GsiRouting {
  readonly #vm: Pick<VmFd, 'setGsiRouting'>;
  readonly #requestApply: () => void;
  readonly #messages = new Map<number, MsiMessage>();
  readonly #waiting = new Map<number, () => void>();
  /** Previously allocated, now free. */
  readonly #freed: number[] = [];
  #nextGsi = FIRST_MSI_GSI;

  constructor(vm: Pick<VmFd, 'setGsiRouting'>, requestApply: () => void) {
    this.#vm = vm;
    this.#requestApply = requestApply;
    vm.setGsiRouting(PIN_ROUTES);
  }

  /** A GSI for one MSI vector; null if all `MAX_MSI_ROUTES` are taken. */
  allocate(): number | null {
    const freed = this.#freed.pop();
    if (freed !== undefined) return freed;
    return this.#nextGsi < FIRST_MSI_GSI + MAX_MSI_ROUTES ? this.#nextGsi++ : null;
  }

  /** Releases a GSI, which must no longer have an irqfd. Its route leaves KVM's table with the next change. */
  free(gsi: number): void {
    this.#waiting.delete(gsi);
    this.#messages.delete(gsi);
    this.#freed.push(gsi);
  }

  /** Allocated GSIs. */
  get allocated(): number {
    return this.#nextGsi - FIRST_MSI_GSI - this.#freed.length;
  }

  /**
   * Routes `gsi` to `message`, and calls `then` once that is active: immediately if it already is, else from `apply`.
   */
  route(gsi: number, message: MsiMessage, then: () => void): void {
    if (!this.#waiting.has(gsi) && sameMessage(this.#messages.get(gsi), message)) {
      then();
      return;
    }
    this.#messages.set(gsi, message);
    if (this.#waiting.size === 0) this.#requestApply();
    this.#waiting.set(gsi, then);
  }

  /** Drops the `then` of a `route` that hasn't been applied. The route itself stays. */
  cancel(gsi: number): void {
    if (this.#waiting.has(gsi)) this.#waiting.set(gsi, () => {});
  }

  apply(): void {
    if (this.#waiting.size === 0) return;
    const routes = [...this.#messages].map(([gsi, { address, data }]) => ({ gsi, address, data }));
    this.#vm.setGsiRouting([...PIN_ROUTES, ...routes]);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const then of waiting) then();
  }
}

export function sameMessage(a: MsiMessage | null | undefined, b: MsiMessage | null): boolean {
  return a?.address === b?.address && a?.data === b?.data;
}

/** Every GSI to its own IOAPIC pin, except the timer; the first 16 also to the 8259s. */
function pinRoutes(): GsiRoute[] {
  const routes: GsiRoute[] = [];
  for (let gsi = 0; gsi < 2 * PIC_PINS; gsi++) {
    const irqchip = gsi < PIC_PINS ? IRQCHIP.PIC_MASTER : IRQCHIP.PIC_SLAVE;
    routes.push({ gsi, irqchip, pin: gsi % PIC_PINS });
  }
  for (let gsi = 0; gsi < IOAPIC_NUM_PINS; gsi++) {
    const pin = gsi === TIMER_GSI ? TIMER_IOAPIC_PIN : gsi;
    if (gsi !== TIMER_IOAPIC_PIN) routes.push({ gsi, irqchip: IRQCHIP.IOAPIC, pin });
  }
  return routes;
}
