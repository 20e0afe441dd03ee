import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/say-what-is-left-out.ts'],
    setupFiles: ['test/support/closed-network.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Vitest keeps a core for itself; most of what takes long here waits, for a clock or for a disk.
    maxWorkers: 2,
  },
})
