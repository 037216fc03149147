import type { AccessSize, Device, DeviceState, IoHandler } from '../../device.ts';
import type { MachineServices } from '../../machine-services.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { booleanOf, bytesOf, stateOf } from '../../state.ts';
import type { SdDevice, SdResponse } from '../sd-device.ts';
import { RegisterFile } from './register-file.ts';
import {
  AUTO_COMMAND_ERROR,
  BLOCK_GAP,
  CLOCK,
  COMMAND,
  ERROR,
  INTERRUPT,
  MODE,
  POWER,
  PRESENT,
  REG,
  REGISTER_BYTES,
  RESET,
} from './registers.ts';
import { SdSlot } from './slot.ts';
import { Transfer } from './transfer.ts';

/** QEMU's sdhci-pci: drivers match the class, an SD host controller with DMA. */
const IDENTITY = { vendor: 0x1b36, device: 0x0007, revision: 0x00, classCode: 0x08_05_01 } as const;
/** Slot information (Appendix A.2 of the specification): one slot, whose registers are in BAR 0. */
const SLOT_INFORMATION = 0x40;
const SET_BLOCK_COUNT = 23;
const STOP_TRANSMISSION = 12;
const SHAPE: readonly number[] = [REG.blockSize, REG.blockCount, REG.transferMode];

/** A PCI SD host controller with one slot (SD Host Controller Simplified Specification 3.00). */
export class SdhciController implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly slot: SdSlot;
  readonly #registers = new RegisterFile();
  readonly #transfer: Transfer;
  /** Whether the end of a command or transfer waits until the card is no longer busy. */
  #awaitsCard = false;

  constructor(name: string, { memory }: MachineServices) {
    this.name = name;
    this.function = new PciFunction(name, IDENTITY);
    this.function.addInterruptPin();
    this.function.config.define(SLOT_INFORMATION, 1, 0);
    this.function.addBar(0, { kind: 'memory32', size: REGISTER_BYTES, handler: this.#handler });
    this.function.onBusReset(() => this.#resetAll());
    this.slot = new SdSlot(name, {
      inserted: card => {
        card.onReady = () => this.#checkCard();
        this.#raise(INTERRUPT.insertion);
      },
      removed: card => {
        card.onReady = null;
        if (this.#transfer.isActive) this.#transfer.fail(ERROR.dataTimeout);
        else if (this.#awaitsCard) this.#raiseError(ERROR.dataTimeout);
        this.#awaitsCard = false;
        this.#raise(INTERRUPT.removal);
      },
    });
    this.#transfer = new Transfer({
      registers: this.#registers,
      memory: new BusMaster(this.function, memory),
      card: () => this.#card,
      raise: bits => this.#raise(bits),
      fail: error => this.#raiseError(error),
      moved: () => this.#moved(),
    });
  }

  reset(): void {
    this.function.reset();
    this.#resetAll();
  }

  resume(): void {
    this.#transfer.resume();
    this.#checkCard();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      registers: this.#registers.save(),
      transfer: this.#transfer.save(),
      awaitsCard: this.#awaitsCard,
    };
  }

  load(state: DeviceState): void {
    const registers = bytesOf(state, 'registers');
    const awaitsCard = booleanOf(state, 'awaitsCard');
    this.#transfer.load(stateOf(state, 'transfer'));
    this.function.load(stateOf(state, 'function'));
    this.#registers.load(registers);
    this.#awaitsCard = awaitsCard;
    this.#update();
  }

  close(): void {
    this.function.close();
  }

  readonly #handler: IoHandler = {
    read: (offset, size) => {
      if (offset % size !== 0) return bytewise(this.#handler, offset, size);
      if (isBufferPort(offset)) return this.#transfer.readPort(size);
      this.#refresh();
      return this.#registers.get(offset, size);
    },
    write: (offset, size, value) => {
      if (offset % size !== 0) {
        for (let byte = 0; byte < size; byte++)
          this.#handler.write(offset + byte, 1, (value >>> (8 * byte)) & 0xff);
      } else if (isBufferPort(offset)) this.#transfer.writePort(size, value);
      else
        for (const { at, bits, mask } of this.#registers.written(offset, size, value))
          this.#write(at, bits, mask);
    },
  };

  /** The card, if it has power and a clock. */
  get #card(): SdDevice | null {
    const NEEDED = CLOCK.internal | CLOCK.card;
    const hasClock = (this.#registers.get(REG.clockControl, 2) & NEEDED) === NEEDED;
    const hasPower = (this.#registers.get(REG.powerControl, 1) & POWER.on) !== 0;
    return hasClock && hasPower ? this.slot.card : null;
  }

  /** Updates registers that are derived from other state. */
  #refresh(): void {
    const { card } = this.slot;
    const registers = this.#registers;
    const detected = card === null ? PRESENT.writeProtectPin : PRESENT.inserted | PRESENT.detectPin;
    const present =
      this.#transfer.presentState |
      (this.#isDataInhibited ? PRESENT.dataInhibit : 0) |
      detected |
      PRESENT.stable |
      (card?.isWriteProtected === false ? PRESENT.writeProtectPin : 0) |
      (card?.isBusy ? PRESENT.dataLevels & ~PRESENT.dataLevel0 : PRESENT.dataLevels) |
      PRESENT.commandLevel;
    registers.set(REG.presentState, 4, present);
    registers.set(REG.slotInterrupts, 2, this.#level ? 1 : 0);
    const hasError = registers.get(REG.errorStatus, 2) !== 0;
    const status = registers.get(REG.status, 2) & INTERRUPT.enableable;
    registers.set(REG.status, 2, status | (hasError ? INTERRUPT.error : 0));
  }

  get #isDataInhibited(): boolean {
    return this.#transfer.isActive || this.#awaitsCard;
  }

  #write(at: number, bits: number, mask: number): void {
    const registers = this.#registers;
    switch (at) {
      case REG.status:
      case REG.errorStatus:
      case REG.autoCommandErrors:
        if (at !== REG.autoCommandErrors) registers.set(at, 2, registers.get(at, 2) & ~bits);
        this.#update();
        return;
      case REG.softwareReset:
        if (bits & RESET.all) this.#resetAll();
        if (bits & RESET.command) this.#clear(INTERRUPT.commandComplete);
        if (bits & RESET.data) this.#resetData();
        return;
      case REG.forceErrors:
        this.#raiseError(bits & ERROR.enableable);
        return;
      case REG.forceAutoCommandErrors:
        this.#autoCommandFailed(bits & AUTO_COMMAND_ERROR.forceable);
        return;
    }
    // The parameters of a transfer cannot change while it runs (§2.2.2 to §2.2.5).
    if (SHAPE.includes(at) && this.#isDataInhibited) return;
    registers.write(at, bits, mask);
    switch (at) {
      case REG.systemAddress:
        // Writing the highest byte continues a waiting transfer.
        if (mask & 0xff00_0000) this.#transfer.addressWritten();
        break;
      case REG.command:
        if (mask & 0xff00) this.#issue();
        break;
      case REG.powerControl:
        if (!(bits & POWER.on)) this.#powerOff();
        break;
      case REG.clockControl: {
        const clock = registers.get(at, 2) & ~CLOCK.stable;
        registers.set(at, 2, clock & CLOCK.internal ? clock | CLOCK.stable : clock);
        break;
      }
      case REG.blockGapControl:
        if (bits & BLOCK_GAP.continue) this.#transfer.continueAfterGap();
        break;
      case REG.statusEnable:
        this.#clear(~registers.get(at, 2));
        break;
      case REG.errorStatusEnable:
        registers.set(REG.errorStatus, 2, registers.get(REG.errorStatus, 2) & registers.get(at, 2));
        this.#update();
        break;
      case REG.signalEnable:
      case REG.errorSignalEnable:
        this.#update();
        break;
    }
  }

  /** The command register has been written (§2.2.6). */
  #issue(): void {
    const registers = this.#registers;
    const command = registers.get(REG.command, 2);
    const mode = registers.get(REG.transferMode, 2);
    const responseType = command & COMMAND.responseMask;
    const hasData = (command & COMMAND.hasData) !== 0;
    const isAbort = (command & COMMAND.typeMask) === COMMAND.abort;
    const needsData = hasData || (responseType === COMMAND.busyResponse && !isAbort);
    // A command that is issued too early is ignored.
    if (needsData && this.#isDataInhibited) return;
    const card = this.#card;
    if (hasData && mode & MODE.multiple && (mode & MODE.autoCommandMask) === MODE.autoCommand23) {
      if ((card?.command(SET_BLOCK_COUNT, registers.get(REG.systemAddress, 4)) ?? null) === null) {
        this.#autoCommandFailed(AUTO_COMMAND_ERROR.timeout | AUTO_COMMAND_ERROR.notIssued);
        return;
      }
    }
    const response = card?.command(command >>> COMMAND.indexShift, registers.get(REG.argument, 4)) ?? null;
    const wasBusy = this.#awaitsCard;
    if (!this.#takeResponse(response, responseType)) return;
    this.#raise(INTERRUPT.commandComplete);
    if (hasData) {
      this.#transfer.begin();
      return;
    }
    // The data ends with the command that stops it.
    const isStopped = this.#transfer.isActive && !wasBusy && (card?.data ?? null) === null;
    if (isStopped) this.#transfer.drop();
    if (isStopped || responseType === COMMAND.busyResponse) this.#awaitsCard = true;
    this.#checkCard();
  }

  /** @returns whether it is the response that the driver expects */
  #takeResponse(response: SdResponse | null, type: number): boolean {
    if (type === 0) return true;
    if (response === null) {
      this.#raiseError(ERROR.commandTimeout);
      return false;
    }
    if ((response.kind === 'long') !== (type === COMMAND.longResponse)) {
      this.#raiseError(ERROR.commandEndBit);
      return false;
    }
    if (response.kind === 'short') this.#registers.set(REG.response, 4, response.value);
    else
      response.bytes.toReversed().forEach((byte, index) => {
        this.#registers.set(REG.response + index, 1, byte);
      });
    return true;
  }

  /** All blocks have been moved. */
  #moved(): void {
    const mode = this.#registers.get(REG.transferMode, 2);
    const isStopped = (mode & MODE.multiple) !== 0 && (mode & MODE.autoCommandMask) === MODE.autoCommand12;
    if (isStopped) {
      const response = this.#card?.command(STOP_TRANSMISSION, 0) ?? null;
      if (response?.kind === 'short') this.#registers.set(REG.response + 12, 4, response.value);
      else this.#autoCommandFailed(AUTO_COMMAND_ERROR.timeout);
    }
    this.#awaitsCard = true;
    this.#checkCard();
  }

  #checkCard(): void {
    if (!this.#awaitsCard || this.slot.card?.isBusy) return;
    this.#awaitsCard = false;
    this.#raise(INTERRUPT.transferComplete);
  }

  #autoCommandFailed(bits: number): void {
    this.#registers.set(REG.autoCommandErrors, 2, bits);
    if (bits !== 0) this.#raiseError(ERROR.autoCommand);
  }

  #powerOff(): void {
    this.slot.card?.powerOff();
    this.#transfer.drop();
    this.#awaitsCard = false;
  }

  #resetAll(): void {
    this.#powerOff();
    this.#registers.reset();
    this.#update();
  }

  /** Resets the data lines (§2.2.20), but not the card. */
  #resetData(): void {
    this.#transfer.drop();
    this.#awaitsCard = false;
    this.#registers.set(REG.blockGapControl, 1, 0);
    const { transferComplete, blockGap, dma, bufferReadReady, bufferWriteReady } = INTERRUPT;
    this.#clear(transferComplete | blockGap | dma | bufferReadReady | bufferWriteReady);
  }

  #clear(bits: number): void {
    this.#registers.set(REG.status, 2, this.#registers.get(REG.status, 2) & ~bits);
    this.#update();
  }

  #raise(bits: number): void {
    const registers = this.#registers;
    const enabled = bits & registers.get(REG.statusEnable, 2);
    registers.set(REG.status, 2, registers.get(REG.status, 2) | enabled);
    this.#update();
  }

  #raiseError(bits: number): void {
    const registers = this.#registers;
    const enabled = bits & registers.get(REG.errorStatusEnable, 2);
    registers.set(REG.errorStatus, 2, registers.get(REG.errorStatus, 2) | enabled);
    this.#update();
  }

  get #level(): boolean {
    const registers = this.#registers;
    const normal = registers.get(REG.status, 2) & registers.get(REG.signalEnable, 2);
    const errors = registers.get(REG.errorStatus, 2) & registers.get(REG.errorSignalEnable, 2);
    return (normal | errors) !== 0;
  }

  #update(): void {
    this.function.setInterrupt(this.#level);
  }
}

const isBufferPort = (offset: number) => offset >= REG.bufferData && offset < REG.bufferData + 4;

function bytewise(handler: IoHandler, offset: number, size: AccessSize): number {
  let value = 0;
  for (let byte = 0; byte < size; byte++) value |= handler.read(offset + byte, 1) << (8 * byte);
  return value >>> 0;
}
