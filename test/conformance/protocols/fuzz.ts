import { checkAlike } from './check-case.ts';
import type { MalformedSource } from './malformed/malformed.ts';
import { createRandom } from './random.ts';
import { describeRequest, randomRequest } from './random-request.ts';
import type { Route } from './route.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly cases: number;
  /** Requests that are under way at once. */
  readonly concurrency?: number;
  /** Failures after which it ends. */
  readonly mostFailures?: number;
}

export interface FuzzReport {
  readonly cases: number;
  /** Requests by the route that they went to, malformed ones by their status. */
  readonly requests: ReadonlyMap<string, number>;
  readonly failures: readonly string[];
}

interface Attempt {
  readonly requests: readonly string[];
  readonly failures: readonly string[];
}

/** Case n is made from the seed and n alone, so that each can be sent again by itself. */
async function run(
  attempt: (index: number) => Promise<Attempt>,
  { cases, concurrency = 16, mostFailures = 20 }: FuzzOptions,
): Promise<FuzzReport> {
  const requests = new Map<string, number>();
  const failures: string[] = [];
  let next = 0;
  let done = 0;
  async function work(): Promise<void> {
    while (next < cases && failures.length < mostFailures) {
      const index = next;
      next += 1;
      const { requests: sent, failures: found } = await attempt(index);
      done += 1;
      for (const name of sent) requests.set(name, (requests.get(name) ?? 0) + 1);
      failures.push(...found.map((failure) => `case ${index}: ${failure}`));
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
  return { cases: done, requests, failures };
}

/** The same random requests by every route. */
export function fuzzAlike(routes: readonly Route[], options: FuzzOptions): Promise<FuzzReport> {
  return run(async (index) => {
    const { request, needs } = randomRequest(createRandom(options.seed + index));
    const describe = (failure: string): string => `${failure}\n    ${describeRequest(request)}`;
    try {
      const { sent, differences } = await checkAlike(routes, request, needs);
      return { requests: sent.map(({ name }) => name), failures: differences.map(describe) };
    } catch (error) {
      return { requests: [], failures: [describe(String(error))] };
    }
  }, options);
}

/** Malformed requests of one protocol: each is answered, by an answer or by an error of the client. */
export function fuzzMalformed(source: MalformedSource, options: FuzzOptions): Promise<FuzzReport> {
  return run(async (index) => {
    const request = source.next(createRandom(options.seed + index));
    try {
      const { status, problem } = await request.send();
      const failures = problem === undefined ? [] : [`${source.protocol}: ${problem}\n    ${request.sent}`];
      return { requests: [`status ${status}`], failures };
    } catch (error) {
      return { requests: [], failures: [`${source.protocol}: ${String(error)}\n    ${request.sent}`] };
    }
  }, options);
}
