import { rateLimitsStruct } from './abi.ts';
import { checked, nativeCalls } from './native-library.ts';

/** Rates per second, 0 for no limit, and the burst allowed after a pause, 0 for a tenth of a second's worth. */
export type RateLimits = {
  readonly operations: number;
  readonly operationsBurst: number;
  readonly bytes: number;
  readonly bytesBurst: number;
};

/** Creates a limiter, which queues can share. @param vm handle of the native VM. @returns its handle */
export function createLimiter(vm: number, limits: RateLimits): number {
  const bytes = encodeLimits(limits);
  return checked('vring_limiter_create', nativeCalls().vring_limiter_create(vm, bytes));
}

/** Changes the limits; requests that wait because of the old ones are reconsidered. */
export function setLimits(vm: number, limiter: number, limits: RateLimits): void {
  const bytes = encodeLimits(limits);
  checked('vring_limiter_set', nativeCalls().vring_limiter_set(vm, limiter, bytes));
}

/** Queues that have the limiter keep it. */
export function destroyLimiter(vm: number, limiter: number): void {
  checked('vring_limiter_destroy', nativeCalls().vring_limiter_destroy(vm, limiter));
}

/** In the native library's format. */
export function encodeLimits({ operations, operationsBurst, bytes, bytesBurst }: RateLimits): Uint8Array {
  return rateLimitsStruct.encode({
    operations: BigInt(operations),
    operationsBurst: BigInt(operationsBurst),
    bytes: BigInt(bytes),
    bytesBurst: BigInt(bytesBurst),
  });
}
