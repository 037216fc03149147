import type { InterruptLine } from '../device.ts';

/**
 * PIRQA# to PIRQD#: each is wired to an input of the IOAPIC, and routed to an ISA interrupt as well if the guest asks
 * for that (ICH9 datasheet §5.9). A wire driven by an eventfd reaches the IOAPIC only.
 */
export class PirqRouter {
  readonly #line: (gsi: number) => InterruptLine;
  readonly #first: number;
  /** The number of devices that assert each. */
  readonly #asserted = [0, 0, 0, 0];
  #routes: readonly (number | null)[] = [null, null, null, null];
  readonly #isa = new Map<number, InterruptLine>();

  /** @param first the IOAPIC input of PIRQA# @param line a new end of the wire to an interrupt */
  constructor(first: number, line: (gsi: number) => InterruptLine) {
    this.#first = first;
    this.#line = line;
  }

  /** A new end of the wire to the IOAPIC input `gsi`. */
  line(gsi: number): InterruptLine {
    const input = gsi - this.#first;
    const apic = this.#line(gsi);
    let level = false;
    const set = (next: boolean) => {
      apic.set(next);
      if (next === level) return;
      level = next;
      this.#asserted[input]! += next ? 1 : -1;
      this.#update();
    };
    return {
      set,
      connect: (fd, resampleFd) => apic.connect(fd, resampleFd),
      disconnect: fd => apic.disconnect(fd),
      release: () => {
        set(false);
        apic.release();
      },
    };
  }

  /** @param routes the ISA interrupt of each; null for none */
  route(routes: readonly (number | null)[]): void {
    this.#routes = routes;
    this.#update();
  }

  #update(): void {
    const high = new Set(this.#routes.filter((_, input) => this.#asserted[input]! > 0));
    for (const irq of this.#routes)
      if (irq !== null && !this.#isa.has(irq)) this.#isa.set(irq, this.#line(irq));
    for (const [irq, line] of this.#isa) line.set(high.has(irq));
  }
}
