import { expect, it, vi } from 'vitest';
import { SlipwayError } from '../../../src/errors/slipway-error.ts';
import { rolloutSchema } from '../../../src/packages/rollout.ts';
import type { Logger } from '../../../src/observability/log.ts';
import type { ModelDescription, Registry } from '../../../src/registry/types.ts';
import { createRollouts } from '../../../src/rollouts/rollouts.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

it('holds a decision that cannot be written, says so once, and writes it as soon as it can', async () => {
  const rollout = rolloutSchema.parse({ candidate: 2, baseline: 1, weight: 1, automatic: true, startedAt: '2026-11-24T12:00:00.000Z' });
  let isReadOnly = true;
  let current: typeof rollout | undefined = rollout;
  // A fake: tests may run as root, for whom no folder is read-only.
  const endRollout = vi.fn<Registry['endRollout']>(async () => {
    if (isReadOnly) throw new SlipwayError('REPOSITORY_READ_ONLY', 'The settings can’t be written.');
    current = undefined;
    return {} as ModelDescription;
  });
  const fakeRegistry = {
    rolloutOf: () => current,
    describe: () => ({}) as ModelDescription,
    list: () => [],
    setRollout: () => Promise.reject(new Error('not asked for here')),
    endRollout,
  };
  const logError = vi.fn<Logger['error']>();
  const logger = { debug() {}, info() {}, warn() {}, error: logError };
  const rollouts = createRollouts({ registry: fakeRegistry, folder: await temporaryFolder(), saveMs: 1_000_000, logger });
  const requests = (): void => {
    const active = rollouts.of({ model: 'm' })!;
    for (let each = 0; each < 16; each += 1) {
      active.answered('baseline', 1);
      active.failed('candidate');
    }
  };
  requests();
  await vi.waitFor(() => expect(rollouts.of({ model: 'm' })!.held).toMatchObject({ decision: 'rolled_back' }));
  expect(rollouts.describe('m').held?.reason).toMatch(/the share of failed requests/);
  // Let the first attempt end, so that the next one is tried.
  await vi.waitFor(() => {
    requests();
    expect(endRollout.mock.calls.length).toBeGreaterThan(1);
  });
  expect(logError).toHaveBeenCalledOnce();
  isReadOnly = false;
  await vi.waitFor(() => {
    if (current !== undefined) requests();
    expect(current).toBeUndefined();
  });
  expect(endRollout).toHaveBeenLastCalledWith('m', expect.objectContaining({ decision: 'rolled_back', by: 'test' }));
  // It holds until the end has been written.
  await vi.waitFor(() => expect(rollouts.of({ model: 'm' })).toBeUndefined());
  await rollouts.stop();
});

it('is not ended by late answers of the one before it', async () => {
  const terms = { baseline: 1, weight: 1, automatic: true };
  let current = rolloutSchema.parse({ ...terms, candidate: 2, startedAt: '2026-11-24T12:00:00.000Z' });
  const endRollout = vi.fn<Registry['endRollout']>(async () => ({}) as ModelDescription);
  const registry = {
    rolloutOf: () => current,
    describe: () => ({}) as ModelDescription,
    list: () => [],
    setRollout: () => Promise.reject(new Error('not asked for here')),
    endRollout,
  };
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const rollouts = createRollouts({ registry, folder: await temporaryFolder(), saveMs: 1_000_000, logger });
  const before = rollouts.of({ model: 'm' })!;
  current = rolloutSchema.parse({ ...terms, candidate: 3, startedAt: '2026-11-24T13:00:00.000Z' });
  expect(rollouts.of({ model: 'm' })).not.toBe(before);
  for (let each = 0; each < 64; each += 1) {
    before.answered('baseline', 1);
    before.failed('candidate');
  }
  expect(endRollout).not.toHaveBeenCalled();
  expect(rollouts.describe('m').counts).toMatchObject({ candidateRequests: 0 });
  await rollouts.stop();
});

it('goes by its end while that is written, since the registry follows later', async () => {
  const rollout = rolloutSchema.parse({ candidate: 2, baseline: 1, weight: 1, startedAt: '2026-11-24T12:00:00.000Z' });
  let current: typeof rollout | undefined = rollout;
  const { promise: followed, resolve: follow } = Promise.withResolvers<void>();
  // A fake that takes its time between the write and what comes of it.
  const fakeRegistry = {
    rolloutOf: () => current,
    describe: () => ({}) as ModelDescription,
    list: () => [],
    setRollout: () => Promise.reject(new Error('not asked for here')),
    async endRollout() {
      current = undefined;
      await followed;
      return {} as ModelDescription;
    },
  };
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const rollouts = createRollouts({ registry: fakeRegistry, folder: await temporaryFolder(), saveMs: 1_000_000, logger });
  expect(rollouts.of({ model: 'm' })!.held).toBeUndefined();
  const ended = rollouts.end('m', 'rolled_back');
  expect(fakeRegistry.rolloutOf()).toBeUndefined();
  expect(rollouts.of({ model: 'm' })!.held).toMatchObject({ decision: 'rolled_back' });
  expect(rollouts.of({ model: 'm', version: 2 })).toBeUndefined();
  expect(rollouts.of({ model: 'm', label: 'other' })).toBeUndefined();
  follow();
  await ended;
  expect(rollouts.of({ model: 'm' })).toBeUndefined();
  await rollouts.stop();
});
