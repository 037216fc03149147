import { constants } from 'node:os';
import { checked, nativeCalls } from './native-library.ts';

/** The pages that a balloon has not given back to the host yet. Its queues must be stopped. */
export function saveBalloon(vm: number): Uint8Array {
  const save = (buffer: Uint8Array) =>
    checked('vring_balloon_save', nativeCalls().vring_balloon_save(vm, buffer, buffer.length));
  const saved = new Uint8Array(save(new Uint8Array()));
  save(saved);
  return saved;
}

/** Replaces them. @param saved empty for none @returns false if that is no saved state */
export function loadBalloon(vm: number, saved: Uint8Array): boolean {
  const result = nativeCalls().vring_balloon_load(vm, saved, saved.length);
  if (result === -constants.errno.EINVAL) return false;
  checked('vring_balloon_load', result);
  return true;
}
