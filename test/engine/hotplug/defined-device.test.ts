import { describe, expect, test } from 'vitest';
import { definedAs } from '../../../src/engine/hotplug/defined-device.ts';
import { definedDevices } from '../../../src/engine/hotplug/defined-devices.ts';

const DEVICES = [
  { type: 'virtio-blk', path: '/root.img', format: 'raw' },
  { type: 'virtio-net', mac: '52:54:00:AB:00:01', network: { type: 'bridge', br: 'br0' }, link: false },
  { type: 'ide-cd', path: '/install.iso' },
  { type: 'vfio-pci', host: '01:10.0' },
];

test('the devices of a definition have the names, buses and facts that screens show', () => {
  expect(definedDevices(DEVICES)).toMatchObject([
    {
      ...{ name: 'blk0', title: 'virtio block device', backend: 'disk', bus: 'pci.0', path: '/root.img' },
      facts: [
        { label: 'path', value: '/root.img' },
        { label: 'format', value: 'raw' },
        { label: 'cache', value: 'writeback' },
        { label: 'read-only', value: false },
      ],
    },
    {
      ...{ name: 'net0', backend: 'net' },
      facts: [
        { label: 'network', value: 'bridge br0' },
        { label: 'MAC', value: '52:54:00:ab:00:01' },
        { label: 'link', value: 'down' },
        { label: 'queues', value: 1 },
      ],
    },
    { path: '/install.iso', drive: true },
    { name: 'hostdev0', host: '0000:01:10.0', facts: [{ label: 'host device', value: '0000:01:10.0' }] },
  ]);
  expect(definedDevices([{ type: 'virtio-blk' }, { type: 'of-a-module' }])).toMatchObject([
    { name: 'blk0', facts: [{ label: 'path', value: 'empty' }] },
  ]);
});

describe('a device of a VM is found in its definition', () => {
  const defined = definedDevices(DEVICES);
  const nameOf = (device: object) => definedAs(defined, device)?.name;

  test('by its disk or its host device, whatever its name there', () => {
    expect(nameOf({ name: 'blk7', type: 'virtio-blk', path: '/root.img' })).toBe('blk0');
    expect(nameOf({ name: 'other', type: 'vfio-pci', host: '0000:01:10.0' })).toBe('hostdev0');
  });

  test('by its name, unless that now names another device', () => {
    expect(nameOf({ name: 'net0' })).toBe('net0');
    expect(nameOf({ name: 'net0', type: 'virtio-net' })).toBe('net0');
    expect(nameOf({ name: 'net0', type: 'e1000' })).toBeUndefined();
    expect(nameOf({ name: 'blk0', type: 'virtio-blk', path: '/other.img' })).toBeUndefined();
    expect(nameOf({ name: 'hostdev0', type: 'vfio-pci', host: '0000:02:00.0' })).toBeUndefined();
  });

  test('whatever medium its drive has', () => {
    const { name } = defined[2]!;
    expect(nameOf({ name, type: 'ide-cd', path: '/other.iso' })).toBe(name);
  });
});
