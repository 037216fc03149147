import type { Command } from 'commander';
import { BACKEND_KINDS, type BackendKind } from '../devices/backends/backend-type.ts';
import type { DeviceModel, DeviceModels, DeviceOption } from '../report/device-models.ts';
import { likely } from '../text/nearest.ts';
import { printData, printLines } from '../text/output.ts';
import { printable } from '../text/printable.ts';
import { UsageError } from '../text/usage-error.ts';

/** `vring devices`: the device models, from their table. */
export function registerDevices(program: Command): void {
  program
    .command('devices')
    .description('List the device models, or show one with its options')
    .argument(
      '[type]',
      'a device model, such as virtio-blk; or disk, net, char or tpm for those with such a back end',
    )
    .option('--json', 'print JSON')
    .action(async (type: string | undefined, options: { json?: boolean }) => {
      const { deviceModels } = await import('../report/device-models.ts');
      const all = deviceModels();
      const kind = BACKEND_KINDS.find(each => each === type);
      const models = kind === undefined ? all : ofKind(all, kind);
      if (type !== undefined && kind === undefined) {
        const model = find(models, type);
        if (options.json) printData(model);
        else printLines(...details(model));
      } else if (options.json) printData(models);
      else printLines(...list(models));
    });
}

/** The models with a kind of back end, and these back ends. */
function ofKind({ devices, backends }: DeviceModels, wanted: BackendKind): DeviceModels {
  return {
    devices: devices.filter(({ backend }) => backend === wanted),
    backends: backends.filter(({ kind }) => kind === wanted),
  };
}

/** @throws UsageError */
function find({ devices }: DeviceModels, type: string): DeviceModel {
  const model = devices.find(device => device.type === type || device.qemu.includes(type));
  if (model !== undefined) return model;
  const types = devices.map(device => device.type);
  const near = likely(type, types);
  const advice = near === null ? `expected one of ${types.join(', ')}` : `did you mean ${near}?`;
  throw new UsageError(`there is no device model ${printable(type)}: ${advice}`);
}

function list({ devices, backends }: DeviceModels): string[] {
  return [
    ...table(
      ['TYPE', 'BUS', 'BACK END', 'DEVICE'],
      devices.map(({ type, bus, backend, title, description, builtin, provides }) => {
        const more = [
          ...(builtin ? ['in every machine'] : []),
          ...(provides === null ? [] : [`provides a bus for ${provides.kind} devices`]),
        ];
        const after = more.length === 0 ? '' : ` (${more.join('; ')})`;
        return [type, bus, backend ?? '-', `${title}: ${description}${after}`];
      }),
    ),
    '',
    ...table(
      ['BACK END', 'TYPE', 'CONNECTED TO'],
      backends.map(({ kind, type, title, description }) => [kind, type, `${title}: ${description}`]),
    ),
    '',
    'vring devices TYPE shows a device with its options.',
  ];
}

function details(model: DeviceModel): string[] {
  const { title, description, bus, provides, backend, qemu, definition, builtin, options } = model;
  const facts: [string, string | null][] = [
    ['bus', bus],
    [
      'provides',
      provides && `a bus for ${provides.units} ${provides.kind} device${provides.units === 1 ? '' : 's'}`,
    ],
    ['back end', backend],
    ['definition', definition],
    ['QEMU', qemu.length === 0 ? null : qemu.join(', ')],
    ['machines', builtin ? 'every machine has one' : null],
  ];
  return [
    `${model.type}: ${title}, ${description}`,
    '',
    ...facts.flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(10)}  ${value}`])),
    ...(options.length === 0
      ? []
      : ['', ...table(['OPTION', 'TAKES', 'DEFAULT', 'WHAT IT IS'], options.map(optionCells))]),
  ];
}

function optionCells(option: DeviceOption): string[] {
  const { name, takes, description } = option;
  const byDefault = !('default' in option)
    ? 'required'
    : option.default === null
      ? '-'
      : String(option.default);
  return [name, takes, byDefault, description];
}

/** Columns as wide as their contents. */
function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map(row => row[column]!.length)),
  );
  return [titles, ...rows].map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}
