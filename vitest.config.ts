import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const path = (file: string) => join(import.meta.dirname, file);

/** The long runs of `npm run soak`. */
const soaks = process.env.VRING_SOAK_ROUNDS === undefined ? [] : ['test/soak/*.soak.ts'];

/** Tests that take minutes: emulated hosts, Linux guests, managers in long use. */
const LONG = /\/(rig|linux|soak)\//;

const ALL = ['test/**/*.test.{ts,tsx}', 'examples/**/*.test.ts', ...soaks];

/**
 * Tests that change nothing in their process: no environment, no namespaces, no mocks. They share processes, which
 * evaluate each module once instead of once per file.
 */
const SHARING = [
  ...['definitions/qemu', 'devices/legacy', 'devices/pci', 'keys', 'store', 'text', 'theme', 'view'],
].map(folder => `test/${folder}/**/*.test.{ts,tsx}`);

/** Starts what takes minutes first, so that all workers end at about the same time. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId.slice(import.meta.dirname.length));
    return [...sorted.filter(isLong), ...sorted.filter(file => !isLong(file))];
  }
}

export default defineConfig({
  // The tests run React's production build, which has no jsxDEV.
  oxc: { jsx: { runtime: 'automatic', development: false } },
  // What a device module imports from an installed vring.
  resolve: {
    alias: [
      { find: 'vring/device/testing', replacement: path('test/support/device-testing.ts') },
      { find: 'vring/device', replacement: path('src/devices/modules/api.ts') },
    ],
  },
  test: {
    projects: [
      { extends: true, test: { name: 'own process', include: ALL, exclude: SHARING } },
      { extends: true, test: { name: 'shared process', include: SHARING, isolate: false } },
    ],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    // On a busy disk, removing the images of a test can take longer than the default of 10 s.
    hookTimeout: 60_000,
    // Every machine thread that runs from source strips its types in WebAssembly. With hundreds of such threads, V8 crashes now and
    // then as it frees the code that it compiled for their hot calls out of WebAssembly; so no call becomes hot.
    execArgv: ['--wasm-wrapper-tiering-budget=1000000000'],
    env: {
      ...{ NODE_ENV: 'production', FORCE_COLOR: '0', TZ: 'UTC' },
      // Programs that tests start strip and compile their sources: two thirds of the CPU time of a test of a manager and its VMs.
      NODE_COMPILE_CACHE: path('node_modules/.cache/vring-tests'),
    },
  },
});
