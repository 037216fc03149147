import * as z from 'zod';
import { backendTable } from '../devices/backends/backends.ts';
import type { DeviceRow } from '../devices/device-table.ts';
import { deviceTable } from '../devices/registry.ts';

/** An option of a device model. */
export type DeviceOption = {
  readonly name: string;
  /** `text`, `number from 1 to 16`, `writeback|none`. */
  readonly takes: string;
  /** Null if it is optional without a default; undefined if it is required. */
  readonly default?: unknown;
  readonly description: string;
};

/** A row of the device table, as `vring devices` shows it. */
export type DeviceModel = {
  readonly type: string;
  readonly title: string;
  readonly description: string;
  /** Every machine has one. */
  readonly builtin: boolean;
  /** The kind of bus that it is attached to. */
  readonly bus: string;
  /** The kind of bus that it provides, and for how many devices. */
  readonly provides: { readonly kind: string; readonly units: number } | null;
  /** The kind of its back end. */
  readonly backend: string | null;
  /** QEMU's names for it. */
  readonly qemu: readonly string[];
  /** Its key in definitions, such as `disks` of bus `virtio`. */
  readonly definition: string | null;
  readonly options: readonly DeviceOption[];
};

export type DeviceModels = {
  readonly devices: readonly DeviceModel[];
  /** Back ends on the host, by kind. */
  readonly backends: typeof backendTable;
};

export function deviceModels(): DeviceModels {
  return { devices: deviceTable.rows.map(modelOf), backends: backendTable };
}

function modelOf(row: DeviceRow): DeviceModel {
  const { type, title, description, bus, provides, backend = null, qemu, definition } = row;
  const value = definition?.value;
  return {
    ...{ type, title, description, bus, backend },
    builtin: row.builtin === true,
    provides: provides === undefined ? null : { kind: provides.kind, units: provides.units },
    qemu: qemu?.devices ?? [],
    definition:
      definition === undefined ? null : [definition.key, ...(value === undefined ? [] : [value])].join(': '),
    options: row.builtin === true ? [] : optionsOf(row.config(z)),
  };
}

type JsonProperty = {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly description?: string;
};

function optionsOf(schema: z.ZodType): DeviceOption[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' }) as {
    properties?: Record<string, JsonProperty>;
    required?: string[];
  };
  return Object.entries(properties)
    .filter(([name]) => name !== 'type')
    .map(([name, property]) => ({
      name,
      takes: takes(property),
      ...(!required.includes(name) && { default: property.default ?? null }),
      description: property.description ?? '',
    }));
}

function takes({ type, enum: values, minimum, maximum }: JsonProperty): string {
  if (values !== undefined) return values.join('|');
  if (type === 'boolean') return 'true|false';
  if (type !== 'integer' && type !== 'number') return 'text';
  return minimum === undefined || maximum === undefined ? 'number' : `number from ${minimum} to ${maximum}`;
}
