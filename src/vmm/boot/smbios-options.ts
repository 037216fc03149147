import * as z from 'zod';

/** Strings of a structure end at a NUL. */
const plainText = z
  .string()
  .min(1, 'text that is not empty')
  .max(1024, 'at most 1024 characters')
  .regex(/^[^\u0000]*$/, 'text without NUL characters');

const text = (description: string) => plainText.optional().meta({ description });
const rate = (description: string) =>
  z.int().min(0, 'at least 0').max(0xffff, 'at most 65535').optional().meta({ description });

const bios = z.strictObject({
  vendor: text("The firmware's vendor."),
  version: text('Its version.'),
  date: text('Its release date: MM/DD/YYYY.'),
  release: z
    .string()
    .regex(/^(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\.(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])$/, 'a release, such as 4.11')
    .optional()
    .meta({ description: 'Its release: two numbers separated by a dot.', examples: ['4.11'] }),
  uefi: z.boolean().optional().meta({ description: 'Whether it is declared to be UEFI.' }),
});
const system = z.strictObject({
  manufacturer: text("The machine's manufacturer."),
  product: text('Its model.'),
  version: text("The model's version. Default: the VM's name."),
  serial: text('Its serial number, where cloud-init looks for its data source.'),
  sku: text('Its SKU number.'),
  family: text('Its family of models.'),
});
const board = z.strictObject({
  manufacturer: text("The board's manufacturer."),
  product: text('Its model.'),
  version: text("The model's version."),
  serial: text('Its serial number.'),
  asset: text('Its asset tag.'),
  location: text('Where it is in the chassis.'),
});
const chassis = z.strictObject({
  manufacturer: text("The chassis's manufacturer."),
  version: text('Its version.'),
  serial: text('Its serial number.'),
  asset: text('Its asset tag.'),
  sku: text('Its SKU number.'),
});
const processor = z.strictObject({
  socket: text('The prefix of socket names, before their numbers.'),
  manufacturer: text('Their manufacturer.'),
  version: text('Their model.'),
  serial: text('Their serial number.'),
  asset: text('Their asset tag.'),
  part: text('Their part number.'),
  'max-speed': rate('Their highest speed, in MHz.'),
  'current-speed': rate('Their speed, in MHz.'),
});
const memory = z.strictObject({
  location: text('The prefix of slot names, before their numbers.'),
  bank: text('Their bank.'),
  manufacturer: text("The modules' manufacturer."),
  serial: text('Its serial number.'),
  asset: text('Its asset tag.'),
  part: text('Its part number.'),
  speed: rate('Its speed, in MT/s.'),
});

/** Overrides of the SMBIOS tables' defaults, by structure: types 0, 1, 2, 3, 4, 17 and 11. */
export const smbiosOptions = z.strictObject({
  bios: bios.optional().meta({ description: "The firmware (type 0). Default: the firmware's own values." }),
  system: system
    .optional()
    .meta({ description: 'The machine (type 1).', examples: [{ serial: 'ds=nocloud' }] }),
  board: board.optional().meta({ description: 'Its board (type 2). Default: none.' }),
  chassis: chassis.optional().meta({ description: 'Its chassis (type 3).' }),
  processor: processor.optional().meta({ description: 'Its processors (type 4).' }),
  memory: memory.optional().meta({ description: 'Its memory (type 17).' }),
  'oem-strings': z
    .array(plainText)
    .max(255, 'at most 255 strings')
    .optional()
    .meta({
      description: 'Strings for programs in the guest (type 11), such as systemd credentials.',
      examples: [['io.systemd.credential:agetty.autologin=root']],
    }),
});

export type SmbiosOptions = z.output<typeof smbiosOptions>;
