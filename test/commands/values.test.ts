import { describe, expect, test } from 'vitest';
import { parseCpuFeatures, parseDisk } from '../../src/commands/values.ts';
import { parseCount, parseSize } from '../../src/text/option-values.ts';
import { UsageError } from '../../src/text/usage-error.ts';

describe('sizes', () => {
  test.each([
    ['512M', 512 * 2 ** 20],
    ['2G', 2 * 2 ** 30],
    ['1.5g', 1.5 * 2 ** 30],
    ['64MiB', 64 * 2 ** 20],
    ['300', 300 * 2 ** 20],
  ])('%s', (text, bytes) => expect(parseSize(text, '--memory')).toBe(bytes));

  test.each(['', '0', '-1', '12X', 'M', '1e9', '1.0000001K', '99999999T'])('%j is rejected by name', text =>
    expect(() => parseSize(text, '--memory')).toThrow(`--memory ${text}: expected a size`),
  );
});

test('counts are whole numbers in range', () => {
  expect(parseCount('4', '--cpus', 1, 64)).toBe(4);
  for (const text of ['0', '65', '1.5', 'two', '']) {
    expect(() => parseCount(text, '--cpus', 1, 64)).toThrow('expected a whole number from 1 to 64');
  }
});

test('CPU features are removed by name', () => {
  expect(parseCpuFeatures('-cx16,-XSAVE')).toEqual({ remove: ['cx16', 'xsave'] });
  expect(() => parseCpuFeatures('cx16')).toThrow(UsageError);
  expect(() => parseCpuFeatures('')).toThrow(UsageError);
});

describe('disks', () => {
  test('a path alone', () => expect(parseDisk('a.img')).toEqual({ type: 'virtio-blk', path: 'a.img' }));

  test('a comma in a path is doubled', () =>
    expect(parseDisk('/a,,b.img,readonly')).toEqual({
      ...{ type: 'virtio-blk', path: '/a,b.img' },
      readonly: true,
    }));

  test('with settings', () =>
    expect(parseDisk('/dev/sdb,format=raw,readonly,transient=off,serial=D=1,queues=2')).toEqual({
      type: 'virtio-blk',
      path: '/dev/sdb',
      format: 'raw',
      readonly: true,
      transient: false,
      serial: 'D=1',
      queues: 2,
    }));

  test.each([
    [',readonly', 'expected a path first'],
    ['a.img,aio=native', 'unknown setting "aio"'],
    ['a.img,cache=fast', 'cache takes writeback, none, writethrough, directsync, unsafe, not fast'],
    ['a.img,readonly=maybe', 'readonly takes on or off'],
    ['a.img,format=', 'format takes raw, qcow2, fat, fat32, fat-floppy, not nothing'],
    ['a.img,queues=99', 'from 1 to 16'],
    ['a.img,detect-zeroes=yes', 'detect-zeroes takes off, on, unmap, not yes'],
    ['a.img,toString=1', 'unknown setting "toString"'],
    ['a.img,serial=a,serial=b', 'serial is given twice'],
  ])('%s is rejected', (text, message) => expect(() => parseDisk(text)).toThrow(message));
});
