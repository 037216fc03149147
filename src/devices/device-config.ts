import * as z from 'zod';
import type { DeviceConfig } from './device-table.ts';
import { commonFields } from './device-type.ts';
import { deviceTable } from './registry.ts';

/**
 * The schema of one entry of a configuration's `devices`, of a built-in type: made on first use, since that takes time.
 */
export const deviceConfig = z.lazy(() => deviceTable.schema(z));

const byType = new Map<string, z.ZodType<DeviceConfig, DeviceConfig>>();

/** The same for entries of this type only: made in a fraction of the time. */
export function deviceConfigOf(type: string): z.ZodType<DeviceConfig, DeviceConfig> {
  const row = deviceTable.find(type);
  if (row === undefined) return deviceConfig;
  const schema = byType.get(type) ?? row.config(z);
  byType.set(type, schema);
  return schema;
}

/** An entry of a type that a device module adds: the machine, which loads the module, checks its options. */
export const moduleDeviceConfig = z
  .object({
    type: z
      .string()
      .max(64, 'at most 64 characters')
      .refine(type => deviceTable.find(type) === undefined, {
        message: 'a type of a device module',
        // Else a union that has this alternative would report its issues instead of those of the row.
        abort: true,
      }),
    ...commonFields(z),
  })
  .catchall(z.union([z.string(), z.number(), z.boolean()], 'text, a number, true or false'));

/** Either of the two, with the errors of the one that is meant. */
export const anyDeviceConfig = z.custom<DeviceConfig>().transform((value, context): DeviceConfig => {
  const type: unknown = value?.type;
  const isOfModule = typeof type === 'string' && deviceTable.find(type) === undefined;
  const parsed = (isOfModule ? moduleDeviceConfig : deviceConfigOf(String(type))).safeParse(value);
  if (parsed.success) return parsed.data as DeviceConfig;
  for (const issue of parsed.error.issues)
    context.issues.push({ ...issue, code: 'custom', input: value } as z.core.$ZodRawIssue);
  return z.NEVER;
});

export const MAX_DEVICE_MODULES = 16;

/** The first device of an unknown type, if no device module could add it; null if there is none. */
export function unknownType({
  devices,
  deviceModules,
}: {
  readonly devices: readonly DeviceConfig[];
  readonly deviceModules: readonly string[];
}): { readonly index: number; readonly message: string } | null {
  if (deviceModules.length > 0) return null;
  const index = devices.findIndex(({ type }) => deviceTable.find(type) === undefined);
  if (index < 0) return null;
  const types = deviceTable.configurable.map(({ type }) => type).join(', ');
  return {
    index,
    message: `expected ${types}, or a type that a device module adds (deviceModules), not "${devices[index]!.type}"`,
  };
}
