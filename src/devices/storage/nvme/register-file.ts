import type { AccessSize, DeviceState } from '../../device.ts';
import { booleanOf, numberOf } from '../../state.ts';
import {
  CAP,
  CAP_HIGH,
  CC,
  COMPLETION_SHIFT,
  CSTS,
  MAX_ENTRIES,
  MAX_PAGE_SHIFT,
  MIN_ENTRIES,
  PAGE,
  REG,
  SUBMISSION_SHIFT,
  VERSION_1_4,
} from './registers.ts';

const MAX_32 = 2 ** 32 - 1;
/** A reset waits for requests that the host has: 20 s, in units of 500 ms. */
const TIMEOUT = 40;
const CAP_LOW = ((MAX_ENTRIES - 1) | CAP.contiguous | (TIMEOUT << CAP.timeoutShift)) >>> 0;
/** What a driver sets before it enables the controller, and cannot change while it is. */
const FIXED_WHILE_ENABLED = CC.commandSet | (0xf << CC.pageShift) | CC.arbitration;
const ADMIN_SIZES = 0x0fff_0fff;
/** Registers in which ones act: a narrow write does not affect the other bytes. */
const ACTING: ReadonlySet<number> = new Set([REG.intms, REG.intmc]);

/** What a driver does by writing to registers. */
export type RegisterHost = {
  readonly enable: () => void;
  readonly disable: () => void;
  readonly shutDown: () => void;
  readonly maskChanged: () => void;
};

/** An admin queue, as a driver has set it up. */
export type AdminQueue = { readonly base: number; readonly entries: number };

/** The registers of a controller (NVMe base 1.4 §3.1), apart from doorbells. */
export class RegisterFile {
  readonly #host: RegisterHost;
  #cc = 0;
  #mask = 0;
  #sizes = 0;
  /** The bases of the admin queues, in halves. */
  readonly #bases = { asq: 0, asqHigh: 0, acq: 0, acqHigh: 0 };
  isReady = false;
  isFatal = false;
  shutdown: 'none' | 'occurring' | 'complete' = 'none';

  constructor(host: RegisterHost) {
    this.#host = host;
  }

  /** Power-on. */
  reset(): void {
    this.#cc = 0;
    this.#sizes = 0;
    Object.assign(this.#bases, { asq: 0, asqHigh: 0, acq: 0, acqHigh: 0 });
    this.controllerReset();
  }

  /** Resets what a reset of the controller does (§7.3.1): the admin queues are kept. */
  controllerReset(): void {
    this.#mask = 0;
    this.isReady = false;
    this.isFatal = false;
    this.shutdown = 'none';
  }

  get isEnabled(): boolean {
    return (this.#cc & CC.enable) !== 0;
  }

  /** Bytes of a page. */
  get page(): number {
    return PAGE << ((this.#cc >>> CC.pageShift) & 0xf);
  }

  /** INTMS. */
  get mask(): number {
    return this.#mask;
  }

  /** Whether the driver has set the sizes of the entries of queues for I/O. */
  get hasEntrySizes(): boolean {
    const submission = (this.#cc >>> CC.submissionEntryShift) & 0xf;
    const completion = (this.#cc >>> CC.completionEntryShift) & 0xf;
    return submission === SUBMISSION_SHIFT && completion === COMPLETION_SHIFT;
  }

  /** The admin queues; null if a driver enables the controller with settings that it does not support. */
  get adminQueues(): { readonly submission: AdminQueue; readonly completion: AdminQueue } | null {
    const { asq, asqHigh, acq, acqHigh } = this.#bases;
    const submission = { base: asqHigh * 2 ** 32 + asq, entries: (this.#sizes & 0xfff) + 1 };
    const completion = { base: acqHigh * 2 ** 32 + acq, entries: ((this.#sizes >>> 16) & 0xfff) + 1 };
    const isSupported =
      (this.#cc & (CC.commandSet | CC.arbitration)) === 0 &&
      ((this.#cc >>> CC.pageShift) & 0xf) <= MAX_PAGE_SHIFT;
    const areValid = [submission, completion].every(
      ({ base, entries }) =>
        entries >= MIN_ENTRIES && base % this.page === 0 && Number.isSafeInteger(base + 2 ** 32),
    );
    return isSupported && areValid ? { submission, completion } : null;
  }

  read(offset: number, size: AccessSize): number {
    const value = this.#read(offset & ~3) >>> (8 * (offset & 3));
    return size === 4 ? value : value & (2 ** (8 * size) - 1);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const at = offset & ~3;
    if (size === 4) {
      this.#write(at, value);
      return;
    }
    const shift = 8 * (offset & 3);
    const mask = (2 ** (8 * size) - 1) << shift;
    const others = ACTING.has(at) ? 0 : this.#read(at) & ~mask;
    this.#write(at, (others | ((value << shift) & mask)) >>> 0);
  }

  save(): DeviceState {
    const { isReady, isFatal, shutdown } = this;
    return {
      ...{ cc: this.#cc, mask: this.#mask, sizes: this.#sizes, isReady, isFatal },
      ...{ isShuttingDown: shutdown === 'occurring', isShutDown: shutdown === 'complete' },
      ...this.#bases,
    };
  }

  /** @returns takes the checked state over. @throws DeviceStateError */
  load(state: DeviceState): () => void {
    const word = (key: string) => numberOf(state, key, MAX_32);
    const [cc, mask, sizes] = [word('cc'), word('mask'), word('sizes')];
    const [asq, asqHigh, acq, acqHigh] = [word('asq'), word('asqHigh'), word('acq'), word('acqHigh')];
    const [isReady, isFatal] = [booleanOf(state, 'isReady'), booleanOf(state, 'isFatal')];
    const isShuttingDown = booleanOf(state, 'isShuttingDown');
    const isShutDown = booleanOf(state, 'isShutDown');
    return () => {
      this.#cc = (cc & CC.writable) >>> 0;
      this.#mask = mask;
      this.#sizes = (sizes & ADMIN_SIZES) >>> 0;
      Object.assign(this.#bases, { asq, asqHigh, acq, acqHigh });
      this.isReady = isReady && this.isEnabled && this.adminQueues !== null;
      this.isFatal = isFatal;
      this.shutdown = isShuttingDown ? 'occurring' : isShutDown ? 'complete' : 'none';
    };
  }

  #read(offset: number): number {
    switch (offset) {
      case REG.cap:
        return CAP_LOW;
      case REG.capHigh:
        return CAP_HIGH.nvmCommands | (MAX_PAGE_SHIFT << CAP_HIGH.maxPageShift);
      case REG.vs:
        return VERSION_1_4;
      case REG.intms:
      case REG.intmc:
        return this.#mask;
      case REG.cc:
        return this.#cc;
      case REG.csts:
        return this.#status;
      case REG.aqa:
        return this.#sizes;
      case REG.asq:
        return this.#bases.asq;
      case REG.asqHigh:
        return this.#bases.asqHigh;
      case REG.acq:
        return this.#bases.acq;
      case REG.acqHigh:
        return this.#bases.acqHigh;
      default:
        return 0;
    }
  }

  get #status(): number {
    const shutdown = {
      none: 0,
      occurring: CSTS.shutdownOccurring,
      complete: CSTS.shutdownComplete,
    }[this.shutdown];
    return (this.isReady ? CSTS.ready : 0) | (this.isFatal ? CSTS.fatal : 0) | shutdown;
  }

  #write(offset: number, value: number): void {
    switch (offset) {
      case REG.intms:
        this.#mask = (this.#mask | value) >>> 0;
        this.#host.maskChanged();
        break;
      case REG.intmc:
        this.#mask = (this.#mask & ~value) >>> 0;
        this.#host.maskChanged();
        break;
      case REG.cc:
        this.#configure(value);
        break;
      default:
        if (!this.isEnabled) this.#writeQueues(offset, value);
    }
  }

  #writeQueues(offset: number, value: number): void {
    switch (offset) {
      case REG.aqa:
        this.#sizes = (value & ADMIN_SIZES) >>> 0;
        break;
      // The low bits are reserved.
      case REG.asq:
        this.#bases.asq = (value & ~(PAGE - 1)) >>> 0;
        break;
      case REG.asqHigh:
        this.#bases.asqHigh = value;
        break;
      case REG.acq:
        this.#bases.acq = (value & ~(PAGE - 1)) >>> 0;
        break;
      case REG.acqHigh:
        this.#bases.acqHigh = value;
        break;
    }
  }

  #configure(value: number): void {
    const before = this.#cc;
    const fixed = before & value & CC.enable ? FIXED_WHILE_ENABLED : 0;
    this.#cc = ((value & CC.writable & ~fixed) | (before & fixed)) >>> 0;
    if (before & ~this.#cc & CC.enable) {
      this.#host.disable();
      return;
    }
    if (~before & this.#cc & CC.enable) this.#host.enable();
    if ((before & CC.shutdown) === 0 && (this.#cc & CC.shutdown) !== 0) this.#host.shutDown();
  }
}
