import type { TrainSpec } from './spec.ts';

/** The best epoch so far; plain data, part of a checkpoint. */
export interface Best {
  readonly epoch: number;
  readonly value: number;
}

export interface Verdict {
  readonly best: Best;
  /** Whether this epoch is the best one. */
  readonly improved: boolean;
  readonly stop: boolean;
}

/** Whether a training is to end because an epoch's value, for long, was no better than the best before it. */
export function judge(
  { metric, patience, minDelta }: NonNullable<TrainSpec['earlyStopping']>,
  best: Best | undefined,
  epoch: number,
  metrics: Readonly<Record<string, number>>,
): Verdict {
  const value = metrics[metric]!;
  const gain = best === undefined ? Infinity : metric === 'loss' ? best.value - value : value - best.value;
  if (best === undefined || gain > minDelta) return { best: { epoch, value }, improved: true, stop: false };
  return { best, improved: false, stop: epoch - best.epoch >= patience };
}
