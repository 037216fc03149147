import { fstatSync } from 'node:fs';
import * as libc from '../native/libc.ts';
import {
  type CounterBlock,
  CounterLayout,
  type CounterShape,
  HEADER_WORDS,
  shapeOf,
  writeHeader,
} from './counters.ts';

/** Counters in a memfd, which the machine and its manager map. */
export type SharedCounters = CounterBlock & {
  /** `words` must no longer be used. */
  unmap(): void;
};

export type NewCounters = SharedCounters & { readonly fd: number; closeFd(): void };

/** Without these seals the other process could shrink the file, and reading it would raise SIGBUS (memfd_create(2)). */
const SEALS = libc.F_SEAL_SEAL | libc.F_SEAL_SHRINK | libc.F_SEAL_GROW;

/** New counters, zeroed except for their header, and their memfd, which the caller closes. */
export function createCounters(shape: CounterShape): NewCounters {
  const fd = libc.memfdCreate('vring-counters', libc.MFD_ALLOW_SEALING);
  try {
    libc.ftruncate(fd, new CounterLayout(shape).bytes);
    libc.fcntl(fd, 'F_ADD_SEALS', libc.F_ADD_SEALS, SEALS);
    const counters = map(fd, shape);
    writeHeader(counters.words, shape);
    return { ...counters, fd, closeFd: () => libc.close(fd) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * Maps counters that another process has created. The caller keeps the fd.
 * @throws if they do not have this shape, or may be shrunk
 */
export function mapCounters(fd: number, shape: CounterShape): SharedCounters {
  if (fstatSync(fd).size !== new CounterLayout(shape).bytes)
    throw new Error('the counters do not have the size of this machine');
  if ((libc.fcntl(fd, 'F_GET_SEALS', libc.F_GET_SEALS) & SEALS) !== SEALS)
    throw new Error('the counters are not sealed');
  return map(fd, shape);
}

/** Maps counters that this process's manager has created, with the shape in their header. The caller keeps the fd. */
export function adoptCounters(fd: number): SharedCounters {
  const { size } = fstatSync(fd);
  const address = libc.mmap(size, libc.PROT_READ, libc.MAP_SHARED, fd);
  try {
    const shape = shapeOf(new BigUint64Array(libc.viewOf(address, size).slice(0, HEADER_WORDS * 8)));
    return mapCounters(fd, shape);
  } finally {
    libc.munmap(address, size);
  }
}

function map(fd: number, shape: CounterShape): SharedCounters {
  const layout = new CounterLayout(shape);
  const address = libc.mmap(layout.bytes, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, fd);
  const words = new BigUint64Array(libc.viewOf(address, layout.bytes));
  return { words, layout, unmap: () => libc.munmap(address, layout.bytes) };
}
