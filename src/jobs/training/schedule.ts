import type { Schedule } from './spec.ts';

export interface ScheduleOptions {
  readonly schedule: Schedule;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
}

/** The learning rate of each step; steps count from 1. */
export function createLearningRate({
  schedule,
  learningRate,
  warmupSteps,
  stepsPerEpoch,
  epochs,
}: ScheduleOptions): (step: number) => number {
  const lastStep = Math.max(1, stepsPerEpoch * epochs - 1);
  const factorOf = (step: number): number => {
    const epoch = Math.floor((step - 1) / stepsPerEpoch);
    const done = (step - 1) / lastStep;
    switch (schedule.kind) {
      case 'constant':
        return 1;
      case 'step':
        return schedule.factor ** Math.floor(epoch / schedule.everyEpochs);
      case 'exponential':
        return schedule.factor ** epoch;
      case 'linear':
        return 1 - (1 - schedule.final) * done;
      case 'cosine':
        // I. Loshchilov, F. Hutter, SGDR, 2017, without restarts.
        return schedule.final + (1 - schedule.final) * 0.5 * (1 + Math.cos(Math.PI * done));
    }
  };
  return (step) => learningRate * factorOf(step) * (step < warmupSteps ? step / warmupSteps : 1);
}
