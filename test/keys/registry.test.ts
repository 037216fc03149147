import { describe, expect, test } from 'vitest';
import { keysMarkdown } from '../../src/keys/keys-markdown.ts';
import { commands } from '../../src/keys/registry.ts';

const SCREENS = ['vms', 'vm', 'pci', 'iommu', 'sriov', 'vfio', 'doctor', 'log', 'function'] as const;

test.each(SCREENS)('no key means two things on the screen %s', screen => {
  const here = commands.filter(command => command.screens?.includes(screen) ?? true);
  const keys = here.flatMap(command => command.keys);
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
});

describe.each(commands.map(command => [command.name, command] as const))(
  'the command %s',
  (name, command) => {
    test('has a key, a name of its own and a description', () => {
      expect(command.keys).not.toEqual([]);
      expect(commands.filter(other => other.name === name)).toHaveLength(1);
      expect(command.description).toMatch(/^[A-Z].*[^.]$/);
    });
  },
);

test('what changes a VM or the host has capital letters, and nothing else has but undo', () => {
  const capital = commands.filter(({ keys }) => keys.some(key => /^[A-Z]$/.test(key) && key !== 'G'));
  const changing = commands.filter(({ category }) => category === 'Virtual machine' || category === 'Host');
  expect(capital.map(command => command.name)).toEqual(
    changing.map(command => command.name).filter(name => name !== 'undo'),
  );
});

test('a read-only session forbids all that changes something, typing into a guest included', () => {
  const changing = commands.filter(({ category }) => category === 'Virtual machine' || category === 'Host');
  expect(commands.filter(({ changes }) => changes !== undefined).map(({ name }) => name)).toEqual([
    'console',
    ...changing.map(({ name }) => name),
  ]);
});

test('what loses something asks first', () => {
  const dangerous = commands.filter(command => command.dangerous).map(command => command.name);
  expect(dangerous).toEqual(['quit', 'power-button', 'reset', 'kill', 'remove']);
});

test('docs/keys.md lists them (vitest -u writes it)', async () => {
  await expect(keysMarkdown()).toMatchFileSnapshot('../../docs/keys.md');
});
