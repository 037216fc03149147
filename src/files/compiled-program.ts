import { readFileSync } from 'node:fs';
import { createRequire, getCompileCacheDir } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { constants, Script } from 'node:vm';
import { onceStarted } from './program-started.ts';
import { replaceFile } from './replace-file.ts';

/** The first line of a bundle that is loaded like this (scripts/bundle.mjs). */
const DIGEST_LINE = /^\/\/([0-9a-f]{64})\n/;
/** Time for what follows a start. V8 discards the code of functions that are not called for long. */
const KEEP_AFTER_MS = 2000;

/**
 * Runs a bundle in CommonJS format with the code that V8 compiled in an earlier process, for all functions that ran there.
 * Node's own cache is filled when a module is loaded. By then, hardly any function has been called, and so compiled:
 * that takes a third of the time of a start. The code is kept beside what Node keeps, if it keeps any, once the program
 * has announced that it has started: one that ends with an error has called little.
 * @param path the bundle, in ASCII: a comment with a digest of the rest, and on the next lines a function of what Node passes to
 * modules in CommonJS format. V8 takes the text as it is; any change here would copy its megabytes
 * @param use what it is started for, if not always the same: a word for file names; each use has its own code
 */
export function runCompiled(path: string, use = ''): void {
  // A string of one byte per character, which is not decoded.
  const text = readFileSync(path, 'latin1');
  const kept = keptFile(path, text, use);
  const cachedData = kept === null ? undefined : readIfThere(kept);
  const script = new Script(text, {
    filename: path,
    cachedData,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  // V8 rejects the code of another version, or with other options.
  if (kept !== null && (cachedData === undefined || script.cachedDataRejected)) keepOnceStarted(script, kept);
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(path), module, path, dirname(path));
}

/** The file with a bundle's code for this use; null if none is kept. */
function keptFile(path: string, text: string, use: string): string | null {
  const folder = getCompileCacheDir();
  const digest = DIGEST_LINE.exec(text)?.[1];
  if (folder === undefined || digest === undefined) return null;
  return join(folder, [basename(path), digest, ...(use === '' ? [] : [use])].join('-'));
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Keeps the code soon after the program has started, or when it ends. */
function keepOnceStarted(script: Script, file: string): void {
  let isKept = false;
  const keep = () => {
    if (isKept) return;
    isKept = true;
    try {
      // V8 does not check the contents: after a power loss, there must be no file, or all of it.
      replaceFile(file, script.createCachedData(), { mode: 0o600, fresh: true });
    } catch {
      // The next start compiles again.
    }
  };
  onceStarted(() => {
    setTimeout(keep, KEEP_AFTER_MS).unref();
    process.once('exit', keep);
  });
}
