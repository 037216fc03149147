import { closeSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

/** Exports of a module, by name. */
type Exports = Readonly<Record<string, unknown>>;

/** The location of a part's text in the file of parts: its offset and length in bytes. */
type Place = readonly [offset: number, bytes: number];

/** Takes what Node passes to modules in CommonJS format. */
type PartFunction = (
  exports: object,
  require: (name: string) => unknown,
  module: { exports: Exports },
  filename: string,
  dirname: string,
) => void;

/**
 * Code of a bundle that few machines need, such as most device models: text in a file shared by all processes, loaded
 * on demand. The file is open from the start, so that a confined process can read on, whatever an upgrade does to the
 * file. The bundler (scripts/machine-bundles.mjs) makes it, and the calls that load from it.
 */
export class LateParts {
  readonly #path: string;
  readonly #fd: number;
  readonly #index: Readonly<Record<string, Place>>;
  readonly #core: Readonly<Record<string, Exports>>;
  readonly #require: (name: string) => unknown;
  readonly #loaded = new Map<string, Exports>();

  /**
   * @param path of the file, whose first line has its digest
   * @param digest of the file that belongs to this program
   * @param core the modules of this program that parts import, by their names there
   * @param require loads anything else that they import
   * @throws an error for the user if the file is missing, or another version's
   */
  constructor(
    path: string,
    digest: string,
    index: Readonly<Record<string, Place>>,
    core: Readonly<Record<string, Exports>>,
    require: (name: string) => unknown,
  ) {
    this.#path = path;
    this.#index = index;
    this.#core = core;
    this.#require = require;
    this.#fd = openSync(path, 'r');
    const line = `//${digest}\n`;
    if (this.#read([0, line.length]) !== line) {
      this.close();
      throw new Error(`${path} belongs to another version of vring: reinstall vring, or start the VM again`);
    }
  }

  /** The names of the parts that have been loaded. */
  get loaded(): string[] {
    return [...this.#loaded.keys()];
  }

  /** The names of all parts. */
  get names(): string[] {
    return Object.keys(this.#index);
  }

  /** The exports of a part, which is evaluated on first use. */
  load(name: string): Exports {
    const loaded = this.#loaded.get(name);
    if (loaded !== undefined) return loaded;
    const place = this.#index[name];
    if (place === undefined) throw new Error(`${this.#path} has no part ${name}`);
    const script = new Script(this.#read(place), { filename: `${this.#path}/${name}` });
    const module = { exports: {} };
    const run: PartFunction = script.runInThisContext();
    run(module.exports, this.#import, module, this.#path, dirname(this.#path));
    const exports = plain(module.exports);
    this.#loaded.set(name, exports);
    return exports;
  }

  /** Closes the file: no other part can be loaded. */
  close(): void {
    closeSync(this.#fd);
  }

  readonly #import = (name: string): unknown => {
    if (name in this.#index) return this.load(name);
    const core = this.#core[name];
    return core === undefined ? this.#require(name) : plain(core);
  };

  /** ASCII. @throws if the file has been truncated */
  #read([offset, bytes]: Place): string {
    const buffer = Buffer.alloc(bytes);
    for (let done = 0; done < bytes; ) {
      const count = readSync(this.#fd, buffer, done, bytes - done, offset + done);
      if (count === 0) throw new Error(`${this.#path} is truncated: reinstall vring`);
      done += count;
    }
    return buffer.toString('latin1');
  }
}

/** An object with a module's exports: the bundler makes them getters, which are slower. None is reassigned later. */
function plain(exports: Exports): Exports {
  return { ...exports };
}
