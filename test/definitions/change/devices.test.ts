import { describe, expect, test } from 'vitest';
import { withDevice, withLimits, withoutDevice } from '../../../src/definitions/change/devices.ts';
import { readDefinition } from '../../../src/definitions/read.ts';
import { askedFor } from '../../../src/definitions/to-machine.ts';

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

  test('is passed through by its own key', () => {
    const { text, name } = add(TEXT, { type: 'vfio-pci', host: '0000:01:10.0', rombar: false });
    expect(name).toBe('hostdev0');
    expect(text).toContain('passthrough:\n  - host: 0000:01:10.0\n');
    expect(remove(text, { name: 'other', host: '0000:01:10.0' })).toBe(TEXT);
  });

  test('is removed by its disk, else by its name', () => {
    // The definition now gives this name to another device.
    const without = remove(TEXT, { name: 'blk0', path: '/data.img' });
    expect(without).toBe(TEXT.replace('  - file: /data.img\n', ''));
    expect(remove(TEXT, { name: 'blk1' })).toBe(without);
    expect(remove(without, { name: 'blk0' })).not.toContain('disks');
    expect(remove(TEXT, { name: 'rng0' })).toBe(`${TEXT}rng: false\n`);
    expect(() => remove(TEXT, { name: 'blk7' })).toThrow(
      'web.yaml has no device "blk7": it has blk0, blk1, rng0',
    );
  });

  test('is not removed while others need it', () => {
    const text = TEXT.replace('  - file: /data.img', '  - file: /data.img\n    bus: scsi');
    expect(() => remove(text, { name: 'scsi0' })).toThrow(
      /^web.yaml does not list scsi0: it goes with [a-z]+[0-9], which needs it$/,
    );
    const { devices } = askedFor(read(text));
    const needed = devices.flatMap(({ name, neededBy }) =>
      neededBy === undefined ? [] : [[name, neededBy]],
    );
    const disk = devices.find(({ path }) => path === '/data.img')!;
    expect(needed).toEqual([['scsi0', [disk.name]]]);
  });

  test('is not removed for another one of its name', () => {
    expect(() => remove(TEXT, { name: 'blk0', type: 'virtio-blk', path: '/other.img' })).toThrow(
      'blk0, blk1',
    );
    expect(() => remove(TEXT, { name: 'rng0', type: 'virtio-blk' })).toThrow('rng0');
  });

  test('is removed without its neighbors in the file', () => {
    const machine = TEXT.replace('machine:\n', 'machine:\n  hpet: true\n');
    expect(remove(machine, { name: 'hpet0' })).toBe(TEXT);
    expect(remove(`${TEXT}agent: true\n`, { name: 'vport0' })).toBe(TEXT);
    expect(remove(`${TEXT}display: vga\n`, { name: 'vga0' })).toBe(`${TEXT}display: none\n`);
  });

  test('is kept with one of its users if it has others', () => {
    const text = TEXT.replace('/data.img\n', '/data.img\n    bus: scsi\n');
    expect(add(text, { type: 'scsi-hd', path: '/more.img' }).name).toMatch(/^(?!scsi)/);
  });

  test('gets limits, which replace those that it has', () => {
    const text = TEXT.replace('memory: 64M\n', '').concat('nics:\n  - network: user # the only one\n');
    const limit = (text: string, device: object, limits: object) =>
      withLimits(text, FILE, read(text), device, limits);
    const once = limit(text, { name: 'blk0', path: '/data.img' }, { iops: 500, 'iops-burst': 2000 });
    expect(once).toContain(
      '# root\n  - file: /data.img\n    limits:\n      iops: 500\n      iops-burst: 2000\n',
    );
    const again = limit(once, { name: 'blk1' }, { bps: 1024 });
    expect(read(again).disks.map(({ limits }) => limits)).toEqual([undefined, { bps: 1024 }]);
    expect(limit(again, { name: 'blk1' }, {})).toBe(text);
    const nic = limit(text, { name: 'net0' }, { receive: { pps: 7 } });
    expect(read(nic).nics[0]!.limits).toEqual({ receive: { pps: 7 } });
    expect(nic).toContain('# the only one');
    const listed = add(TEXT, { type: 'virtio-blk', name: 'more', path: '/more.img' }).text;
    const limited = read(limit(listed, { name: 'more' }, { bps: 1536 }));
    expect(limited.devices[0]).toMatchObject({ name: 'more', limits: { bps: 1536 } });
    expect(() => limit(text, { name: 'blk7' }, {})).toThrow('web.yaml has no device "blk7"');
  });

  test('that does not fit in is rejected', () => {
    expect(() => add(TEXT, { type: 'virtio-blk', path: '/root.img' })).toThrow('/root.img');
    expect(() => add(TEXT, { type: 'virtio-rng', wrong: 1 })).toThrow('wrong');
  });

  test.each([
    [
      'indented lists, flow mappings and aligned comments',
      `name: web   # the name
machine: { kernel: /vmlinuz }   # flow
devices:
# first
- type: virtio-rng   # the first
  name: one
  # inside
# second
- type: virtio-rng
  name: two

# after
memory: 64M
`,
      [
        `# first\n- type: virtio-rng   # the first\n  name: one\n  # inside\n`,
        `# second\n- type: virtio-rng\n  name: two\n`,
      ],
    ],
    [
      'line ends of other systems',
      'name: web\r\nmachine: { kernel: /vmlinuz }\r\ndevices:\r\n    - type: virtio-rng # x\r\n      name: one\r\n    - { type: virtio-rng, name: two }\r\n',
      ['    - type: virtio-rng # x\r\n      name: one\r\n', '    - { type: virtio-rng, name: two }\r\n'],
    ],
    [
      'a last line without an end',
      'name: web\nmachine: { kernel: /vmlinuz }\ndevices:\n- { type: virtio-rng, name: one }\n- { type: virtio-rng, name: two }',
      ['- { type: virtio-rng, name: one }\n', '- { type: virtio-rng, name: two }'],
    ],
  ])('changes no other line: %s', (_, text, [one, two]) => {
    const added = add(text, { type: 'virtio-rng', name: 'more' }).text;
    expect(added.startsWith(text.slice(0, text.indexOf(two!) + two!.length))).toBe(true);
    expect(added.endsWith(text.slice(text.indexOf(two!) + two!.length))).toBe(true);
    expect(remove(added, { name: 'more' }).trimEnd()).toBe(text.trimEnd());
    expect(remove(text, { name: 'one' })).toBe(text.replace(one!, ''));
    expect(remove(text, { name: 'two' })).toBe(text.replace(two!, ''));
  });

  test('starts and ends a list without changing any other line', () => {
    const text = 'name: web   # the name\r\nmachine: { kernel: /vmlinuz }';
    const added = add(text, { type: 'virtio-rng', name: 'more' }).text;
    expect(remove(added, { name: 'more' })).toBe(`${text}\r\n`);
    expect(added).toBe(`${text}\r\ndevices:\r\n  - type: virtio-rng\r\n    name: more\r\n`);
  });
});
