import type { FakeMsi } from '../../support/fake-machine.ts';
import type { ConfigOf } from '../../support/pci-device.ts';

const CAP = { express: 0x10, msi: 0x05 } as const;
const LINK = { capabilities: 12, status: 18, reportsActive: 1 << 20, active: 1 << 13 } as const;
const SLOT = { capabilities: 20, control: 24, status: 26 } as const;
const CAPABLE = { button: 1, power: 2, hotplug: 1 << 6 } as const;
const CONTROL = {
  attentionPressed: 1 << 0,
  presenceChanged: 1 << 3,
  commandCompleted: 1 << 4,
  interrupt: 1 << 5,
  powerIndicator: 0x300,
  indicatorOn: 0x100,
  indicatorBlink: 0x200,
  indicatorOff: 0x300,
  powerOff: 1 << 10,
  linkChanged: 1 << 12,
} as const;
const STATUS = { attention: 1, presenceChanged: 8, completed: 16, present: 64, linkChanged: 256 } as const;
const EVENTS = STATUS.attention | 2 | STATUS.presenceChanged | STATUS.completed | STATUS.linkChanged;

type State = 'off' | 'blinking-on' | 'on' | 'blinking-off';

/**
 * Drives a root port's slot like Linux 6.12's pciehp (drivers/pci/hotplug/pciehp_hpc.c and pciehp_ctrl.c), register by
 * register. What Linux does after five seconds of blinking, `elapse` does.
 */
export class PciehpDriver {
  readonly #port: ConfigOf;
  readonly #vector: FakeMsi | null;
  readonly #express: number;
  state: State;
  /** What it did, in order. */
  readonly log: string[] = [];
  #sent = 0;

  /** @param vector the port's, for MSI; null to use INTx */
  constructor(port: ConfigOf, vector: FakeMsi | null) {
    this.#port = port;
    this.#vector = vector;
    this.#express = port.capability(CAP.express);
    const capable = this.#read(SLOT.capabilities, 4);
    const needed = CAPABLE.button | CAPABLE.power | CAPABLE.hotplug;
    if ((capable & needed) !== needed) throw new Error('the slot is not for pciehp');
    if ((this.#read(LINK.capabilities, 4) & LINK.reportsActive) === 0) throw new Error('no link reporting');
    if (vector !== null) this.#enableMsi();
    // pcie_init: clear all events; a slot that has power without a device loses it.
    this.#write(SLOT.status, EVENTS);
    this.state = this.present ? 'on' : 'off';
    // pcie_enable_notification: with a button no interrupt for the presence.
    this.#command(
      CONTROL.linkChanged | CONTROL.attentionPressed | CONTROL.commandCompleted | CONTROL.interrupt,
      0,
    );
    this.interrupts();
    this.log.length = 0;
  }

  get physicalSlot(): number {
    return this.#read(SLOT.capabilities, 4) >>> 19;
  }

  get present(): boolean {
    return (this.#read(SLOT.status, 2) & STATUS.present) !== 0;
  }

  get linkActive(): boolean {
    return (this.#read(LINK.status, 2) & LINK.active) !== 0;
  }

  get powered(): boolean {
    return (this.#read(SLOT.control, 2) & CONTROL.powerOff) === 0;
  }

  get powerIndicator(): 'on' | 'blink' | 'off' | 'reserved' {
    return (['reserved', 'on', 'blink', 'off'] as const)[
      (this.#read(SLOT.control, 2) & CONTROL.powerIndicator) >>> 8
    ]!;
  }

  /** Handles all interrupts that have arrived (pciehp_isr, pciehp_ist). */
  interrupts(): void {
    for (let round = 0; this.#takeInterrupt(); round++) {
      if (round > 20) throw new Error('the interrupt does not end');
      const events = this.#takeEvents();
      if (events & STATUS.attention) this.#buttonPressed();
      if (events & (STATUS.presenceChanged | STATUS.linkChanged)) this.#changed();
    }
  }

  /** Five seconds pass. */
  elapse(): void {
    if (this.state === 'blinking-on') this.#enable();
    else if (this.state === 'blinking-off') this.#disable();
    this.interrupts();
  }

  /** `echo 0 > /sys/bus/pci/slots/N/power`, and `echo 1`. */
  setPower(on: boolean): void {
    if (on) this.#enable();
    else this.#disable();
    this.interrupts();
  }

  #takeInterrupt(): boolean {
    const vector = this.#vector;
    if (vector === null) return (this.#port.read(0x06, 2) & 8) !== 0;
    const isNew = vector.sent.length > this.#sent;
    this.#sent = vector.sent.length;
    return isNew;
  }

  /** Reads and clears the status until nothing is left: with MSI, what is left would never interrupt again. */
  #takeEvents(): number {
    let events = 0;
    for (;;) {
      const status = this.#read(SLOT.status, 2) & EVENTS;
      if (status === 0) return events;
      events |= status;
      this.#write(SLOT.status, status);
    }
  }

  #buttonPressed(): void {
    this.log.push('button');
    switch (this.state) {
      case 'off':
      case 'on':
        this.state = this.state === 'off' ? 'blinking-on' : 'blinking-off';
        this.#command(CONTROL.indicatorBlink, CONTROL.powerIndicator);
        break;
      case 'blinking-off':
        this.state = 'on';
        this.#command(CONTROL.indicatorOn, CONTROL.powerIndicator);
        break;
      case 'blinking-on':
        this.state = 'off';
        this.#command(CONTROL.indicatorOff, CONTROL.powerIndicator);
        break;
    }
  }

  /** pciehp_handle_presence_or_link_change */
  #changed(): void {
    if (this.state === 'on' || this.state === 'blinking-off') {
      if (this.present && this.linkActive) return;
      this.log.push('gone');
      this.#powerOff();
    } else if (this.present || this.linkActive) this.#enable();
  }

  /** pciehp_enable_slot, board_added */
  #enable(): void {
    this.#write(SLOT.status, 2);
    this.#command(0, CONTROL.powerOff);
    this.#command(CONTROL.indicatorBlink, CONTROL.powerIndicator);
    if (!this.linkActive) throw new Error('the link does not come up');
    this.#command(CONTROL.indicatorOn, CONTROL.powerIndicator);
    this.state = 'on';
    this.log.push('enabled');
  }

  /** pciehp_disable_slot, remove_board: the drivers have released the device before. */
  #disable(): void {
    this.log.push('disabled');
    this.#powerOff();
  }

  #powerOff(): void {
    this.#command(CONTROL.powerOff, CONTROL.powerOff);
    // It ignores the link change that it caused itself.
    this.#write(SLOT.status, STATUS.linkChanged | STATUS.presenceChanged);
    this.#command(CONTROL.indicatorOff, CONTROL.powerIndicator);
    this.state = 'off';
  }

  /** pcie_do_write_cmd: waits for the completion of each command. */
  #command(bits: number, mask: number): void {
    const control = this.#read(SLOT.control, 2);
    this.#write(SLOT.status, STATUS.completed);
    this.#write(SLOT.control, (control & ~mask) | bits);
    if ((this.#read(SLOT.status, 2) & STATUS.completed) === 0)
      throw new Error('the command does not complete');
    this.#write(SLOT.status, STATUS.completed);
  }

  #enableMsi(): void {
    const msi = this.#port.capability(CAP.msi);
    this.#port.write(0x04, 2, this.#port.read(0x04, 2) | 0x404);
    this.#port.write(msi + 4, 4, 0xfee0_0000);
    this.#port.write(msi + 12, 2, 0x41);
    this.#port.write(msi + 2, 2, 1);
  }

  #read(offset: number, size: 2 | 4): number {
    return this.#port.read(this.#express + offset, size);
  }

  #write(offset: number, value: number): void {
    this.#port.write(this.#express + offset, 2, value);
  }
}
