import type { DeviceState } from '../../device.ts';
import { SENSE, type Sense } from '../../scsi/sense.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { Drive } from '../drive.ts';
import { CD_BLOCK, MEDIA_EVENT } from './mmc.ts';

/** A unit attention: what a host is told by the failure of its next command. */
type Attention = 'powerOn' | 'mediumChanged';
const ATTENTIONS: readonly Attention[] = ['powerOn', 'mediumChanged'];

/** What a CD drive is like between two commands: its tray and the lock of that, and what a host has yet to hear of them. */
export class CdUnit {
  readonly #drive: Drive;
  /** Of the last command, if that has failed. */
  sense: Sense = SENSE.none;
  mediaEvent: number = MEDIA_EVENT.none;
  readonly #attentions = new Set<Attention>(['powerOn']);
  #isOpen = false;
  #isLocked = false;

  constructor(drive: Drive) {
    this.#drive = drive;
  }

  /** The tray is open. */
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

  /** Blocks of the medium that can be read; null: there is none. */
  get blocks(): number | null {
    const { disk } = this.#drive;
    return disk === null || this.#isOpen ? null : Math.floor(disk.size / CD_BLOCK);
  }

  /** The first thing that a host has not been told, of which it then has been; null: there is none. */
  takeAttention(): Sense | null {
    const [attention] = this.#attentions;
    if (attention === undefined) return null;
    this.#attentions.delete(attention);
    return SENSE[attention];
  }

  /** The host opens or closes the tray. @returns whether the lock lets it */
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

  /** The drive has another medium, or none: that is what an open tray looks like. */
  mediumChanged(): void {
    const isLoaded = this.hasMedium;
    this.#isOpen = !isLoaded;
    this.mediaEvent = isLoaded ? MEDIA_EVENT.newMedia : MEDIA_EVENT.removal;
    if (isLoaded) this.#attentions.add('mediumChanged');
    // One that was taken by force is not locked any more.
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

  /** @returns what takes it over. @throws DeviceStateError */
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
