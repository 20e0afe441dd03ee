import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/say-what-is-left-out.ts'],
    setupFiles: ['test/support/closed-network.ts'],
    // A busy machine makes a test late, and late is not wrong: what is measured is measured by the benchmarks.
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Vitest keeps a core for itself; most of what takes long here waits, for a clock or for a disk.
    maxWorkers: 2,
  },
})
