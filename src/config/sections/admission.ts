import { z } from 'zod';
import { count, milliseconds } from '../units.ts';

export const schedulerSection = z
  .strictObject({
    maxQueueDepth: count.default(1_000).describe('Requests that may wait for one version; further ones are refused.'),
    maxQueueMs: milliseconds
      .default(10_000)
      .describe('A request whose wait is predicted to be longer than this is refused at once, in milliseconds.'),
    requestTimeoutMs: milliseconds.default(30_000).describe('Longest time from the arrival of a request to its answer, in milliseconds.'),
    busyShare: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe(
        'While more predict requests arrive than the server can answer, each round of its event loop lets in those that it gets to within this share of their time, and refuses the others on their headers; 0 turns it off.',
      ),
    maxBatchSize: count
      .default(256)
      .describe('Most rows of a batch made of requests that wait for the same version; 1 turns batching off.'),
    batchLatencyMs: milliseconds
      .default(10)
      .describe(
        'Batches are made no larger than what is predicted to take this long, in milliseconds, or four times as long as one row if that is more.',
      ),
    exactBatches: z
      .boolean()
      .default(false)
      .describe('Make batches only of models whose batches, in a trial, gave the same bits as requests alone.'),
    defaultPriority: count.default(10).describe('Priority of requests that state none; 1 goes first, then 2 and so on.'),
  })
  .prefault({});

export const clientsSection = z
  .strictObject({
    identifiedBy: z
      .enum(['address', 'header', 'nothing'])
      .default('address')
      .describe(
        'What tells the clients of predict requests apart, so that they have turns: the address they come from (of IPv6 the first 64 bits), or the header named by `clients.header`; with `nothing` all are one.',
      ),
    header: z
      .string()
      .regex(/^[A-Za-z0-9-]+$/, 'is no name of a header')
      .default('x-api-key')
      .describe(
        'The header, or key of gRPC’s metadata, that names a client when `clients.identifiedBy` is `header`. It is believed as it comes, so something in front must check it. A request without it is told by its address.',
      ),
    trustedProxies: z
      .number()
      .int()
      .min(0)
      .default(0)
      .describe(
        'Proxies in front of the server, each of which adds the address that it was called from to `X-Forwarded-For`: so many entries from the end are believed. With 0 the header is not looked at, and all that comes through a proxy is one client.',
      ),
    requestsPerSecond: z
      .number()
      .positive()
      .optional()
      .describe(
        'Predict requests a second that one client may send in the long run; what is over it gets 429 with `Retry-After`. Without it there is no bound.',
      ),
    burst: count.optional().describe('Requests that one client may send at once after a rest. Without it those of a second, at least 1.'),
    maxConcurrent: count
      .optional()
      .describe('Predict requests of one client that are under way at once; what is over it gets 429. Without it there is no bound.'),
    maxClients: count
      .default(10_000)
      .describe('Clients whose use is remembered for the quotas; beyond that the one that was idle for longest begins anew.'),
  })
  .prefault({});
