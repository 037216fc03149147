import { readdirSync } from 'node:fs';
import { Argument, type Option } from 'commander';
import type { Answer, Candidate } from './answer.ts';

type Kind = 'files' | 'directories' | 'pci' | 'vm' | 'network';

/** The kind of value by placeholder name. Other placeholders have no candidates. */
const KINDS: Readonly<Record<string, Kind>> = {
  file: 'files',
  kernel: 'files',
  target: 'files',
  dir: 'directories',
  address: 'pci',
  pf: 'pci',
  vm: 'vm',
  network: 'network',
};

/** Completes the value of an argument or an option. @param given earlier values of the same command */
export async function valuesFor(
  name: string,
  of: Argument | Option,
  current: string,
  given: readonly string[] = [],
): Promise<Answer> {
  if (of.argChoices) return words(of.argChoices, current);
  const placeholder = of instanceof Argument ? name : /<(\w+)/.exec(of.flags)?.[1];
  switch (KINDS[placeholder ?? '']) {
    case 'files':
      return { kind: 'files' };
    case 'directories':
      return { kind: 'directories' };
    case 'pci':
      return pciAddresses(current, given);
    case 'network':
      return words(networkNames(), current);
    case 'vm':
      return words(
        (await vmNames()).filter(name => !given.includes(name)),
        current,
      );
    default:
      return words([], current);
  }
}

function words(values: readonly string[], current: string): Answer {
  const candidates = values
    .filter(value => value.startsWith(current))
    .map((value): Candidate => ({ value, description: '' }));
  return { kind: 'words', candidates };
}

/** Addresses with their domain, or without it if the word starts that way. */
function pciAddresses(current: string, given: readonly string[]): Answer {
  const addresses = listFolder('/sys/bus/pci/devices').filter(address => !given.includes(address));
  const full = words(addresses, current);
  if (full.kind === 'words' && full.candidates.length > 0) return full;
  return words(
    addresses.filter(address => address.startsWith('0000:')).map(address => address.slice('0000:'.length)),
    current,
  );
}

/** Defined VMs, and the manager's VMs without a definition. */
async function vmNames(): Promise<string[]> {
  try {
    const { openVmList } = await import('../vm/vm-list.ts');
    const vmList = await openVmList();
    const names = vmList.vms().map(vm => vm.name);
    await vmList.close();
    return names.sort();
  } catch {
    // The command itself reports errors; completion has no place for them.
    return [];
  }
}

/** By their files. */
function networkNames(): string[] {
  return listFolder('/etc/vring/networks').flatMap(file =>
    file.endsWith('.yaml') ? [file.slice(0, -'.yaml'.length)] : [],
  );
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}
