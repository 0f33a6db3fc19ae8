import { defineConfig } from 'vitest/config';

// Slipway runs on the Node that npm brings, and so must its tests; `npm test` and `npx vitest` put it first.
if (Number.parseInt(process.versions.node, 10) < 24) {
  throw new Error(`the tests need Node 24 and this is ${process.version}: start them by npm test or npx vitest`);
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Native engines and child processes are used in tests; a crash of one must not take the others along.
    pool: 'forks',
    maxWorkers: 2,
    // Tests wait for events with deadlines of their own; these only end what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ['test/helpers/no-console.ts', 'test/helpers/regular-expressions.ts'],
    // As runners have it: ONNX Runtime in a test reports to nobody either.
    env: { ORT_DISABLE_TELEMETRY: '1' },
  },
});
