import { existsSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import type { AnyConfigurable } from '../../devices/device-table.ts';
import * as api from '../../devices/modules/api.ts';
import { ModuleError, moduleRow } from '../../devices/modules/module-row.ts';
import { deviceTable } from '../../devices/registry.ts';

/**
 * The name by which device modules import the API. It is this very program's, so that its classes are the machine's.
 */
const API_NAME = 'vring/device';
const API_URL = 'vring:device';

declare global {
  var vringDeviceApi: typeof api | undefined;
}

let hooked = false;

/**
 * Loads device modules, TypeScript or JavaScript, with their imports. Call it before the process is confined: they are
 * the user's files.
 * @returns the rows that they add to the device table. @throws an error for the user
 */
export function loadDeviceModules(paths: readonly string[]): AnyConfigurable[] {
  if (paths.length === 0) return [];
  provideApi();
  const require = createRequire(import.meta.url);
  const rows = paths.map(path => {
    let loaded: { readonly default?: unknown };
    try {
      loaded = require(path);
    } catch (error) {
      throw new ModuleError(`device module ${path} cannot be loaded: ${whyNotLoaded(error, path)}`);
    }
    return moduleRow(loaded.default, path);
  });
  checkTypes(rows, paths);
  return rows;
}

/** @throws ModuleError for a type that another row has */
function checkTypes(rows: readonly AnyConfigurable[], paths: readonly string[]): void {
  rows.forEach(({ type }, index) => {
    const path = paths[index]!;
    if (deviceTable.rows.some(row => row.type === type))
      throw new ModuleError(
        `device module ${path}: vring has a device of type "${type}" itself: rename its type`,
      );
    const other = paths[rows.findIndex(row => row.type === type)]!;
    if (paths.indexOf(path) !== index) throw new ModuleError(`device module ${path} is listed twice`);
    if (other !== path)
      throw new ModuleError(
        `device modules ${other} and ${path} both add a device of type "${type}": rename one of the types`,
      );
  });
}

function provideApi(): void {
  if (hooked) return;
  hooked = true;
  globalThis.vringDeviceApi = api;
  const exported = Object.keys(api).map(name => `export const ${name} = globalThis.vringDeviceApi.${name};`);
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === API_NAME
        ? { url: API_URL, format: 'module', shortCircuit: true }
        : next(specifier, context),
    load: (url, context, next) =>
      url === API_URL
        ? { format: 'module', source: exported.join('\n'), shortCircuit: true }
        : next(url, context),
  });
}

function whyNotLoaded(error: unknown, path: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'MODULE_NOT_FOUND' && message.includes(`'${path}'`))
    return existsSync(path) ? 'it is not a file' : 'there is no such file';
  const [first] = String(message).split('\n');
  const place = placeIn(error, [path]);
  return place === null ? first! : `${first} (${place})`;
}

/**
 * While in force, a device module that would exit the process, and silently end the machine, gets an error instead,
 * with the place of the call.
 * @returns ends it
 */
export function forbidExit(): () => void {
  const { exit } = process;
  process.exit = code => {
    throw new ModuleError(
      `process.exit(${code ?? ''}) would end the machine's process: end the machine by services.request({ kind: 'exit', code: 1 })`,
    );
  };
  return () => {
    process.exit = exit;
  };
}

/** Wraps what a device module throws if it is not an Error, which has no place. */
export function thrownError(thrown: unknown): Error {
  return thrown instanceof Error
    ? thrown
    : new ModuleError(
        `a device module threw ${inspect(thrown, { depth: 0, breakLength: Infinity }).slice(0, 100)}, which is not an Error: throw new Error(...) records the line`,
      );
}

/**
 * Why something failed: the error's message, after the place if device modules were involved: `my-device.ts:41: no such
 * unit`.
 */
export function reasonOf(error: unknown, paths: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const place = placeIn(error, paths);
  return place === null ? message : `${place}: ${message}`;
}

/**
 * The place in one of these files where an error was thrown or caused: `my-device.ts:41`.
 * @returns null if none of them was involved
 */
export function placeIn(error: unknown, paths: readonly string[]): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  // Stack frames, and the first line of a syntax error, which is a place.
  for (const [, place, line] of stack.matchAll(
    /(?:\(|at |^)((?:file:\/\/)?\/[^\n]*?):(\d+)(?::\d+)?\)?$/gm,
  )) {
    const file = place!.startsWith('file:') ? fileURLToPath(place!) : place!;
    if (paths.includes(file)) return `${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
  }
  return null;
}
