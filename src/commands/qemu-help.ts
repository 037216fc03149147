import { CommanderError } from 'commander';
import { NETWORK_TYPES } from '../definitions/qemu/networks.ts';
import { Settings } from '../definitions/qemu/settings.ts';
import { deviceTable } from '../devices/registry.ts';
import { deviceModels } from '../report/device-models.ts';
import { printLines } from '../text/output.ts';

const HELP = ['help', '?'];

/**
 * The answer to QEMU's help requests, as lines: `-device help`, `-device virtio-net-pci,help`, `-net nic,model=?`,
 * `-nic user,model=help`, `-netdev help`. Null if there is no such request.
 */
export function qemuHelp(words: readonly string[]): string[] | null {
  for (const [index, word] of words.entries()) {
    const option = /^--?(device|netdev|nic|net)$/.exec(word)?.[1];
    const value = words[index + 1];
    if (option === undefined || value === undefined) continue;
    const lines = option === 'device' ? deviceHelp(value) : networkHelp(option, value);
    if (lines !== null) return lines;
  }
  return null;
}

/** Prints the requested help, and ends the command. */
export function answerHelp(words: readonly string[]): void {
  const lines = qemuHelp(words);
  if (lines === null) return;
  printLines(...lines);
  throw new CommanderError(0, 'vring.help', 'help');
}

function deviceHelp(value: string): string[] | null {
  if (HELP.includes(value)) {
    const rows = deviceTable.configurable.filter(({ qemu }) => qemu !== undefined);
    return rows.map(({ qemu, bus, title }) => {
      const [name, ...aliases] = qemu!.devices;
      const also = aliases.length === 0 ? '' : `, alias "${aliases.join('", "')}"`;
      return `name "${name}", bus ${bus.toUpperCase()}${also}, desc "${title}"`;
    });
  }
  const [driver = '', ...settings] = value.split(',');
  if (!settings.some(setting => HELP.includes(setting))) return null;
  const row = deviceTable.configurable.find(({ qemu }) => qemu?.devices.includes(driver));
  if (row === undefined) return null;
  const options = new Map(
    deviceModels()
      .devices.find(({ type }) => type === row.type)!
      .options.map(option => [option.name, option]),
  );
  return [
    `${driver} options:`,
    ...Object.entries(row.qemu!.properties).map(([property, name]) => {
      const option = options.get(name);
      return `  ${property}=<${option?.takes ?? 'text'}>${option === undefined ? '' : ` - ${option.description}`}`;
    }),
  ];
}

function networkHelp(option: string, value: string): string[] | null {
  if (HELP.includes(value)) return ['Available network types:', ...NETWORK_TYPES];
  let model: string | undefined;
  try {
    model = new Settings(value, 'type').take('model');
  } catch {
    // Parsing it later reports what is wrong.
    return null;
  }
  if (option === 'netdev' || model === undefined || !HELP.includes(model)) return null;
  return ['Available NIC models:', ...nicModels()];
}

/** By their QEMU names. */
function nicModels(): string[] {
  return deviceTable.configurable.flatMap(({ definition, qemu }) =>
    definition?.key === 'nics' ? (qemu?.devices[0] ?? []) : [],
  );
}
