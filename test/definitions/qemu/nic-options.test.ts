import { expect, test } from 'vitest';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';

const nicsOf = (...words: string[]) => readQemuOptions(words, 'web', { cwd: '/vms' }).definition.nics;

test('a guest booted by firmware has a network card unless a network option is given', () => {
  expect(nicsOf('-hda', 'a.img')).toMatchObject([{ model: 'e1000', network: { type: 'user' } }]);
  expect(nicsOf('-drive', 'file=a,if=virtio', '-vga', 'std')).toHaveLength(1);
});

test.each([
  [['-nic', 'none'], 0],
  [['-net', 'none'], 0],
  [['-nodefaults'], 0],
  [['-netdev', 'user,id=n'], 0],
  [['-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n'], 1],
  [['-net', 'nic', '-net', 'user'], 1],
  [['-kernel', '/k'], 0],
])('%j: %i cards', (words, count) => {
  expect(nicsOf('-hda', 'a.img', ...words)).toHaveLength(count);
});

test.each([
  ['pc', 'e1000'],
  ['pc-i440fx-8.2', 'e1000'],
  ['q35,accel=kvm', 'e1000e'],
  ['pc-q35-2.12', 'e1000e'],
  ['pc-q35-10.0', 'e1000e'],
  ['pc-q35-2.11', 'e1000'],
])('the default card model of machine %s is %s', (machine, model) => {
  const cards = ['-hda', 'a.img', '-nic', 'tap', '-M', machine, '-net', 'nic', '-net', 'user'];
  expect(nicsOf(...cards)).toMatchObject([{ model }, { model }]);
  expect(nicsOf('-hda', 'a.img', '-machine', machine)).toMatchObject([{ model }]);
  expect(nicsOf('-M', machine, '-nic', 'user,model=pcnet')).toMatchObject([{ model: 'pcnet' }]);
});
