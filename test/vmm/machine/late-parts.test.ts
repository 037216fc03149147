import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { LateParts } from '../../../src/vmm/machine/late-parts.ts';
import { openFds } from '../../support/fds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const DIGEST = 'f'.repeat(64);

/** Parts with these texts, which count how often they are evaluated. */
function partsOf(texts: Readonly<Record<string, string>>, core = {}) {
  const path = join(temporaryFolder(), 'parts.js');
  const index: Record<string, readonly [number, number]> = {};
  let file = `//${DIGEST}\n`;
  for (const [name, text] of Object.entries(texts)) {
    const part = `(function(exports, require, module, __filename, __dirname) { ${text} })\n`;
    index[name] = [file.length, part.length];
    file += part;
  }
  writeFileSync(path, file);
  const required: string[] = [];
  const require = (name: string) => {
    required.push(name);
    return { name };
  };
  return { path, index, required, parts: new LateParts(path, DIGEST, index, core, require) };
}

test('a part is evaluated once, when it is first loaded', () => {
  const { parts } = partsOf({
    first: 'module.exports = { at: Symbol("first") };',
    second: 'throw new Error("it is evaluated")',
  });
  expect(parts.loaded).toEqual([]);
  const { at } = parts.load('first');
  expect(parts.load('first').at).toBe(at);
  expect(parts.loaded).toEqual(['first']);
  expect(() => parts.load('second')).toThrow('it is evaluated');
});

test("a part imports other parts, modules of the program and Node's modules", () => {
  class Model {}
  const { parts, required } = partsOf(
    {
      card: `const { Port } = require("port"), { Model } = require("core:model");
        module.exports = { Card: class extends Model { port = new Port(); path = require("node:path"); } };`,
      port: 'exports.Port = class {};',
    },
    { 'core:model': { Model } },
  );
  const Card = parts.load('card').Card as new () => { port: object };
  const card = new Card();
  expect(card).toBeInstanceOf(Model);
  expect(card.port).toBeInstanceOf(parts.load('port').Port as typeof Model);
  expect(required).toEqual(['node:path']);
});

test('a part knows its location, like CommonJS modules', () => {
  const { parts, path } = partsOf({ one: 'module.exports = { __filename, __dirname };' });
  expect(parts.load('one')).toEqual({ __filename: path, __dirname: dirname(path) });
});

test('exports that the bundler turned into getters become values', () => {
  const { parts } = partsOf({
    one: 'Object.defineProperty(exports, "a", { get: () => 1, enumerable: true })',
  });
  expect(Object.getOwnPropertyDescriptor(parts.load('one'), 'a')).toMatchObject({ value: 1 });
});

test('parts can be loaded after an upgrade has removed their file', () => {
  const { parts, path } = partsOf({ one: 'exports.a = 1;' });
  rmSync(path);
  expect(parts.load('one')).toEqual({ a: 1 });
});

test('the file of another version is rejected, and a truncated one', () => {
  const { path, index, parts } = partsOf({ one: 'exports.a = 1;' });
  expect(() => new LateParts(path, 'e'.repeat(64), index, {}, () => {})).toThrow(
    `${path} belongs to another version of vring: reinstall vring, or start the VM again`,
  );
  truncateSync(path, DIGEST.length + 10);
  expect(() => parts.load('one')).toThrow(`${path} is truncated: reinstall vring`);
  expect(() => parts.load('two')).toThrow(`${path} has no part two`);
});

test('the file is closed with the parts, and when it is rejected', () => {
  const fds = openFds();
  const { path, index, parts } = partsOf({ one: 'exports.a = 1;' });
  expect(openFds()).toBe(fds + 1);
  expect(() => new LateParts(path, 'e'.repeat(64), index, {}, () => {})).toThrow('another version');
  parts.close();
  expect(openFds()).toBe(fds);
});
