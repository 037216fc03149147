import type { Device, DeviceState } from '../../device.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { stateOf } from '../../state.ts';
import type { NicPort } from '../nic-port.ts';
import type { CardParts } from '../nic-rows.ts';
import { Ne2000 } from './ne2000.ts';
import { NE2000_PORTS } from './registers.ts';

const REALTEK = 0x10ec;
const RTL8029 = 0x8029;

/** Realtek's RTL8029AS: an NE2000 on PCI, without bus mastering. */
export class Ne2kPci implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly #card: Ne2000;
  readonly #port: NicPort;

  constructor({ name, mac, port }: CardParts) {
    this.name = name;
    this.#port = port;
    this.function = new PciFunction(name, {
      ...{ vendor: REALTEK, device: RTL8029, revision: 0, classCode: 0x02_0000 },
      ...{ subsystemVendor: REALTEK, subsystem: RTL8029 },
    });
    const interrupt = (level: boolean) => this.function.setInterrupt(level);
    this.#card = new Ne2000({ mac, port, interrupt, isRealtek: true });
    this.function.addBar(0, { kind: 'io', size: NE2000_PORTS, handler: this.#card });
    this.function.addInterruptPin();
    this.function.onBusReset(() => this.#card.reset());
  }

  reset(): void {
    this.function.reset();
    this.#card.reset();
  }

  quiesce(done: () => void): void {
    this.#port.quiesce();
    done();
  }

  resume(): void {
    this.#port.resume();
    this.#card.transmit();
  }

  save(): DeviceState {
    return { function: this.function.save(), card: this.#card.save(), port: this.#port.save() };
  }

  load(state: DeviceState): void {
    this.#card.load(stateOf(state, 'card'));
    this.#port.load(stateOf(state, 'port'));
    this.function.load(stateOf(state, 'function'));
  }

  close(): void {
    this.#port.close();
    this.function.close();
  }
}
