import { z } from 'zod';
import { count, milliseconds } from '../units.ts';

export const rolloutsSection = z
  .strictObject({
    maxShadowing: count
      .default(16)
      .describe('Shadow requests of all rollouts that are under way at once; further ones are left out, and counted as dropped.'),
    shadowTimeoutMs: milliseconds
      .default(10_000)
      .describe('A shadow request that has no answer by then is left out, in milliseconds; it waits behind all others.'),
    saveMs: milliseconds
      .default(5_000)
      .describe('What rollouts have counted is kept on disk so often, in milliseconds; a crash loses what came since.'),
  })
  .prefault({});
