import type { DeviceState } from '../../device.ts';
import { SENSE, type Sense } from '../../scsi/sense.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { Drive } from '../drive.ts';
import { CD_BLOCK, MEDIA_EVENT } from './mmc.ts';

/** A unit attention: reported to a host by failing its next command. */
type Attention = 'powerOn' | 'mediumChanged';
const ATTENTIONS: readonly Attention[] = ['powerOn', 'mediumChanged'];

/** The state of a CD drive between commands: its tray and lock, and what has not been reported to the host yet. */
export class CdUnit {
  readonly #drive: Drive;
  /** The sense data of the last command, if it failed. */
  sense: Sense = SENSE.none;
  mediaEvent: number = MEDIA_EVENT.none;
  readonly #attentions = new Set<Attention>(['powerOn']);
  #isOpen = false;
  #isLocked = false;

  constructor(drive: Drive) {
    this.#drive = drive;
  }

  /** Whether the tray is open. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isLocked(): boolean {
    return this.#isLocked;
  }

  set isLocked(locked: boolean) {
    this.#isLocked = locked;
    this.#drive.changed();
  }

  get hasMedium(): boolean {
    return this.#drive.disk !== null;
  }

  /** The readable blocks of the medium; null if there is none. */
  get blocks(): number | null {
    const { disk } = this.#drive;
    return disk === null || this.#isOpen ? null : Math.floor(disk.size / CD_BLOCK);
  }

  /** The first unreported attention, which counts as reported from then on; null if there is none. */
  takeAttention(): Sense | null {
    const [attention] = this.#attentions;
    if (attention === undefined) return null;
    this.#attentions.delete(attention);
    return SENSE[attention];
  }

  /** Opens or closes the tray for the host. @returns whether the lock permits it */
  move(open: boolean): boolean {
    if (open && this.#isLocked) return false;
    if (open === this.#isOpen) return true;
    this.#isOpen = open;
    if (this.hasMedium) {
      this.mediaEvent = open ? MEDIA_EVENT.removal : MEDIA_EVENT.newMedia;
      if (!open) this.#attentions.add('mediumChanged');
    }
    this.#drive.changed();
    return true;
  }

  /** The drive has another medium or none, which looks like an open tray. */
  mediumChanged(): void {
    const isLoaded = this.hasMedium;
    this.#isOpen = !isLoaded;
    this.mediaEvent = isLoaded ? MEDIA_EVENT.newMedia : MEDIA_EVENT.removal;
    if (isLoaded) this.#attentions.add('mediumChanged');
    // A medium that was removed by force is no longer locked.
    if (!isLoaded) this.#isLocked = false;
    this.#drive.changed();
  }

  reset(): void {
    this.sense = SENSE.none;
    this.#attentions.clear();
    this.#attentions.add('powerOn');
    this.mediaEvent = MEDIA_EVENT.none;
    this.#isOpen = false;
    this.#isLocked = false;
  }

  save(): DeviceState {
    return {
      sense: { ...this.sense },
      attentions: ATTENTIONS.reduce(
        (bits, name, bit) => bits | (this.#attentions.has(name) ? 1 << bit : 0),
        0,
      ),
      mediaEvent: this.mediaEvent,
      trayOpen: this.#isOpen,
      locked: this.#isLocked,
    };
  }

  /** @returns a function that takes the state over. @throws DeviceStateError */
  prepare(state: DeviceState): () => void {
    const saved = stateOf(state, 'sense');
    const sense = {
      key: numberOf(saved, 'key', 0xf),
      asc: numberOf(saved, 'asc', 0xff),
      ascq: numberOf(saved, 'ascq', 0xff),
    };
    const attentions = numberOf(state, 'attentions', 2 ** ATTENTIONS.length - 1);
    const mediaEvent = numberOf(state, 'mediaEvent', MEDIA_EVENT.removal);
    const [trayOpen, locked] = [booleanOf(state, 'trayOpen'), booleanOf(state, 'locked')];
    return () => {
      this.sense = sense;
      this.#attentions.clear();
      ATTENTIONS.forEach((name, bit) => {
        if (attentions & (1 << bit)) this.#attentions.add(name);
      });
      this.mediaEvent = mediaEvent;
      this.#isOpen = trayOpen;
      this.#isLocked = locked;
    };
  }
}
