import { expect, test } from 'vitest';
import { qemuHelp } from '../../src/commands/qemu-help.ts';

const help = (line: string) => qemuHelp(line.split(' '));

test("-device help lists the models of the table by QEMU's names", () => {
  for (const line of ['-device help', '-m 1G -device ?']) {
    expect(help(line)).toContainEqual(
      expect.stringMatching(/^name "virtio-net-pci", bus PCI, alias .*, desc "/),
    );
    expect(help(line)).toContainEqual(expect.stringMatching(/^name "isa-debug-exit", bus ISA, desc "/));
  }
});

test('-device TYPE,help lists the properties', () => {
  const lines = help('-device virtio-net-pci,help')!;
  expect(lines[0]).toBe('virtio-net-pci options:');
  expect(lines).toContainEqual(
    expect.stringMatching(/^ {2}host_mtu=<number from \d+ to \d+> - the MTU reported/),
  );
  expect(help('-device nothing,help')).toBeNull();
});

test('network cards and networks are listed', () => {
  for (const line of ['-net nic,model=?', '-nic user,model=help', '-net nic,vlan=0,model=help'])
    expect(help(line)).toEqual(expect.arrayContaining(['Available NIC models:', 'virtio-net-pci']));
  expect(help('-netdev help')).toContain('user');
});

test('other options print no help', () => {
  for (const line of [
    '-device virtio-net-pci,netdev=n',
    '-net nic,model=virtio',
    '-nic user,',
    '-append help',
    '-device',
  ])
    expect(help(line)).toBeNull();
});
