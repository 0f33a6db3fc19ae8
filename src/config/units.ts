import { z } from 'zod';

/** Node's timers take no more; a longer one fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const port = z.number().int().min(0).max(65_535);
export const count = z.number().int().positive();
export const bytes = z.number().int().positive();
export const milliseconds = z.number().int().positive().max(MAX_TIMER_MS);
// An empty host would listen on every address, an empty folder would be the current one.
export const text = z.string().min(1);
