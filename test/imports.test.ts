import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/** The layers of src/, the highest first. A file may import from its own folder and from those below it. */
const LAYERS = [
  'cli.ts',
  'run.ts',
  'ui.ts',
  'commands',
  'app.tsx',
  'screens',
  'components',
  'display',
  'keys',
  'actions',
  'vnc',
  'screen',
  'console',
  'view',
  'store',
  'theme',
  'host-service',
  'manager',
  'report',
  'definitions',
  'engine',
  'host',
  'vmm',
  'devices',
  'files',
  'text',
  'load-ahead.ts',
  'terminal.ts',
  'job-control.ts',
  'clock.ts',
  'project-root.ts',
] as const;

const source = join(import.meta.dirname, '../src');

/** Imports of values and of types, at the top of a file and in the middle of it. */
const IMPORT = /\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g;

type File = { readonly path: string; readonly imports: readonly string[] };

const files: readonly File[] = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter(path => /\.tsx?$/.test(path))
  .map(path => ({ path, imports: importsOf(path, readFileSync(join(source, path), 'utf8')) }));

function importsOf(path: string, text: string): string[] {
  return Array.from(text.matchAll(IMPORT), ([, to]) => relative('', join(dirname(path), to!)));
}

function layer(path: string): number {
  return LAYERS.findIndex(name => path === name || path.startsWith(`${name}/`));
}

describe('imports', () => {
  test('are found in files that all belong to a layer', () => {
    expect(importsOf('a/b.ts', "import type { C } from '../c.ts';\nawait import('./d.ts');")).toEqual([
      'c.ts',
      'a/d.ts',
    ]);
    expect(files.filter(({ path }) => layer(path) < 0)).toEqual([]);
    const known = new Set(files.map(({ path }) => path));
    expect(files.flatMap(({ imports }) => imports.filter(to => !known.has(to)))).toEqual([]);
  });

  test('point down', () => {
    const upward = files.flatMap(({ path, imports }) =>
      imports.filter(to => layer(to) < layer(path)).map(to => `${path} -> ${to}`),
    );
    expect(upward).toEqual([]);
  });

  test('form no cycles', () => {
    expect(circles(new Map(files.map(({ path, imports }) => [path, imports])))).toEqual([]);
    // The same search finds one where there is one.
    expect(circles(new Map(Object.entries({ a: ['b'], b: ['c'], c: ['b'] })))).toEqual([['b', 'c', 'b']]);
  });

  test('of the command line, before a command runs, exclude modules that load slowly', () => {
    const LONG = ['zod', 'execa', 'yaml', 'koffi', 'react', 'ink', join('devices', 'registry.ts')];
    const among = (loaded: ReadonlySet<string>) => LONG.filter(name => loaded.has(name));
    expect(among(loadedAtOnce('commands/run-program.ts'))).toEqual([]);
    expect(among(loadedAtOnce('commands/run-vm.ts'))).toContain('zod');
  });
});

/** Files, and packages, that loading a file loads: by imports of values at the top of files. */
function loadedAtOnce(file: string, loaded = new Set<string>()): ReadonlySet<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const text = readFileSync(join(source, file), 'utf8');
  for (const [, to] of text.matchAll(/^(?:import|export)\s(?!type\s)(?:[^;']*?\sfrom\s)?'([^']+)';/gm)) {
    if (to!.startsWith('.')) loadedAtOnce(relative('', join(dirname(file), to!)), loaded);
    else loaded.add(to!);
  }
  return loaded;
}

/** Each circle by the path from its first file back to it. */
function circles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const to of imports.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}
