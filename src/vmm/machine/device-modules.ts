import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AnyConfigurable } from '../../devices/device-table.ts';
import * as api from '../../devices/modules/api.ts';
import { ModuleError, moduleRow } from '../../devices/modules/module-row.ts';

/** What device modules import. Here it is the API of this very program, so that its classes are the machine's. */
const API_NAME = 'vring/device';
const API_URL = 'vring:device';

declare global {
  var vringDeviceApi: typeof api | undefined;
}

let hooked = false;

/**
 * Loads device modules, TypeScript or JavaScript, with whatever they import. To be called before the process is confined: they
 * are files of the user's. @returns the rows that they add to the device table. @throws an error for the user
 */
export function loadDeviceModules(paths: readonly string[]): AnyConfigurable[] {
  if (paths.length === 0) return [];
  provideApi();
  const require = createRequire(import.meta.url);
  return paths.map(path => {
    let loaded: { readonly default?: unknown };
    try {
      loaded = require(path);
    } catch (error) {
      throw new ModuleError(`device module ${path} cannot be loaded: ${whyNotLoaded(error, path)}`);
    }
    return moduleRow(loaded.default, path);
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
  if (code === 'MODULE_NOT_FOUND' && message.includes(`'${path}'`)) return 'there is no such file';
  const [first] = String(message).split('\n');
  const place = placeIn(error, [path]);
  return place === null ? first! : `${first} (${place})`;
}

/**
 * Where in one of these files an error was thrown, or from where it was caused: `my-device.ts:41`.
 * @returns null if none of them was involved
 */
export function placeIn(error: unknown, paths: readonly string[]): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  // Frames of calls, and the first line of a syntax error, which is a place.
  for (const [, place, line] of stack.matchAll(
    /(?:\(|at |^)((?:file:\/\/)?\/[^\n]*?):(\d+)(?::\d+)?\)?$/gm,
  )) {
    const file = place!.startsWith('file:') ? fileURLToPath(place!) : place!;
    if (paths.includes(file)) return `${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
  }
  return null;
}
