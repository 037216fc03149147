import type * as z from 'zod';

type Forward =
  | { readonly protocol: 'tcp' | 'udp'; readonly address: string; readonly host: number }
  | { readonly protocol: 'unix' };

/** A refinement: refuses a port of the host that is forwarded twice. The host would only say that something uses it. */
export function eachPortOnce(forwards: readonly Forward[], context: z.RefinementCtx): void {
  forwards.forEach((forward, index) => {
    if (forward.protocol === 'unix' || !forwards.slice(0, index).some(other => isSamePort(forward, other)))
      return;
    const message = `${forward.protocol} port ${forward.host} of ${forward.address} is forwarded twice: choose another port`;
    context.addIssue({ code: 'custom', path: [index, 'host'], message });
  });
}

const ANY = ['0.0.0.0', '::'];

function isSamePort(one: Exclude<Forward, { protocol: 'unix' }>, other: Forward): boolean {
  if (other.protocol !== one.protocol || other.host !== one.host) return false;
  if (one.address.includes(':') !== other.address.includes(':')) return false;
  return one.address === other.address || ANY.includes(one.address) || ANY.includes(other.address);
}
