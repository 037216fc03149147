import { afterEach, describe, expect, it } from 'vitest';
import * as libc from '../../../src/vmm/native/libc.ts';
import { LocalOwner } from '../../support/local-owner.ts';

const owner = new LocalOwner();
afterEach(() => owner.release());

describe('libc calls', () => {
  it('throw a SystemError with the call, the number and its name', () => {
    expect(() => libc.open('/nonexistent', libc.O_RDONLY)).toThrow(libc.SystemError);
    expect(() => libc.open('/nonexistent', libc.O_RDONLY)).toThrow(
      expect.objectContaining({ call: 'open /nonexistent', errno: 2, code: 'ENOENT' }),
    );
    expect(() => libc.ioctl(-1, 'KVM_RUN', 0, 0)).toThrow('ioctl KVM_RUN: EBADF');
    expect(libc.tryIoctl(-1, 0, 0)).toBe(-9);
    expect(() => libc.mmap(0, libc.PROT_READ, libc.MAP_SHARED, -1)).toThrow('EBADF');
  });

  it('name an errno without a name by its number', () => {
    expect(libc.errnoName(11)).toBe('EAGAIN');
    expect(libc.errnoName(9999)).toBe('errno 9999');
  });

  it('create eventfds that count signals', () => {
    const fd = owner.ownFd(libc.eventfd());
    expect(libc.drainEventfd(fd)).toBe(0n);
    libc.signalEventfd(fd);
    libc.signalEventfd(fd);
    expect(libc.drainEventfd(fd)).toBe(2n);
    expect(libc.drainEventfd(fd)).toBe(0n);
  });

  it('map a memfd so that a view sees writes through another mapping', () => {
    const fd = owner.ownFd(libc.memfdCreate('test'));
    libc.ftruncate(fd, 8192);
    const map = () => {
      const address = libc.mmap(8192, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, fd);
      owner.ownMap(address, 8192);
      return new Uint8Array(libc.viewOf(address, 8192));
    };
    const [first, second] = [map(), map()];
    first[4097] = 42;
    expect(second[4097]).toBe(42);
    libc.fallocate(fd, libc.FALLOC_FL_PUNCH_HOLE | libc.FALLOC_FL_KEEP_SIZE, 4096, 4096);
    expect(first[4097]).toBe(0);
  });
});
