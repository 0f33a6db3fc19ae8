import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../errors/slipway-error.ts';
import { createSearch } from '../../optimization/search/search.ts';
import type { WorkContext } from '../jobs.ts';
import { judge, speedupOf } from './judgement.ts';
import type { Made, OptimizeRequest, ParentResult, ResolvedOptimizeSpec, TryRequest, TryResult, VariantRow } from './result.ts';
import { PLACES, type Technique, techniqueOf } from './techniques.ts';
import type { TriesFile } from './tries-file.ts';

/** A technique as the search knows it. */
interface Candidate {
  readonly technique: Technique;
  readonly key: string;
  readonly stage: number;
  readonly group: string;
}

export interface SearchOptions {
  readonly request: OptimizeRequest;
  readonly measured: ParentResult;
  readonly tries: TriesFile;
  readonly report: WorkContext['report'];
  /** Told of what must not happen; the other variants are tried all the same. */
  readonly defect: (error: unknown) => void;
  /** Makes and measures a variant in a process of its own. */
  readonly run: (request: TryRequest) => Promise<TryResult>;
}

export interface SearchResult {
  readonly rows: readonly VariantRow[];
  /** What the budget left no room for. */
  readonly untried: readonly (readonly Technique[])[];
}

/** What ends the job, whatever variant it was at. */
const INTERRUPTIONS: ReadonlySet<string> = new Set(['REQUEST_CANCELLED', 'JOB_TIMEOUT', 'STORAGE_FULL', 'SHUTTING_DOWN']);
const INAPPLICABLE: ReadonlySet<string> = new Set(['TECHNIQUE_INAPPLICABLE', 'COMPILE_FAILED']);

const NOTHING: Made = { notes: [], layers: [] };

function candidatesOf({ techniques }: ResolvedOptimizeSpec): Candidate[] {
  const all = new Map<string, Candidate>();
  for (const technique of techniques.map(techniqueOf)) {
    const key = JSON.stringify(technique);
    all.set(key, { technique, key, ...PLACES[technique.kind] });
  }
  return [...all.values()];
}

/** Where the variant of a row lies, as long as it may be needed. */
export function variantFolder({ folder }: Pick<OptimizeRequest, 'folder'>, index: number): string {
  return join(folder, `variant-${index}`);
}

/** The reason that a variant could not be measured. @throws what is no fault of the variant */
function turnedDown(techniques: readonly Technique[], error: unknown, defect: SearchOptions['defect']): VariantRow {
  if (!(error instanceof SlipwayError) || INTERRUPTIONS.has(error.code)) throw error;
  if (error.code === 'INTERNAL') defect(error);
  const verdict = INAPPLICABLE.has(error.code) ? 'inapplicable' : 'failed';
  return { techniques, verdict, reasons: [error.message], ...NOTHING, measurement: undefined, onFront: false };
}

/** Tries techniques alone and together within the budget, and goes on where an earlier attempt at the job has ended. */
export async function searchVariants({ request, measured, tries, report, run, defect }: SearchOptions): Promise<SearchResult> {
  const { spec, parentFolder } = request;
  const { budget } = spec;
  const rows: VariantRow[] = [];

  async function attempt(techniques: readonly Technique[], index: number): Promise<VariantRow> {
    // What was made on the way to it is not made again.
    const before = JSON.stringify(techniques.slice(0, -1));
    const made = rows.findIndex((row) => JSON.stringify(row.techniques) === before);
    const base =
      made === -1
        ? { baseFolder: parentFolder, techniques }
        : { baseFolder: variantFolder(request, made), techniques: techniques.slice(-1) };
    try {
      const { notes, layers, measurement } = await run({ ...request, ...base, target: variantFolder(request, index) });
      const { reasons } = judge(measurement, measured.parent, spec);
      const { notes: earlierNotes, layers: earlierLayers } = made === -1 ? NOTHING : rows[made]!;
      return {
        techniques,
        verdict: reasons.length === 0 ? 'accepted' : 'refused',
        reasons,
        notes: [...earlierNotes, ...notes],
        layers: [...earlierLayers, ...layers],
        measurement,
        onFront: false,
      };
    } catch (error) {
      return turnedDown(techniques, error, defect);
    }
  }

  const candidates = candidatesOf(spec);
  const search = createSearch(candidates);
  const { spentMs } = tries;
  const startedAt = performance.now();
  const spent = (): number => spentMs + performance.now() - startedAt;
  const isSpent = (): boolean => rows.length >= budget.tries || (budget.minutes !== undefined && spent() > budget.minutes * 60_000);
  for (;;) {
    const known = tries.rows[rows.length];
    if (known === undefined && isSpent()) break;
    const combination = search.next();
    if (combination === undefined) break;
    const techniques = combination.map(({ technique }) => technique);
    const row = known ?? (await attempt(techniques, rows.length));
    rows.push(row);
    const { measurement } = row;
    const isGoodEnough = measurement !== undefined && judge(measurement, measured.parent, spec).isGoodEnough;
    search.tell(combination, { gain: isGoodEnough ? Math.log(speedupOf(measurement)) + Math.log(measurement.sizeRatio) : undefined });
    if (known !== undefined) continue;
    if (!isGoodEnough) await rm(variantFolder(request, rows.length - 1), { recursive: true, force: true });
    await tries.add(row, spent());
    const most = Math.min(budget.tries, rows.length + search.left().length);
    report('variant', { ...row }, { progress: Math.min(1, rows.length / most) });
  }
  return { rows, untried: search.left().map((combination) => combination.map(({ technique }) => technique)) };
}
