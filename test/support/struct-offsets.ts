import type { AnyStruct } from '../../src/vmm/kvm/c-struct.ts';

/** The offset of each field of a struct, and its size as `bytes`, as the native library describes its own. */
export function offsetsOf(struct: AnyStruct): Record<string, number> {
  const fields = Object.keys(struct.fields).map(name => [name, struct.offset(name)]);
  return { ...Object.fromEntries(fields), bytes: struct.size };
}
