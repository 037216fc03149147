import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The tests run React's production build, which has no jsxDEV.
  oxc: { jsx: { runtime: 'automatic', development: false } },
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    // Every machine thread that runs from source strips its types with WebAssembly of its own. V8 frees the wrappers that
    // it compiles for a thread's hot calls out of WebAssembly twice when many such threads come and go, and crashes: no call gets hot.
    execArgv: ['--wasm-wrapper-tiering-budget=1000000000'],
    env: { NODE_ENV: 'production', FORCE_COLOR: '0' },
  },
});
