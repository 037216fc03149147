import { describe, expect, test } from 'vitest';
import { deviceOf } from '../../../src/commands/vm/device-option.ts';

describe('the options of vring vm attach', () => {
  test.each([
    [
      { disk: 'a.img,format=raw,readonly' },
      { type: 'virtio-blk', path: 'a.img', format: 'raw', readonly: true },
    ],
    [
      { disk: 'a.img', id: 'data', bus: 'root-port.1' },
      { name: 'data', bus: 'root-port.1', path: 'a.img' },
    ],
    [{ pci: '01:10.0,rombar=off' }, { type: 'vfio-pci', host: '0000:01:10.0', rombar: false }],
    [
      { device: 'virtio-rng,max-bytes=1024,id=rng1' },
      { type: 'virtio-rng', name: 'rng1', 'max-bytes': 1024 },
    ],
    [
      { device: 'virtio-rng-pci', addr: '5' },
      { type: 'virtio-rng', addr: '5' },
    ],
    [{ device: 'my-timer,period=5' }, { type: 'my-timer', period: '5' }],
  ])('%j describe a device', (options, device) => expect(deviceOf(options)).toMatchObject(device));

  test.each([
    [{}, 'expected one of --disk, --pci, --net and --device'],
    [{ disk: 'a.img', pci: '01:00.0' }, 'and only one of them'],
    [{ net: 'usr' }, '--net'],
    [{ pci: 'eth0' }, '--pci eth0: expected a PCI address first'],
    [{ device: 'virtio-rgn' }, '--device virtio-rgn: did you mean virtio-rng?'],
    [{ device: 'virtio-rng,id=a,id=b' }, '--device virtio-rng,id=a,id=b: id is given twice'],
    [{ device: 'virtio-rng,max-bytes=many' }, 'max-bytes: expected a number, not "many"'],
    [{ device: 'virtio-rng,max-byte=1' }, 'unknown key "max-byte": did you mean "max-bytes"?'],
    [{ device: 'virtio-blk' }, '--device virtio-blk: path: missing: expected text'],
    [{ device: ',id=a' }, '--device: expected a type first'],
    [{ device: 'virtio-blk-pci,drive=d0' }, 'there are no drives to refer to: write path=FILE'],
  ])('%j are rejected', (options, message) => expect(() => deviceOf(options)).toThrow(message));
});
