import type { Terminal } from '../command.ts';
import type { TrainJob } from '../jobs/api.ts';
import type { JobEvent } from '../jobs/event-stream.ts';
import { plotOf } from './loss-plot.ts';
import { epochLine, type Progress, progressLine } from './progress.ts';

/** What a person, or a program, sees of a training. */
export interface Report {
  sent(bytes: number, total: number): void;
  uploaded(name: string, rows: number): void;
  submitted(id: string, server: string): void;
  event(event: JobEvent, progress: Progress): void;
  ended(job: TrainJob, progress: Progress): void;
  interrupted(): void;
  /** A line beside the results. */
  note(text: string): void;
}

const PLOT_HEIGHT = 10;
const ERASE_LINE = '\r\u001B[K';

/** What the data became, in words. */
function preparedText(data: JobEvent['data']): string {
  const { rows, parameters, engine, engineReason } = data as {
    rows: Record<'train' | 'validation' | 'test', number>;
    parameters: number;
    engine: string;
    engineReason?: string;
  };
  const why = engineReason === undefined ? '' : ` (${engineReason.replace(/\.$/, '')})`;
  return `${rows.train} rows to train on, ${rows.validation} for validation, ${rows.test} for testing; ${parameters} weights, ${engine}${why}`;
}

function metricsText(metrics: Readonly<Record<string, number>>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join(', ');
}

function outcomeOf({ id, state, reason, metrics, result }: TrainJob): string[] {
  if (state !== 'succeeded') return [`The job ${id} ${state === 'failed' ? 'has failed' : 'was cancelled'}: ${reason}`];
  const { published, measuredOn } = result!;
  const measured = `Measured on the ${measuredOn} rows: ${metricsText(metrics)}.`;
  if (published !== undefined) return [measured, `Published as version ${published.version} of ${published.model}.`];
  return [measured, reason === '' ? 'Nothing was to be published.' : reason];
}

/** Lines for people; on a terminal a line that is drawn over as the training goes on. */
function textReport({ out, err }: Terminal, plot: boolean): Report {
  let isDrawn = false;
  const erase = (): void => {
    if (isDrawn) out.write(ERASE_LINE);
    isDrawn = false;
  };
  const draw = (line: string): void => {
    if (!out.isTTY) return;
    out.write(`${ERASE_LINE}${line}`);
    isDrawn = true;
  };
  const say = (line: string): void => {
    erase();
    out.write(`${line}\n`);
  };
  return {
    sent: (bytes, total) => draw(`sent ${(bytes / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`),
    uploaded: (name, rows) => say(`dataset ${name}: ${rows} rows`),
    submitted: (id, server) => say(`job ${id} on ${server}`),
    event({ type, data }, progress) {
      if (type === 'prepared') say(preparedText(data));
      else if (type === 'epoch' && !out.isTTY) say(epochLine(progress.epoch, progress.epochs, data['metrics'] as Record<string, number>));
      else if (type === 'state' && typeof data['reason'] === 'string' && data['state'] === 'queued' && data['reason'] !== '')
        say(data['reason']);
      if (type === 'progress' || type === 'epoch') draw(progressLine(progress, out.columns - 1));
    },
    ended(job, { history }) {
      const series = [
        { name: 'loss', mark: '*', values: history.map((metrics) => metrics['loss']!) },
        { name: 'validation-loss', mark: 'o', values: history.flatMap((metrics) => metrics['validation-loss'] ?? []) },
      ];
      erase();
      if (plot) for (const line of plotOf(series, { width: out.columns, height: PLOT_HEIGHT })) say(line);
      for (const line of outcomeOf(job)) say(line);
    },
    interrupted: () => erase(),
    note(text) {
      erase();
      err.write(`${text}\n`);
    },
  };
}

/** Lines of JSON: `{"event":…}` for each event and at the end `{"job":…}`. */
function jsonReport({ out, err }: Terminal): Report {
  const nothing = (): void => {};
  const say = (value: object): void => out.write(`${JSON.stringify(value)}\n`);
  return {
    sent: nothing,
    uploaded: (name, rows) => say({ dataset: { name, rows } }),
    submitted: nothing,
    event: (event) => say({ event }),
    ended: (job) => say({ job }),
    interrupted: nothing,
    note: (text) => err.write(`${text}\n`),
  };
}

export function createReport(terminal: Terminal, { json, plot }: { readonly json: boolean; readonly plot: boolean }): Report {
  return json ? jsonReport(terminal) : textReport(terminal, plot);
}
