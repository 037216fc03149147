import { VM_NAME } from '../vmm/machine/vm-name.ts';

/** Makes a VM name of one from another program, replacing all other characters; null if nothing is left of it. */
export function plainName(given: string): string | null {
  if (VM_NAME.pattern.test(given)) return given;
  const name = given
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return VM_NAME.pattern.test(name) ? name : null;
}
