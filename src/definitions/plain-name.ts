import { VM_NAME } from '../vmm/machine/vm-name.ts';

/** The name of a VM for one that another program gave it, whose other characters are replaced; null if nothing of it can be kept. */
export function plainName(given: string): string | null {
  if (VM_NAME.pattern.test(given)) return given;
  const name = given
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return VM_NAME.pattern.test(name) ? name : null;
}
