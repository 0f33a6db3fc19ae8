import type { JobEvent } from '../jobs/event-stream.ts';

/** How far a training is; built up from its events. */
export interface Progress {
  /** Share that is done, 0 to 1. */
  readonly done: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly loss: number | undefined;
  readonly accuracy: number | undefined;
  readonly examplesPerSecond: number | undefined;
  readonly etaSeconds: number | undefined;
  /** By epoch. */
  readonly history: readonly Readonly<Record<string, number>>[];
}

export function startOf(epochs: number): Progress {
  const unknown = { loss: undefined, accuracy: undefined, examplesPerSecond: undefined, etaSeconds: undefined };
  return { done: 0, epoch: 0, epochs, ...unknown, history: [] };
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** The progress after an event. An epoch that comes again, after a crash of the job, takes the place of the one before. */
export function after(progress: Progress, { type, data }: JobEvent): Progress {
  if (type === 'progress') {
    const [step, steps] = [data['step'] as number, data['steps'] as number];
    return {
      ...progress,
      done: step / steps,
      epoch: data['epoch'] as number,
      loss: numberOf(data['loss']),
      examplesPerSecond: numberOf(data['examplesPerSecond']),
      etaSeconds: numberOf(data['etaSeconds']),
    };
  }
  if (type !== 'epoch') return progress;
  const epoch = data['epoch'] as number;
  const metrics = data['metrics'] as Readonly<Record<string, number>>;
  return {
    ...progress,
    done: epoch / progress.epochs,
    epoch,
    loss: metrics['loss'],
    accuracy: metrics['validation-accuracy'] ?? metrics['accuracy'],
    history: [...progress.history.slice(0, epoch - 1), metrics],
  };
}

function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const rest = String(Math.floor(seconds) % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

const BAR = 20;

/** One line of at most so many characters. */
export function progressLine(progress: Progress, width: number): string {
  const { done, epoch, epochs, loss, accuracy, examplesPerSecond, etaSeconds } = progress;
  const full = Math.round(done * BAR);
  const parts = [
    `epoch ${epoch}/${epochs}`,
    `[${'█'.repeat(full)}${'░'.repeat(BAR - full)}] ${Math.floor(done * 100)} %`,
    loss === undefined ? '' : `loss ${loss.toPrecision(4)}`,
    accuracy === undefined ? '' : `accuracy ${accuracy.toFixed(4)}`,
    etaSeconds === undefined ? '' : `ETA ${duration(etaSeconds)}`,
    examplesPerSecond === undefined ? '' : `${examplesPerSecond} examples/s`,
  ];
  return parts.filter(Boolean).join('  ').slice(0, width);
}

/** What an epoch came to, as a line. */
export function epochLine(epoch: number, epochs: number, metrics: Readonly<Record<string, number>>): string {
  const values = Object.entries(metrics).filter(([name]) => /^(validation-)?(loss|accuracy|rmse|r2)$/.test(name));
  return `epoch ${epoch}/${epochs}  ${values.map(([name, value]) => `${name} ${value.toPrecision(4)}`).join('  ')}`;
}
