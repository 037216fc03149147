import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { complete } from '../../../src/commands/completion/complete.ts';
import { buildProgram } from '../../../src/commands/program.ts';

const program = buildProgram();

/** What may stand at the end of `vring LINE`: values, or the kind of files. */
async function at(line: string): Promise<readonly string[] | string> {
  const answer = await complete(program, line.split(' '));
  return answer.kind === 'words' ? answer.candidates.map(({ value }) => value) : answer.kind;
}

test.each([
  ['vf', ['vfio']],
  ['vfio ', ['list', 'bind', 'unbind', 'help']],
  ['vfio unb', ['unbind']],
  ['no-such-command ', []],
  ['sriov set 0000:00:00.0 1 --autoprobe ', ['on', 'off']],
  ['sriov set 0000:00:00.0 1 --autoprobe o', ['on', 'off']],
  ['sriov set --autoprobe=of', ['--autoprobe=off']],
  ['run --kv', ['--kvm']],
  ['run --kvm on --kv', []],
  ['run --disk a.img --dis', ['--disk']],
  ['run --memory ', []],
  ['run --cpus=', []],
  ['run --no-such=', []],
  ['run ', 'files'],
  ['run --initrd ', 'files'],
  ['run --disk ', 'files'],
  ['run -- --kv', 'files'],
  ['run vmlinuz ', []],
  ['pci --host-root ', 'directories'],
  ['pci --host-root / --js', ['--json']],
  ['completion ', ['bash', 'zsh', 'fish']],
  ['__comp', []],
])('vring %s', async (line, expected) => {
  expect(await at(line)).toEqual(expected);
});

test('completes each PCI address of the host once', async () => {
  const addresses = readdirSync('/sys/bus/pci/devices').sort();
  expect(await at('vfio bind ')).toEqual(addresses);
  if (addresses.length === 0) return;
  expect(await at(`vfio bind ${addresses[0]} `)).toEqual(addresses.slice(1));
  const [domain, rest] = [addresses[0]!.slice(0, 5), addresses[0]!.slice(5)];
  if (domain === '0000:') expect(await at(`pci show ${rest}`)).toEqual([rest]);
});

test('every command and option has a description', () => {
  const described = (command: typeof program): string[] => [
    ...(command.description() === '' ? [command.name()] : []),
    ...command.options.filter(({ description }) => description === '').map(({ flags }) => flags),
    ...command.registeredArguments.filter(({ description }) => description === '').map(each => each.name()),
    ...command.commands.filter(each => each.name() !== '__complete').flatMap(described),
  ];
  expect(described(program)).toEqual([]);
});
