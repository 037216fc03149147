import { describe, expect, test } from 'vitest';
import { withDevice, withoutDevice } from '../../../src/definitions/change/devices.ts';
import { readDefinition } from '../../../src/definitions/read.ts';

const FILE = 'web.yaml';
const TEXT = `# the web server
name: web
machine:
  kernel: /vmlinuz # from the distribution
disks:
  - file: /root.img # root
  - file: /data.img
`;
const read = (text: string) => readDefinition(text, { file: FILE, name: 'web' });
const add = (text: string, device: { type: string; [key: string]: unknown }) =>
  withDevice(text, FILE, read(text), device);
const remove = (text: string, device: object) => withoutDevice(text, FILE, read(text), device);

describe('a device in a definition', () => {
  test('is added at the end, with its name, and comments stay', () => {
    const { text, name } = add(TEXT, { type: 'virtio-blk', path: '/more.img' });
    expect(name).toBe('blk2');
    expect(text).toBe(`${TEXT}devices:\n  - type: virtio-blk\n    name: blk2\n    path: /more.img\n`);
    const again = add(text, { type: 'virtio-rng', name: 'extra', 'max-bytes': 10 });
    expect(again.text).toBe(`${text}  - type: virtio-rng\n    name: extra\n    max-bytes: 10\n`);
    expect(() => add(again.text, { type: 'virtio-rng', name: 'extra' })).toThrow(
      'web.yaml has a device named "extra" already',
    );
  });

  test('is passed through by a key of its own', () => {
    const { text, name } = add(TEXT, { type: 'vfio-pci', host: '0000:01:10.0', rombar: false });
    expect(name).toBe('hostdev0');
    expect(text).toContain('passthrough:\n  - host: 0000:01:10.0\n');
    expect(remove(text, { name: 'other', host: '0000:01:10.0' })).toBe(TEXT);
  });

  test('is removed by its disk, else by its name', () => {
    // Which the definition gives to another one by now.
    const without = remove(TEXT, { name: 'blk0', path: '/data.img' });
    expect(without).toBe(TEXT.replace('  - file: /data.img\n', ''));
    expect(remove(TEXT, { name: 'blk1' })).toBe(without);
    expect(remove(without, { name: 'blk0' })).not.toContain('disks');
    expect(remove(TEXT, { name: 'rng0' })).toBe(`${TEXT}rng: false\n`);
    expect(() => remove(TEXT, { name: 'blk7' })).toThrow(
      'web.yaml has no device "blk7": it has blk0, blk1, rng0',
    );
  });

  test('that does not fit in is refused', () => {
    expect(() => add(TEXT, { type: 'virtio-blk', path: '/root.img' })).toThrow('/root.img');
    expect(() => add(TEXT, { type: 'virtio-rng', wrong: 1 })).toThrow('wrong');
  });
});
