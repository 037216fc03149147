import { deviceTable } from '../devices/registry.ts';
import type { ConfigProblem, MachineConfigInput } from '../vmm/machine/config.ts';

type DeviceInput = NonNullable<MachineConfigInput['devices']>[number];

/** The option names of a command line, to phrase configuration errors in its terms. */
export type OptionWords = {
  /** By key, or by path where parts of a key have their own options. */
  readonly options: Readonly<Record<string, string>>;
  /** The option that adds devices. */
  readonly devices: string;
  readonly disk: string;
};

export const RUN_WORDS: OptionWords = {
  options: {
    name: '--name',
    cpus: '--cpus',
    memory: '--memory',
    'memory.hugepages': '--hugepages',
    boot: 'kernel',
    'boot.initrd': '--initrd',
    'boot.append': '--append',
    cpuFeatures: '--cpu-features',
  },
  devices: '--disk',
  disk: '--disk',
};

export const FIRMWARE_WORDS: OptionWords = {
  ...RUN_WORDS,
  options: { ...RUN_WORDS.options, boot: '--firmware' },
};

export const QEMU_WORDS: OptionWords = {
  options: {
    name: '-name',
    cpus: '-smp',
    memory: '-m',
    'memory.hugepages': '--hugepages',
    boot: '-kernel',
    'boot.initrd': '-initrd',
    'boot.append': '-append',
    cpuFeatures: '-cpu',
  },
  devices: '-device',
  disk: '-drive',
};

/** Configuration errors in the terms of the command line. */
export function problemText(
  problems: readonly ConfigProblem[],
  words: OptionWords,
  devices: readonly DeviceInput[],
): string {
  return problems.map(problem => `${where(problem, words, devices)}: ${problem.message}`).join('; ');
}

function where({ path }: ConfigProblem, words: OptionWords, devices: readonly DeviceInput[]): string {
  const [key, part, ...rest] = path.map(String);
  if (key === undefined) return 'the command line';
  if (key !== 'devices') return words.options[`${key}.${part}`] ?? words.options[key] ?? path.join('.');
  const device = devices[Number(part)];
  if (device === undefined) return words.devices;
  const disk = deviceTable.disk(device);
  const option = disk === null ? `${words.devices} ${device.type}` : `${words.disk} ${disk.path}`;
  return rest.length === 0 ? option : `${option}: ${rest.join('.')}`;
}
