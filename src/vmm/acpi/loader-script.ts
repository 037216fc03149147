import { concat, little } from '../../devices/acpi/aml.ts';
import type { LoaderCommand } from './table-loader.ts';

/** QEMU, hw/acpi/bios-linker-loader.c: entries have this size and are padded with zeros. */
export const ENTRY_SIZE = 128;
const FILE_SIZE = 56;
const COMMAND = { allocate: 1, 'add-pointer': 2, 'add-checksum': 3 } as const;
const ZONE = { any: 1, low: 2 } as const;

/** The commands in the format of fw_cfg's file `etc/table-loader`, for firmware. */
export function loaderScript(commands: readonly LoaderCommand[]): Uint8Array {
  return concat(
    ...commands.map(command => {
      const entry = Buffer.alloc(ENTRY_SIZE);
      entry.set(concat(little(COMMAND[command.kind], 4), fileName(command.file), operands(command)));
      return entry;
    }),
  );
}

function operands(command: LoaderCommand): Uint8Array {
  switch (command.kind) {
    case 'allocate':
      return concat(little(command.alignment, 4), [ZONE[command.zone]]);
    case 'add-pointer':
      return concat(fileName(command.to), little(command.offset, 4), [command.size]);
    case 'add-checksum':
      return concat(little(command.offset, 4), little(command.start, 4), little(command.length, 4));
  }
}

function fileName(name: string): Uint8Array {
  const bytes = Buffer.alloc(FILE_SIZE);
  if (bytes.write(name, 'ascii') >= FILE_SIZE) throw new RangeError(`the file name ${name} is too long`);
  return bytes;
}
