import type { PhaseTimes } from '../../inference/types.ts';

/** To the microsecond. */
function milliseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** `Server-Timing` (W3C) tells a client where its time went, in milliseconds. */
export function serverTiming(decodeMs: number, { queueMs, computeMs, totalMs, cache }: PhaseTimes, encodeMs: number): string {
  const transferMs = totalMs - queueMs - computeMs - (cache?.ms ?? 0);
  const cached = cache === undefined ? '' : `, cache;desc=${cache.outcome};dur=${milliseconds(cache.ms)}`;
  const atEnds = `encode;dur=${milliseconds(encodeMs)}, total;dur=${milliseconds(decodeMs + totalMs + encodeMs)}`;
  // What did not run has no time of a run.
  if (cache !== undefined && cache.outcome !== 'miss') return `decode;dur=${milliseconds(decodeMs)}${cached}, ${atEnds}`;
  return (
    `decode;dur=${milliseconds(decodeMs)}${cached}, queue;dur=${milliseconds(queueMs)}, compute;dur=${milliseconds(computeMs)}, ` +
    `transfer;dur=${milliseconds(transferMs)}, ${atEnds}`
  );
}
