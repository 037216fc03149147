import type * as z from 'zod';

/**
 * The schema library, passed as an argument. The tables of devices and back ends do not import it: it would cost each
 * machine thread more memory and start time than all device models together.
 */
export type Zod = typeof z;

/**
 * Schemas are immutable, so those of options that several models have are made once. Making one takes ten to a hundred
 * times as long as a check with it.
 * @param make makes schemas with a zod
 */
export function madeOnce<T>(make: (z: Zod) => T): (z: Zod) => T {
  const made = new WeakMap<Zod, T>();
  return z => {
    if (!made.has(z)) made.set(z, make(z));
    return made.get(z)!;
  };
}
