import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Command, type Terminal, UsageError } from '../command.ts';
import { createApi, type JobsApi, type TrainJob } from '../jobs/api.ts';
import { EXIT_INTERRUPTED, readSpec } from '../jobs/arguments.ts';
import { checkedServer, DEFAULT_SERVER, headersOf, withoutCredentials } from '../server-arguments.ts';
import { followJob } from './follow-job.ts';
import { createReport, type Report } from './report.ts';

const USAGE = `Usage: slipway train SPEC.json [options]
       slipway train --follow JOB [--server URL]
       slipway train --cancel JOB [--server URL]

Trains a model as the spec says, the body of POST /train-jobs: a dataset, an architecture, where to publish.
A "dataset" with a slash in it, such as ./wine.csv or ../digits/, is a file or a folder of files beside the spec; it is
uploaded first, unless the same data is there already.

  --server URL      the server that trains, e.g. http://localhost:8080; its job goes on when this ends. Without it the
                    model is trained on this machine, by a server of its own for the time that it takes
  --models DIR      without --server: the model repository to publish to; default ./models
  --threads N       without --server: threads of a training step; default 1
  --header NAME:VALUE
                    sent with each request to the server; may be given several times
  --detach          with --server: submit the job, print its id and do not wait for its end
  --follow JOB      show how a job of the server goes on, until it ends
  --cancel JOB      cancel a job of the server
  --json            print each event of the job as a line of JSON, and at the end the job
  --plot, --no-plot draw the loss over the epochs at the end; by default on a terminal

Ctrl-C leaves a job of a server to itself and says how to cancel it; a training on this machine is cancelled.
The exit status is 0 when the job has succeeded, 1 when it has not, 2 for arguments that are not understood.
`;

const OPTIONS = {
  server: { type: 'string' },
  models: { type: 'string' },
  threads: { type: 'string' },
  header: { type: 'string', multiple: true },
  detach: { type: 'boolean', default: false },
  follow: { type: 'string' },
  cancel: { type: 'string' },
  json: { type: 'boolean', default: false },
  plot: { type: 'boolean' },
} as const;

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, allowNegative: true });
  const wanted = [...positionals, values.follow, values.cancel].filter((each) => each !== undefined);
  if (wanted.length === 0) throw new UsageError('a spec is missing, e.g. slipway train spec.json');
  if (wanted.length > 1) throw new UsageError('one spec, or --follow, or --cancel, is taken at a time');
  const asksServer = values.server !== undefined || values.follow !== undefined || values.cancel !== undefined;
  for (const name of ['models', 'threads'] as const) {
    if (asksServer && values[name] !== undefined) throw new UsageError(`--${name} is for training on this machine; a server has its own`);
  }
  for (const name of ['detach', 'header'] as const) {
    if (!asksServer && values[name] !== undefined && values[name] !== false) throw new UsageError(`--${name} needs --server`);
  }
  return { ...values, asksServer, specFile: positionals[0] };
}

/** The path of a dataset that is to be uploaded; undefined for one that is named. */
async function dataOf(specFile: string, { dataset }: Readonly<Record<string, unknown>>): Promise<string | undefined> {
  if (typeof dataset !== 'string' || !/[/\\]/.test(dataset)) return undefined;
  const path = resolve(dirname(specFile), dataset);
  await stat(path).catch((error: unknown) => {
    throw new Error(`there is no dataset at ${path}; a path is taken from where the spec is`, { cause: error });
  });
  return path;
}

/** `wine.csv.gz` is `wine`, as for `POST /datasets`. */
function nameOf(path: string): string {
  return basename(path)
    .replace(/(?<=.)\..*$/, '')
    .replaceAll(/[^A-Za-z0-9._-]/g, '-');
}

/** Uploads the data, if there is any to be, and submits the job; undefined when we were interrupted before it was. */
async function submit(
  api: JobsApi,
  spec: Readonly<Record<string, unknown>>,
  data: string | undefined,
  report: Report,
  interrupted: AbortSignal,
): Promise<TrainJob | undefined> {
  try {
    if (data === undefined) return await api.submit(spec, interrupted);
    const { name, rows } = await api.upload(data, nameOf(data), report.sent, interrupted);
    report.uploaded(name, rows);
    return await api.submit({ ...spec, dataset: name }, interrupted);
  } catch (error) {
    if (!interrupted.aborted) throw error;
    report.note('Interrupted before the job was submitted.');
    return undefined;
  }
}

/** Submits to a server; its job goes on without us. */
async function onServer(server: string, options: ReturnType<typeof parse>, terminal: Terminal, report: Report): Promise<number> {
  const api = createApi({ server, headers: headersOf(options.header ?? []) });
  if (options.cancel !== undefined) {
    const { state } = await api.cancel(options.cancel);
    report.note(`The job ${options.cancel} is ${state}.`);
    return 0;
  }
  let id = options.follow;
  if (id === undefined) {
    const spec = await readSpec(options.specFile!);
    const job = await submit(api, spec, await dataOf(options.specFile!, spec), report, terminal.interrupted);
    if (job === undefined) return EXIT_INTERRUPTED;
    report.submitted(job.id, server);
    if (options.detach) {
      terminal.out.write(`${job.id}\n`);
      return 0;
    }
    ({ id } = job);
  }
  const ended = await followJob(api, id, report, terminal.interrupted);
  if (ended !== undefined) return ended.state === 'succeeded' ? 0 : 1;
  report.note(`The job goes on. To watch it:   slipway train --follow ${id} --server ${withoutCredentials(server)}`);
  report.note(`              To cancel it:  slipway train --cancel ${id} --server ${withoutCredentials(server)}`);
  return EXIT_INTERRUPTED;
}

/** Trains with a server of our own, which ends with us. */
async function onThisMachine({ models, threads, specFile }: ReturnType<typeof parse>, terminal: Terminal, report: Report): Promise<number> {
  const spec = await readSpec(specFile!);
  const data = await dataOf(specFile!, spec);
  if (data === undefined)
    throw new Error(
      `"dataset" in ${specFile} must be a path with a slash, such as "./wine.csv", when the model is trained on this machine; --server takes the name of a dataset that the server has`,
    );
  const { startLocalServer } = await import('./local-server.ts');
  const settings = [...(models === undefined ? [] : ['--models', models]), ...(threads === undefined ? [] : ['--jobs-threads', threads])];
  const server = await startLocalServer(settings, terminal.env);
  try {
    const api = createApi({ server: server.address, headers: {} });
    const job = await submit(api, spec, data, report, terminal.interrupted);
    if (job === undefined) return EXIT_INTERRUPTED;
    const { id } = job;
    const ended = await followJob(api, id, report, terminal.interrupted);
    if (ended !== undefined) return ended.state === 'succeeded' ? 0 : 1;
    await api.cancel(id);
    report.note('The training is cancelled.');
    return EXIT_INTERRUPTED;
  } finally {
    await server.stop();
  }
}

/** `slipway train`: a job from a file, here or on a server, watched to its end. */
export const trainCommand: Command = {
  usage: USAGE,
  async run(args, terminal) {
    const options = parse(args);
    const report = createReport(terminal, { json: options.json, plot: options.plot ?? terminal.out.isTTY });
    if (!options.asksServer) return onThisMachine(options, terminal, report);
    return onServer(checkedServer(options.server ?? DEFAULT_SERVER), options, terminal, report);
  },
};
