import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatasetCatalog } from '../../datasets/catalog.ts';
import type { IngestLimits } from '../../datasets/ingest/ingest.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { type Merits, paretoFront, scoreOf } from '../../optimization/gate/pareto.ts';
import { accuracyRefusal, type Limits, refusals } from '../../optimization/gate/verdict.ts';
import { createSearch } from '../../optimization/search/search.ts';
import type { Registry } from '../../registry/types.ts';
import { type JobProcessSettings, runJobProcess } from '../job-process.ts';
import type { Work, WorkContext } from '../jobs.ts';
import type { PublishedVersion, PublishOnce } from '../publish.ts';
import type {
  ModelMeasurement,
  OptimizeRequest,
  OptimizeResult,
  ParentResult,
  ResolvedOptimizeSpec,
  TryRequest,
  TryResult,
  VariantMeasurement,
  VariantRow,
} from './result.ts';
import { PLACES, type Technique, techniqueOf } from './techniques.ts';
import { createTriesFile } from './tries-file.ts';
import { copyVersion, writeProvenance } from './variant-package.ts';

export interface OptimizeWorkOptions {
  readonly registry: Registry;
  readonly datasets: DatasetCatalog;
  readonly publish: PublishOnce;
  readonly process: JobProcessSettings;
  readonly ingestLimits: IngestLimits;
  /** As the setting `compiler.enabled`. */
  readonly compiles: boolean;
  /** As the setting `runners.threads`. */
  readonly threads: number;
  /** Slipway's own. */
  readonly version: string;
}

/** A technique as the search knows it. */
interface Candidate {
  readonly technique: Technique;
  readonly key: string;
  readonly stage: number;
  readonly group: string;
}

/** Ends of a process that say something of the variant, not of the server. */
const FAULTS_OF_A_VARIANT = new Set(['JOB_CRASHED', 'JOB_OUT_OF_MEMORY']);
/** What interrupts the job itself. */
const INTERRUPTIONS = new Set(['REQUEST_CANCELLED', 'JOB_TIMEOUT', 'STORAGE_FULL', 'SHUTTING_DOWN']);

function candidatesOf({ techniques }: ResolvedOptimizeSpec): Candidate[] {
  const all = new Map<string, Candidate>();
  for (const technique of techniques.map(techniqueOf)) {
    const key = JSON.stringify(technique);
    all.set(key, { technique, key, ...PLACES[technique.kind] });
  }
  return [...all.values()];
}

function speedupOf({ latencies }: VariantMeasurement): number {
  return Math.exp(latencies.reduce((sum, { speedup }) => sum + Math.log(speedup), 0) / latencies.length);
}

function meritsOf(measurement: VariantMeasurement): Merits {
  return { sizeBytes: measurement.sizeBytes, accuracy: measurement.accuracy, speedup: speedupOf(measurement) };
}

/** What the gate says of a measurement. */
function judged(measurement: VariantMeasurement, parent: ModelMeasurement, { limits }: ResolvedOptimizeSpec) {
  const bounds: Limits = { ...limits, latencyMs: limits.latencyMs, sizeBytes: limits.sizeBytes };
  const accuracy = { ...measurement.comparison, accuracy: measurement.accuracy };
  const reasons = refusals({ ...measurement, accuracy, parentSizeBytes: parent.sizeBytes }, bounds);
  return { reasons, isGoodEnough: accuracyRefusal({ accuracy }, bounds) === undefined };
}

/** Runs the processes of one job, one after the other, all within the time of one attempt. */
function createProcesses(settings: JobProcessSettings, { signal, report }: WorkContext) {
  const end = performance.now() + settings.maxDurationMs;
  return <Result>(job: string, request: OptimizeRequest | TryRequest): Promise<Result> =>
    runJobProcess({
      settings: { ...settings, maxDurationMs: Math.max(1, end - performance.now()) },
      job,
      request,
      signal,
      onEvent: ({ type, data }) => report(type, data),
    }) as Promise<Result>;
}

/**
 * Tries variants of a version, each in a process of its own, measures them beside the version on rows that nothing else
 * has seen, and publishes the best of those that keep to the limits.
 */
export function createOptimizeWork(options: OptimizeWorkOptions): Work {
  const { registry, datasets, publish, version: slipway, ingestLimits, compiles, threads } = options;

  return async (job, context) => {
    const { folder, report } = context;
    const spec = job.spec as ResolvedOptimizeSpec;
    const parentFolder = join(folder, 'parent');
    await copyVersion(registry.folderOf(spec.model, spec.version), parentFolder);
    const data = typeof spec.data === 'object' ? spec.data : undefined;
    const request: OptimizeRequest = {
      spec,
      parentFolder,
      dataset: data && { folder: datasets.folderOf(data.dataset), target: data.target! },
      folder,
      ingestLimits,
      compiles,
      threads,
    };
    const run = createProcesses(options.process, context);
    const tries = await createTriesFile(join(folder, 'tries.json'));
    const measured = tries.parent ?? (await run<ParentResult>('measure-parent', request));
    if (tries.parent === undefined) {
      await tries.setParent(measured);
      report('prepared', { ...measured.data });
      report('parent', { ...measured.parent }, { metrics: { accuracy: measured.parent.accuracy } });
    }

    const variantFolder = (index: number): string => join(folder, `variant-${index}`);
    const rows: VariantRow[] = [];

    async function attempt(combination: readonly Candidate[], index: number): Promise<VariantRow> {
      const techniques = combination.map(({ technique }) => technique);
      // What was made on the way to it is not made again.
      const made = rows.findIndex(({ techniques: known }) => JSON.stringify(known) === JSON.stringify(techniques.slice(0, -1)));
      const base =
        made === -1 ? { baseFolder: parentFolder, techniques } : { baseFolder: variantFolder(made), techniques: techniques.slice(-1) };
      const turnedDown = (verdict: 'failed' | 'inapplicable', reason: string): VariantRow => ({
        techniques,
        verdict,
        reasons: [reason],
        notes: [],
        measurement: undefined,
        onFront: false,
      });
      try {
        const { notes, measurement } = await run<TryResult>('try-variant', {
          ...request,
          ...base,
          target: variantFolder(index),
        });
        const { reasons } = judged(measurement, measured.parent, spec);
        const before = made === -1 ? [] : rows[made]!.notes;
        return {
          techniques,
          verdict: reasons.length === 0 ? 'accepted' : 'refused',
          reasons,
          notes: [...before, ...notes],
          measurement,
          onFront: false,
        };
      } catch (error) {
        if (!(error instanceof SlipwayError) || INTERRUPTIONS.has(error.code)) throw error;
        if (error.code === 'TECHNIQUE_INAPPLICABLE' || error.code === 'COMPILE_FAILED') return turnedDown('inapplicable', error.message);
        if (FAULTS_OF_A_VARIANT.has(error.code) || error.code !== 'INTERNAL') return turnedDown('failed', error.message);
        throw error;
      }
    }

    const candidates = candidatesOf(spec);
    const search = createSearch(candidates);
    const { budget } = spec;
    const startedAt = performance.now();
    const isSpent = (): boolean =>
      rows.length >= budget.tries || (budget.minutes !== undefined && performance.now() - startedAt > budget.minutes * 60_000);
    for (;;) {
      const isKnown = rows.length < tries.rows.length;
      if (!isKnown && isSpent()) break;
      const combination = search.next();
      if (combination === undefined) break;
      const row = isKnown ? tries.rows[rows.length]! : await attempt(combination, rows.length);
      rows.push(row);
      const { measurement } = row;
      const isWorthExtending = measurement !== undefined && judged(measurement, measured.parent, spec).isGoodEnough;
      search.tell(combination, { gain: isWorthExtending ? Math.log(speedupOf(measurement)) + Math.log(measurement.sizeRatio) : undefined });
      if (isKnown) continue;
      if (!isWorthExtending) await rm(variantFolder(rows.length - 1), { recursive: true, force: true });
      await tries.add(row);
      const most = Math.min(budget.tries, candidates.length + search.left().length + rows.length);
      report('variant', { ...row }, { progress: Math.min(1, rows.length / most) });
    }
    const untried = search.left().map((combination) => combination.map(({ technique }) => technique));

    const weighed = rows.flatMap(({ measurement }, index) => (measurement === undefined ? [] : [{ index, merits: meritsOf(measurement) }]));
    const { sizeBytes, accuracy } = measured.parent;
    const [parentOnFront, ...front] = paretoFront([{ sizeBytes, accuracy, speedup: 1 }, ...weighed.map(({ merits }) => merits)]);
    const accepted = weighed.filter(({ index }) => rows[index]!.verdict === 'accepted');
    const [best] = accepted.toSorted((one, other) => scoreOf(other.merits, spec.objective) - scoreOf(one.merits, spec.objective));
    let published: PublishedVersion | undefined;
    if (best !== undefined && spec.publish !== false) {
      const { model = spec.model, label } = spec.publish;
      const packageFolder = variantFolder(best.index);
      const row = rows[best.index]!;
      const decision = `published: it keeps to the limits and is the best of ${accepted.length} by ${spec.objective}, out of ${rows.length} that were tried`;
      await writeProvenance(packageFolder, { jobId: job.id, slipway, spec, parentFolder, data: measured.data, row, decision });
      published = await publish({ jobId: job.id, model, label, packageFolder });
    }

    const result: OptimizeResult = {
      data: measured.data,
      parent: { model: spec.model, version: spec.version, ...measured.parent, onFront: parentOnFront! },
      variants: rows.map((row, index) => ({
        ...row,
        verdict: published !== undefined && index === best!.index ? 'published' : row.verdict,
        onFront: front[weighed.findIndex((each) => each.index === index)] ?? false,
      })),
      untried,
      published,
    };
    const shown = best && rows[best.index]!.measurement!;
    const metrics = shown && { accuracy: shown.accuracy, speedup: speedupOf(shown), sizeRatio: shown.sizeRatio };
    report('result', { ...result }, { ...(metrics && { metrics }) });
    const reason =
      best === undefined ? 'Not published: no variant keeps to the limits.' : published === undefined ? 'Not published, as was asked.' : '';
    return { result, reason };
  };
}
