import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyStruct, type FieldType, Struct } from '../../src/vmm/kvm/c-struct.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** The C expressions that yield a struct's layout, each with its expected value. */
export function layoutOf(struct: AnyStruct): Map<string, number> {
  const type = `struct ${struct.name}`;
  const expected = new Map([[`sizeof(${type})`, struct.size]]);
  for (const [field, fieldType] of Object.entries<FieldType>(struct.fields)) {
    if (typeof fieldType === 'object' && 'padding' in fieldType) continue;
    expected.set(`offsetof(${type}, ${field})`, struct.offset(field));
    expected.set(`sizeof(((${type} *)0)->${field})`, new Struct('one', { field: fieldType }).size);
  }
  return expected;
}

/**
 * The values that the C compiler computes for expressions.
 * @param includes header files: `linux/kvm.h` @param folders with them, searched before the compiler's own
 */
export function evaluate(
  includes: readonly string[],
  expressions: readonly string[],
  folders: readonly string[] = [],
): Map<string, number> {
  const directory = temporaryFolder();
  const prints = expressions.map(expression => `  printf("%llu\\n", (unsigned long long)(${expression}));`);
  const headers = ['stddef.h', 'stdio.h', ...includes].map(file => `#include <${file}>`);
  writeFileSync(join(directory, 'header.c'), [...headers, 'int main(void) {', ...prints, '}'].join('\n'));
  const search = folders.flatMap(folder => ['-isystem', folder]);
  execFileSync('cc', [...search, '-o', 'header', 'header.c'], { cwd: directory });
  const output = execFileSync(join(directory, 'header'), { encoding: 'utf8' });
  return new Map(
    output
      .trim()
      .split('\n')
      .map((line, index) => [expressions[index]!, Number(line)]),
  );
}
