import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Native engines and child processes are used in tests; a crash of one must not take the others along.
    pool: 'forks',
    maxWorkers: 2,
    // Tests wait for events with deadlines of their own; these only end what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ['test/helpers/no-console.ts'],
  },
});
