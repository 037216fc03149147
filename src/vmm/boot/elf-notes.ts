import { damaged, type Elf, PT_NOTE } from './elf.ts';
import { type ImageFile, readBytes } from './image-file.ts';

/** Far more than the notes of any kernel. */
const NOTES_MAX = 64 * 1024;

/** A note of an ELF file (System V ABI, "Note Section"). */
export type ElfNote = { readonly owner: string; readonly type: number; readonly content: Buffer };

/** The complete notes in the note segments of an ELF file. @throws BootError */
export function* readNotes(image: ImageFile, elf: Elf): Generator<ElfNote> {
  for (const segment of elf.segments) {
    if (segment.type !== PT_NOTE) continue;
    if (segment.fileSize > NOTES_MAX) throw damaged(image, `it has ${segment.fileSize} bytes of notes`);
    const notes = readBytes(image, segment.offset, segment.fileSize, 'note segment');
    yield* notesIn(notes, segment.alignment === 8 ? 8 : 4);
  }
}

/** A note is three words (owner's size, content's size, type), then owner and content, each padded to `alignment`. */
function* notesIn(notes: Buffer, alignment: number): Generator<ElfNote> {
  const pad = (size: number) => Math.ceil(size / alignment) * alignment;
  for (let at = 0; at + 12 <= notes.length; ) {
    const ownerSize = notes.readUInt32LE(at);
    const contentSize = notes.readUInt32LE(at + 4);
    const content = at + 12 + pad(ownerSize);
    if (content + contentSize > notes.length) return;
    yield {
      // Without the trailing NUL.
      owner: notes.toString('latin1', at + 12, at + 12 + Math.max(0, ownerSize - 1)),
      type: notes.readUInt32LE(at + 8),
      content: notes.subarray(content, content + contentSize),
    };
    at = content + pad(contentSize);
  }
}
