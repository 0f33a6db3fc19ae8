import { join } from 'node:path';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { IngestLimits } from '../../datasets/ingest/ingest.ts';
import { paretoFront, scoreOf } from '../../optimization/gate/pareto.ts';
import type { ReadBounds } from '../../optimization/onnx-model/read-budget.ts';
import type { Registry } from '../../registry/types.ts';
import type { Logger } from '../../observability/log.ts';
import { type JobProcessSettings, runJobProcess } from '../job-process.ts';
import type { Work, WorkContext } from '../jobs.ts';
import type { PublishOnce } from '../publish.ts';
import { meritsOf, speedupOf } from './judgement.ts';
import type { OptimizeRequest, OptimizeResult, ParentResult, ResolvedOptimizeSpec, TryRequest, TryResult, VariantRow } from './result.ts';
import { searchVariants, variantFolder } from './search-variants.ts';
import { createTriesFile } from './tries-file.ts';
import { writeProvenance } from './variant-package.ts';

export interface OptimizeWorkOptions {
  readonly registry: Registry;
  readonly datasets: DatasetCatalog;
  readonly publish: PublishOnce;
  readonly process: JobProcessSettings;
  readonly ingestLimits: IngestLimits;
  /** As the settings `limits.maxGraphBytes` and `limits.maxGraphParts`. */
  readonly bounds: ReadBounds;
  /** As the setting `compiler.enabled`. */
  readonly compiles: boolean;
  /** As the setting `runners.threads`. */
  readonly threads: number;
  /** As the setting `jobs.threads`. */
  readonly trainingThreads: number;
  /** Slipway's own. */
  readonly version: string;
  readonly logger: Logger;
}

/** Runs the processes of one job, one after the other, all within the time of one attempt. */
function createProcesses(settings: JobProcessSettings, { signal, report }: WorkContext) {
  const end = performance.now() + settings.maxDurationMs;
  return (job: string, request: OptimizeRequest | TryRequest): Promise<unknown> =>
    runJobProcess({
      settings: { ...settings, maxDurationMs: Math.max(1, end - performance.now()) },
      job,
      request,
      signal,
      onEvent: ({ type, data }) => report(type, data),
    });
}

/** Which rows are on the Pareto front, the parent's first, and which of those that were accepted is best. */
function weigh({ parent }: ParentResult, rows: readonly VariantRow[], { objective }: ResolvedOptimizeSpec) {
  const measured = rows.flatMap(({ measurement, verdict }, index) =>
    measurement === undefined ? [] : [{ index, verdict, merits: meritsOf(measurement) }],
  );
  const { sizeBytes, accuracy } = parent;
  const [parentOnFront, ...front] = paretoFront([{ sizeBytes, accuracy, speedup: 1 }, ...measured.map(({ merits }) => merits)]);
  const accepted = measured
    .filter(({ verdict }) => verdict === 'accepted')
    .toSorted((one, other) => scoreOf(other.merits, objective) - scoreOf(one.merits, objective));
  return {
    parentOnFront: parentOnFront!,
    onFront: new Set(measured.filter((_each, place) => front[place]).map(({ index }) => index)),
    best: accepted[0]?.index,
    accepted: accepted.length,
  };
}

/**
 * Tries variants of a version, each in a process of its own, measures them beside the version on rows that nothing else
 * has seen, and publishes the best of those that keep to the limits.
 */
export function createOptimizeWork({
  registry,
  datasets,
  publish,
  process,
  version: slipway,
  logger,
  ...settings
}: OptimizeWorkOptions): Work {
  async function requestOf(spec: ResolvedOptimizeSpec, folder: string): Promise<OptimizeRequest> {
    const parentFolder = join(folder, 'parent');
    await registry.copy(spec.model, spec.version, parentFolder);
    const given = (named: { readonly dataset?: string | undefined; readonly target?: string | undefined }) =>
      named.dataset === undefined ? undefined : { folder: datasets.folderOf(named.dataset), target: named.target! };
    const dataset = typeof spec.data === 'object' ? given(spec.data) : undefined;
    return { ...settings, spec, parentFolder, folder, dataset, fineTuning: given(spec.fineTuning) };
  }

  return async (job, context) => {
    const { folder, report } = context;
    const spec = job.spec as ResolvedOptimizeSpec;
    const request = await requestOf(spec, folder);
    const run = createProcesses(process, context);
    const tries = await createTriesFile(join(folder, 'tries.json'));
    let measured = tries.parent;
    if (measured === undefined) {
      measured = (await run('measure-parent', request)) as ParentResult;
      await tries.setParent(measured);
      report('prepared', { ...measured.data });
      report('parent', { ...measured.parent }, { metrics: { accuracy: measured.parent.accuracy } });
    }
    const { rows, untried } = await searchVariants({
      request,
      measured,
      tries,
      report,
      defect: (error) => logger.error({ err: error, job: job.id }, 'a variant failed by a defect'),
      run: (asked) => run('try-variant', asked) as Promise<TryResult>,
    });

    const { best, accepted, onFront, parentOnFront } = weigh(measured, rows, spec);
    let published: OptimizeResult['published'];
    /** The version of the model that answers by then. */
    let answering: number | undefined;
    if (best !== undefined && spec.publish !== false) {
      const { model = spec.model, label } = spec.publish;
      const packageFolder = variantFolder(request, best);
      const decision = `published: it keeps to the limits and is the best of ${accepted} by ${spec.objective}, out of ${rows.length} that were tried`;
      const { parentFolder } = request;
      await writeProvenance(packageFolder, { jobId: job.id, slipway, spec, parentFolder, data: measured.data, row: rows[best]!, decision });
      // It was compared with its parent alone: it must not take the place of another version, maybe a better one.
      const mayPublish = (): boolean => {
        if (model !== spec.model) return true;
        const there = registry.list().find(({ name }) => name === model);
        answering = there?.defaultVersion ?? there?.versions.at(-1)?.version;
        return answering === undefined || answering === spec.version;
      };
      published = await publish({ jobId: job.id, model, label, packageFolder, mayPublish });
    }

    const result: OptimizeResult = {
      data: measured.data,
      parent: { model: spec.model, version: spec.version, ...measured.parent, onFront: parentOnFront },
      variants: rows.map((row, index) => ({
        ...row,
        verdict: published !== undefined && index === best ? 'published' : row.verdict,
        onFront: onFront.has(index),
      })),
      untried,
      published,
    };
    const shown = best === undefined ? undefined : rows[best]!.measurement!;
    const metrics = shown && { accuracy: shown.accuracy, speedup: speedupOf(shown), sizeRatio: shown.sizeRatio };
    report('result', { ...result }, { ...(metrics && { metrics }) });
    if (best === undefined) return { result, reason: 'Not published: no variant keeps to the limits.' };
    if (published !== undefined) return { result, reason: '' };
    const reason =
      spec.publish === false
        ? 'Not published, as was asked.'
        : `Not published: version ${answering} of "${spec.model}" answers now, and the variant is one of version ${spec.version}. Name another model in publish.model.`;
    return { result, reason };
  };
}
