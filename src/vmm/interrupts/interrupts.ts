import type { DeviceState, EventLoop, InterruptLine, MsiVector } from '../../devices/device.ts';
import { bytesOf, DeviceStateError } from '../../devices/state.ts';
import { IOAPIC_NUM_PINS } from '../kvm/constants.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import { eventfd, signalEventfd } from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { GsiLines } from './gsi-lines.ts';
import { GsiRouting, MAX_MSI_ROUTES } from './gsi-routing.ts';
import { IrqfdVector, type VectorContext } from './irqfd-vector.ts';

/** What interrupts need from KVM. */
export type InterruptVm = Pick<
  VmFd,
  'setGsiRouting' | 'assignIrqfd' | 'deassignIrqfd' | 'setIrqLine' | 'signalMsi'
>;

/** The interrupts of one VM: wires to its 8259s and IOAPIC, and MSI vectors as irqfds. The irqchip must exist. */
export class Interrupts {
  readonly #routing: GsiRouting;
  readonly #lines: GsiLines;
  readonly #vectors: VectorContext;
  #isFull = false;

  /** @param warn called once, with a sentence for the user, if the VM uses more MSI vectors than KVM has routes */
  constructor(
    vm: InterruptVm,
    events: EventLoop,
    owner: ResourceOwner,
    warn: (text: string) => void = () => {},
  ) {
    const applyFd = owner.ownFd(eventfd());
    this.#routing = new GsiRouting(vm, () => signalEventfd(applyFd));
    this.#lines = new GsiLines(vm);
    const onFull = () => {
      if (!this.#isFull) warn(ROUTES_FULL);
      this.#isFull = true;
    };
    this.#vectors = { vm, routing: this.#routing, events, onFull };
    events.watch(applyFd, () => this.#routing.apply());
  }

  /** A wire to GSI 0-23: ISA interrupts 0-15 reach the 8259s and the IOAPIC, the others the IOAPIC alone. */
  line(gsi: number): InterruptLine {
    if (!isPin(gsi)) throw new RangeError(`GSI ${gsi} is not a pin of an interrupt controller`);
    return this.#lines.line(gsi);
  }

  /** A vector, which takes a GSI once it has a message and an eventfd. */
  allocateMsi(): MsiVector {
    return new IrqfdVector(this.#vectors);
  }

  /** GSIs that MSI vectors hold. */
  get allocatedGsis(): number {
    return this.#routing.allocated;
  }

  /** The lines that devices assert. KVM has them too, but neither KVM_GET_IRQCHIP nor anything else reads them. */
  save(): DeviceState {
    return { lines: Uint8Array.from(this.#lines.high) };
  }

  /**
   * Asserts the lines that were asserted, until `settle`. Call it before the state of the interrupt controllers is
   * loaded, so that a device that asserts its line again as it is loaded causes no second edge.
   * @throws DeviceStateError
   */
  load(state: DeviceState): void {
    const lines = [...bytesOf(state, 'lines')];
    if (!lines.every(isPin)) throw new DeviceStateError('lines', `list of GSIs below ${IOAPIC_NUM_PINS}`);
    this.#lines.hold(lines);
  }

  /** Call it once all devices have been loaded: from here on devices determine their lines. */
  settle(): void {
    this.#lines.release();
  }
}

const ROUTES_FULL =
  `all ${MAX_MSI_ROUTES} interrupt routes that KVM has for a VM are in use: further MSI vectors are served by the machine ` +
  'thread, which is slower; give the VM fewer devices, or devices with fewer queues';

function isPin(gsi: number): boolean {
  return Number.isInteger(gsi) && gsi >= 0 && gsi < IOAPIC_NUM_PINS;
}
