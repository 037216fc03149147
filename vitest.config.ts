import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The tests run React's production build, which has no jsxDEV.
  oxc: { jsx: { runtime: 'automatic', development: false } },
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    env: { NODE_ENV: 'production', FORCE_COLOR: '0' },
  },
});
