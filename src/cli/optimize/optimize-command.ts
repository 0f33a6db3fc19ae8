import { parseArgs } from 'node:util';
import { type Command, type Terminal, UsageError } from '../command.ts';
import { type AnyJob, createApi, type JobsApi } from '../jobs/api.ts';
import { EXIT_INTERRUPTED, readSpec } from '../jobs/arguments.ts';
import { checkedServer, DEFAULT_SERVER, headersOf, withoutCredentials } from '../server-arguments.ts';
import { nameOf, type ShownParent, type ShownVariant, variantTable } from './variant-table.ts';

const USAGE = `Usage: slipway optimize SPEC.json [options]
       slipway optimize --follow JOB [options]
       slipway optimize --cancel JOB [options]

Has a server make a version smaller and faster, only if it is still good. The spec is the body of POST /optimize-jobs: model,
techniques, data, limits. Shows the variants as they are measured, and at the end a table.

  --server URL      the server; default ${DEFAULT_SERVER}
  --header NAME:VALUE
                    sent with each request; may be given several times
  --detach          submit the job, print its id and do not wait for its end
  --follow JOB      show how a job goes on, until it ends
  --cancel JOB      cancel a job
  --json            print each event of the job as a line of JSON, and at the end the job

Ctrl-C leaves the job to itself and says how to cancel it.
The exit status is 0 when the job has succeeded, whether or not a variant was good enough, 1 when it has not, 2 for arguments
that are not understood.
`;

const OPTIONS = {
  server: { type: 'string', default: DEFAULT_SERVER },
  header: { type: 'string', multiple: true, default: [] as string[] },
  detach: { type: 'boolean', default: false },
  follow: { type: 'string' },
  cancel: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/** An optimization job, as far as it is shown. */
interface OptimizeJob extends AnyJob {
  readonly result?: {
    readonly parent: ShownParent;
    readonly variants: readonly ShownVariant[];
    readonly untried: readonly ShownVariant['techniques'][];
    readonly published?: { readonly model: string; readonly version: number };
  };
}

function outcomeOf({ id, state, reason, result }: OptimizeJob): string[] {
  if (state !== 'succeeded') return [`The job ${id} ${state === 'failed' ? 'has failed' : 'was cancelled'}: ${reason}`];
  const { parent, variants, untried, published } = result!;
  const left = untried.map((techniques) => nameOf({ techniques })).join(', ');
  return [
    ...variantTable(parent, variants),
    '',
    ...(left === '' ? [] : [`Not tried, for the budget was spent: ${left}.`]),
    published === undefined ? reason : `Published as version ${published.version} of ${published.model}.`,
  ];
}

/** Shows a job until it has ended. @returns how it ended; undefined when we were interrupted first */
async function follow(
  api: JobsApi<OptimizeJob>,
  id: string,
  json: boolean,
  { out, interrupted }: Terminal,
): Promise<OptimizeJob | undefined> {
  for await (const event of api.events(id, interrupted)) {
    if (json) out.write(`${JSON.stringify({ event })}\n`);
    else if (event.type === 'variant') {
      const variant = event.data as unknown as ShownVariant;
      out.write(`${nameOf(variant)}: ${[variant.verdict, ...variant.reasons].join('; ')}\n`);
    } else if (event.type === 'prepared') out.write(`${String(event.data['source'])}: ${JSON.stringify(event.data['rows'])} rows\n`);
  }
  if (interrupted.aborted) return undefined;
  const job = await api.describe(id);
  out.write(json ? `${JSON.stringify({ job })}\n` : `\n${outcomeOf(job).join('\n')}\n`);
  return job;
}

/** `slipway optimize`: an optimization job on a server, watched to its end. */
export const optimizeCommand: Command = {
  usage: USAGE,
  async run(args, terminal) {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
    const wanted = [...positionals, values.follow, values.cancel].filter((each) => each !== undefined);
    if (wanted.length === 0) throw new UsageError('a spec is missing, e.g. slipway optimize spec.json');
    if (wanted.length > 1) throw new UsageError('one spec, or --follow, or --cancel, is taken at a time');
    const server = checkedServer(values.server);
    const api = createApi<OptimizeJob>({ server, headers: headersOf(values.header), jobs: '/optimize-jobs' });
    if (values.cancel !== undefined) {
      const { state } = await api.cancel(values.cancel);
      terminal.err.write(`The job ${values.cancel} is ${state}.\n`);
      return 0;
    }
    const id = values.follow ?? (await api.submit(await readSpec(positionals[0]!), terminal.interrupted)).id;
    if (values.detach) {
      terminal.out.write(`${id}\n`);
      return 0;
    }
    const ended = await follow(api, id, values.json, terminal);
    if (ended !== undefined) return ended.state === 'succeeded' ? 0 : 1;
    terminal.err.write(`The job goes on. To watch it:   slipway optimize --follow ${id} --server ${withoutCredentials(server)}\n`);
    terminal.err.write(`              To cancel it:  slipway optimize --cancel ${id} --server ${withoutCredentials(server)}\n`);
    return EXIT_INTERRUPTED;
  },
};
