import type { DeviceState } from '../device.ts';
import { DeviceStateError, numberOf } from '../state.ts';

export const LOCALITIES = 5;

/** TPM_ACCESS (TCG PC Client Platform TPM Profile 1.05 §6.5.2.4). */
export const ACCESS = {
  /** No dynamic launch has been done. */
  establishment: 1 << 0,
  requestUse: 1 << 1,
  pendingRequest: 1 << 2,
  seize: 1 << 3,
  beenSeized: 1 << 4,
  active: 1 << 5,
  valid: 1 << 7,
} as const;

/** No locality is active. */
const NONE = LOCALITIES;

/**
 * The arbitration of a TPM's localities, which stand for software of different privileges: each requests the TPM, and
 * releases it or is preempted.
 */
export class Localities {
  /** Called when the active locality has been preempted, or has released the TPM. */
  readonly #onLost: () => void;
  #active = NONE;
  /** Bits of the localities that have requested it, and of those that were preempted. */
  #requests = 0;
  #seized = 0;

  constructor(onLost: () => void) {
    this.#onLost = onLost;
  }

  isActive(locality: number): boolean {
    return locality === this.#active;
  }

  readAccess(locality: number): number {
    const own = 1 << locality;
    return (
      ACCESS.valid |
      ACCESS.establishment |
      (this.isActive(locality) ? ACCESS.active : 0) |
      ((this.#requests & own) !== 0 ? ACCESS.requestUse : 0) |
      ((this.#requests & ~own) !== 0 ? ACCESS.pendingRequest : 0) |
      ((this.#seized & own) !== 0 ? ACCESS.beenSeized : 0)
    );
  }

  writeAccess(locality: number, value: number): void {
    const own = 1 << locality;
    if (value & ACCESS.beenSeized) this.#seized &= ~own;
    if (value & ACCESS.active) {
      this.#requests &= ~own;
      if (this.isActive(locality)) this.#giveUp();
    } else if (value & ACCESS.seize && this.#active !== NONE && locality > this.#active) {
      this.#seized |= 1 << this.#active;
      this.#requests &= ~own;
      this.#onLost();
      this.#active = locality;
    } else if (value & (ACCESS.requestUse | ACCESS.seize) && !this.isActive(locality)) {
      if (this.#active === NONE) this.#active = locality;
      else this.#requests |= own;
    }
  }

  reset(): void {
    this.#active = NONE;
    this.#requests = 0;
    this.#seized = 0;
  }

  save(): DeviceState {
    return { active: this.#active, requests: this.#requests, seized: this.#seized };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const bits = 2 ** LOCALITIES - 1;
    const active = numberOf(state, 'active', NONE);
    const requests = numberOf(state, 'requests', bits);
    const seized = numberOf(state, 'seized', bits);
    if (active !== NONE ? (requests & (1 << active)) !== 0 : requests !== 0)
      throw new DeviceStateError('requests', 'possible requests');
    this.#active = active;
    this.#requests = requests;
    this.#seized = seized;
  }

  /** The highest waiting locality is next. */
  #giveUp(): void {
    this.#onLost();
    this.#active = this.#requests === 0 ? NONE : 31 - Math.clz32(this.#requests);
    if (this.#active !== NONE) this.#requests &= ~(1 << this.#active);
  }
}
