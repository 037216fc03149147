/** The contents of a fw_cfg item, which firmware reads. */
export interface FwCfgContent {
  /** In bytes. Constant until the next reset. */
  readonly size: number;
  /** Firmware is about to read it from its start. */
  select?(): void;
  /** Called when the machine has been reset. */
  reset?(): void;
  /** Fills `target` with the bytes from `offset` on; the range is inside the item. */
  read(offset: number, target: Uint8Array): void;
}

/** Keys of items that are not files (QEMU, docs/specs/fw_cfg.rst and include/standard-headers/linux/qemu_fw_cfg.h). */
export const KEY = {
  signature: 0x00,
  id: 0x01,
  uuid: 0x02,
  ramSize: 0x03,
  noGraphic: 0x04,
  cpus: 0x05,
  kernelAddress: 0x07,
  kernelSize: 0x08,
  initrdAddress: 0x0a,
  initrdSize: 0x0b,
  numa: 0x0d,
  bootMenu: 0x0e,
  maxCpus: 0x0f,
  kernelEntry: 0x10,
  kernelData: 0x11,
  initrdData: 0x12,
  commandLineAddress: 0x13,
  commandLineSize: 0x14,
  commandLineData: 0x15,
  setupAddress: 0x16,
  setupSize: 0x17,
  setupData: 0x18,
  directory: 0x19,
  firstFile: 0x20,
} as const;

/** The size of a name in the directory, with its NUL. */
const NAME_SIZE = 56;
/** The names that users may give files. */
export const FW_CFG_NAME = {
  pattern: /^[\x21-\x7e]{1,55}$/,
  rule: '1 to 55 printable ASCII characters, such as opt/com.example/config',
};
const ENTRY_SIZE = 64;
const MAX_FILES = 0x100;

/** The interface's features: reads through ports, and DMA. */
const FEATURES = 0x3;

/** The items of a machine: those with fixed keys, and files by name. They do not change once firmware has seen them. */
export class FwCfgItems {
  readonly #items = new Map<number, FwCfgContent>();
  readonly #files = new Map<string, FwCfgContent>();
  /** By key; null until the directory has been made. */
  #listed: readonly (readonly [string, FwCfgContent])[] | null = null;

  constructor() {
    this.set(KEY.signature, Buffer.from('QEMU'));
    this.set(KEY.id, u32(FEATURES));
  }

  set(key: number, content: Uint8Array | FwCfgContent): void {
    this.#items.set(key, contentOf(content));
  }

  setFile(name: string, content: Uint8Array | FwCfgContent): void {
    if (Buffer.byteLength(name) >= NAME_SIZE)
      throw new RangeError(`the name of the fw_cfg file ${name} is too long`);
    if (!this.#files.has(name) && this.#files.size === MAX_FILES)
      throw new RangeError(`fw_cfg has no room for the file ${name}`);
    this.#files.set(name, contentOf(content));
    this.#listed = null;
  }

  /** @returns null if there is no such item */
  at(key: number): FwCfgContent | null {
    if (key === KEY.directory) return contentOf(this.#directory());
    if (key < KEY.firstFile) return this.#items.get(key) ?? null;
    return this.#sorted()[key - KEY.firstFile]?.[1] ?? this.#items.get(key) ?? null;
  }

  /** The file with this name; null if there is none. */
  file(name: string): FwCfgContent | null {
    return this.#files.get(name) ?? null;
  }

  /** Starts over, since firmware will read everything again. */
  reset(): void {
    for (const content of [...this.#items.values(), ...this.#files.values()]) content.reset?.();
  }

  #sorted(): readonly (readonly [string, FwCfgContent])[] {
    this.#listed ??= [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    return this.#listed;
  }

  /** A count, then for each file its size, its key, two bytes and its name. Big endian. */
  #directory(): Uint8Array {
    const files = this.#sorted();
    const bytes = Buffer.alloc(4 + ENTRY_SIZE * files.length);
    bytes.writeUInt32BE(files.length, 0);
    for (const [index, [name, { size }]] of files.entries()) {
      const at = 4 + ENTRY_SIZE * index;
      bytes.writeUInt32BE(size, at);
      bytes.writeUInt16BE(KEY.firstFile + index, at + 4);
      bytes.write(name, at + 8, 'ascii');
    }
    return bytes;
  }
}

function contentOf(content: Uint8Array | FwCfgContent): FwCfgContent {
  if (!(content instanceof Uint8Array)) return content;
  return {
    size: content.length,
    read: (offset, target) => target.set(content.subarray(offset, offset + target.length)),
  };
}

/** Numbers in items are little endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
}

export function u32(value: number): Uint8Array {
  return u64(value).subarray(0, 4);
}

export function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
