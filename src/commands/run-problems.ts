import type { ConfigProblem, MachineConfigInput } from '../vmm/machine/config.ts';

type DeviceInput = NonNullable<MachineConfigInput['devices']>[number];

/** How a command line calls what a configuration is made of. */
export type OptionWords = {
  /** By key, and by the way to it where its parts have options of their own. */
  readonly options: Readonly<Record<string, string>>;
  /** The options that devices come from. */
  readonly devices: string;
  readonly disk: string;
};

export const RUN_WORDS: OptionWords = {
  options: {
    name: '--name',
    cpus: '--cpus',
    memory: '--memory',
    'memory.hugepages': '--hugepages',
    kernel: 'kernel',
    'kernel.initrd': '--initrd',
    'kernel.append': '--append',
    cpuFeatures: '--cpu-features',
  },
  devices: '--disk',
  disk: '--disk',
};

export const QEMU_WORDS: OptionWords = {
  options: {
    name: '-name',
    cpus: '-smp',
    memory: '-m',
    'memory.hugepages': '--hugepages',
    kernel: '-kernel',
    'kernel.initrd': '-initrd',
    'kernel.append': '-append',
    cpuFeatures: '-cpu',
  },
  devices: '-device',
  disk: '-drive',
};

/** What is wrong with a configuration, in the words of the command line that it comes from. */
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
  const option =
    'path' in device ? `${words.disk} ${String(device.path)}` : `${words.devices} ${device.type}`;
  return rest.length === 0 ? option : `${option}: ${rest.join('.')}`;
}
