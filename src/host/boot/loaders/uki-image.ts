import type { HostRoot } from '../../root.ts';

export type UkiCommandLine = {
  readonly text: string;
  /** Offset of its end in the file, in bytes. */
  readonly end: number;
};

const maxSections = 96;
const maxCommandLine = 65_536;

/** The `.cmdline` section of a unified kernel image (UAPI.5), a PE file; null for a file without one. */
export function readUkiCommandLine(root: HostRoot, path: string): UkiCommandLine | null {
  return root.withFile(path, read => {
    const at = (offset: number, length: number): Buffer | null => {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length; ) {
        const count = read(bytes.subarray(done), offset + done);
        if (count === 0) return null;
        done += count;
      }
      return bytes;
    };
    const dos = at(0, 64);
    if (dos === null || dos.toString('latin1', 0, 2) !== 'MZ') return null;
    const header = dos.readUInt32LE(60);
    const coff = at(header, 24);
    if (coff === null || coff.toString('latin1', 0, 4) !== 'PE\0\0') return null;
    const sections = Math.min(coff.readUInt16LE(6), maxSections);
    const table = header + 24 + coff.readUInt16LE(20);
    for (let index = 0; index < sections; index++) {
      const section = at(table + index * 40, 40);
      if (section === null) return null;
      if (section.toString('latin1', 0, 8).replace(/\0.*$/s, '') !== '.cmdline') continue;
      // The size in the file is rounded up to whole blocks.
      const size = Math.min(section.readUInt32LE(8), section.readUInt32LE(16), maxCommandLine);
      const start = section.readUInt32LE(20);
      const text = at(start, size)?.toString('utf8').replace(/\0.*$/s, '').trim();
      return text === undefined ? null : { text, end: start + size };
    }
    return null;
  });
}
