import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AnyStruct, type FieldType, Struct } from '../../../src/vmm/kvm/c-struct.ts';
import * as constants from '../../../src/vmm/kvm/constants.ts';
import { IOCTLS } from '../../../src/vmm/kvm/ioctls.ts';
import * as structs from '../../../src/vmm/kvm/structs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const HEADER = '/usr/include/linux/kvm.h';

/** C expressions and their expected values. */
const expected = new Map<string, number>();

for (const [name, request] of Object.entries(IOCTLS)) expected.set(name, request);
for (const [name, value] of Object.entries(constants)) addConstant(`KVM_${name}`, value);
for (const struct of Object.values(structs)) addStruct(struct);

function addConstant(name: string, value: unknown): void {
  if (typeof value === 'object') {
    for (const [key, item] of Object.entries(value as object)) addConstant(`${name}_${key}`, item);
  } else {
    expected.set(name, Number(value));
  }
}

function addStruct(struct: AnyStruct): void {
  const [outer, member] = struct.name.split('.');
  const type = member ? `__typeof__(((struct ${outer} *)0)->${member})` : `struct ${outer}`;
  expected.set(`sizeof(${type})`, struct.size);
  if (outer === 'kvm_run' && member !== undefined) {
    expected.set(`offsetof(struct kvm_run, ${member})`, structs.kvmRun.offset('exit'));
  }
  for (const [field, fieldType] of Object.entries<FieldType>(struct.fields)) {
    if (typeof fieldType === 'object' && 'padding' in fieldType) continue;
    expected.set(`offsetof(${type}, ${field})`, struct.offset(field));
    expected.set(`sizeof(((${type} *)0)->${field})`, fieldSize(fieldType));
    if (fieldType instanceof Struct) addStruct(fieldType);
  }
}

function fieldSize(type: FieldType): number {
  return new Struct('one', { field: type }).size;
}

function evaluate(expressions: readonly string[]): number[] {
  const directory = temporaryFolder();
  try {
    const prints = expressions.map(expression => `  printf("%llu\\n", (unsigned long long)(${expression}));`);
    const includes = ['stddef.h', 'stdio.h', 'linux/kvm.h'].map(file => `#include <${file}>`);
    const source = [...includes, 'int main(void) {', ...prints, '}'].join('\n');
    writeFileSync(join(directory, 'header.c'), source);
    execFileSync('cc', ['-o', 'header', 'header.c'], { cwd: directory });
    const output = execFileSync(join(directory, 'header'), { encoding: 'utf8' });
    return output.trim().split('\n').map(Number);
  } finally {
  }
}

describe('the KVM tables', () => {
  it.skipIf(!existsSync(HEADER))('agree with linux/kvm.h as the C compiler sees it', () => {
    const names = [...expected.keys()];
    const values = evaluate(names);
    expect(Object.fromEntries(names.map((name, i) => [name, values[i]]))).toEqual(
      Object.fromEntries(expected),
    );
  });
});
