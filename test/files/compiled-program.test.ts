import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();
const loader = join(import.meta.dirname, '../../src/files/compiled-program.ts');

/** A bundle that prints what it is given, with a function that it calls and one that it doesn't. @param isStarted whether it gets so far */
function bundle(name: string, prints: string, isStarted = true): string {
  const text = `(function(exports, require, module, __filename, __dirname) {
function called() { return 'literal-of-called'; }
function notCalled() { return 'literal-of-not-called'; }
called();
if (${isStarted}) process.emit(Symbol.for('vring.program-started'));
console.log(${prints}, typeof notCalled, require('node:path').basename(__filename), typeof module.exports);
})`;
  const file = join(folder, name);
  writeFileSync(file, `//${createHash('sha256').update(text).digest('hex')}\n${text}`);
  return file;
}

/** Runs a bundle in a new process. @param cache where Node keeps compiled code */
async function run(file: string, cache: string, use = ''): Promise<string> {
  const code = `import { runCompiled } from ${JSON.stringify(loader)}; runCompiled(${JSON.stringify(file)}, '${use}');`;
  const { stdout } = await execa(process.execPath, ['--input-type=module', '--eval', code], {
    env: { NODE_COMPILE_CACHE: cache },
  });
  return stdout;
}

/** What is kept of a bundle, by file name. */
function keptOf(name: string, cache: string): Map<string, string> {
  if (!existsSync(cache)) return new Map();
  const files = readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter(path =>
    path.includes(`/${name}-`),
  );
  return new Map(files.map(path => [path, readFileSync(join(cache, path), 'latin1')]));
}

describe('a bundle that is loaded with its compiled code', () => {
  test('runs, and leaves the code of the functions that it called', async () => {
    const cache = join(folder, 'first');
    expect(await run(bundle('first.cjs', '1 + 1'), cache)).toBe('2 function first.cjs object');
    const [code = ''] = keptOf('first.cjs', cache).values();
    expect(code).toContain('literal-of-called');
    expect(code).not.toContain('literal-of-not-called');
  });

  test('has separate code for each use', async () => {
    const cache = join(folder, 'uses');
    const file = bundle('uses.cjs', '1');
    await run(file, cache);
    await run(file, cache, 'thread');
    expect([...keptOf('uses.cjs', cache).keys()].map(path => path.endsWith('-thread')).sort()).toEqual([
      false,
      true,
    ]);
  });

  test('runs with that code the next time, and keeps it', async () => {
    const cache = join(folder, 'second');
    const file = bundle('second.cjs', '2 + 2');
    await run(file, cache);
    const kept = keptOf('second.cjs', cache);
    // V8 takes the string from the code that it is given, not from the text.
    const [[path, code] = ['', '']] = kept;
    writeFileSync(join(cache, path), code.replace('literal-of-called', 'literal-of-cellar'), 'latin1');
    expect(await run(file, cache)).toBe('4 function second.cjs object');
    expect([...keptOf('second.cjs', cache).values()][0]).toContain('literal-of-cellar');
  });

  test('leaves nothing behind when it ends before it has started', async () => {
    const cache = join(folder, 'unstarted');
    expect(await run(bundle('unstarted.cjs', '0', false), cache)).toBe('0 function unstarted.cjs object');
    expect(keptOf('unstarted.cjs', cache).size).toBe(0);
  });

  test('is compiled again when V8 does not accept the code, which is replaced', async () => {
    const cache = join(folder, 'third');
    const file = bundle('third.cjs', '3 + 3');
    await run(file, cache);
    const [[path] = ['']] = keptOf('third.cjs', cache);
    writeFileSync(join(cache, path), 'not code');
    expect(await run(file, cache)).toBe('6 function third.cjs object');
    expect(keptOf('third.cjs', cache).get(path)).toContain('literal-of-called');
  });

  test('of another version does not get the code of this one', async () => {
    const cache = join(folder, 'fourth');
    // As long as each other, which is all that V8 compares.
    await run(bundle('fourth.cjs', '"old"'), cache);
    expect(await run(bundle('fourth.cjs', '"new"'), cache)).toBe('new function fourth.cjs object');
    expect(keptOf('fourth.cjs', cache).size).toBe(2);
  });

  test('runs where no code can be stored', async () => {
    expect(await run(bundle('fifth.cjs', '5 + 5'), '')).toBe('10 function fifth.cjs object');
  });
});
