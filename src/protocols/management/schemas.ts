import { z } from 'zod';
import type { Choice } from '../../choice/choice.ts';
import { DEVICE_KINDS, ENGINE_NAMES, type WarmUpReport } from '../../engines/engine.ts';
import { MODEL_FORMATS } from '../../packages/formats.ts';
import type { Histogram } from '../../inference/histogram.ts';
import { type Phase, PHASES, type VersionStatistics } from '../../inference/statistics.ts';
import { modelManifestSchema, versionManifestSchema } from '../../packages/manifest.ts';
import { rolloutDecisionSchema, rolloutSchema } from '../../packages/rollout.ts';
import type { ModelDescription, VersionDescription } from '../../registry/types.ts';
import { signatureSchema } from '../../tensor/signature.ts';

const percentiles = z.object({ p50Ms: z.number(), p95Ms: z.number(), p99Ms: z.number() });

const latencyAnswer = z
  .object({
    requests: z.int().describe('Answered requests since the server started; the times are theirs.'),
    total: percentiles.describe('From the body’s arrival to the encoded answer: all of the phases below.'),
    ...(Object.fromEntries(PHASES.map((phase) => [phase, percentiles.optional()])) as Record<Phase, z.ZodOptional<typeof percentiles>>),
  })
  .meta({
    id: 'Latency',
    description: 'Percentiles in milliseconds, each at most 9 % above the truth: decode, queue, compute, transfer and encode.',
  });

export const choiceAnswer = z
  .object({
    by: z
      .enum(['manifest', 'setting', 'measured', 'single', 'pending', 'unmeasured'])
      .describe(
        '`manifest`, `setting`: it was asked for; `measured`; `single`: nothing else here can run the model; `pending`: it is to be measured; `unmeasured`: that could not be done.',
      ),
    reason: z.string(),
    measuredAt: z.iso.datetime().optional(),
    candidates: z.array(
      z.object({
        engine: z.enum(ENGINE_NAMES),
        backend: z.string(),
        device: z.enum(DEVICE_KINDS),
        outcome: z
          .enum(['taken', 'slower', 'differs', 'absent', 'failed', 'untried'])
          .describe(
            '`differs`: its answers are others than those of the first candidate; `absent`: it is not here; `failed`: it does not take the model.',
          ),
        reason: z.string().describe('Empty where the outcome says it all.'),
        runMs: z
          .record(z.string(), z.number())
          .optional()
          .describe(
            'Milliseconds until a runner’s answer is there, by the number of examples; measured beside the fastest candidate so far.',
          ),
      }),
    ),
  })
  .meta({ id: 'Choice', description: 'Why a model runs on this engine, backend and device, and what became of the others.' });

export const versionAnswer = z
  .object({
    version: z.int(),
    state: z.enum(['loading', 'ready', 'draining', 'unloaded', 'failed']),
    reason: z.string().describe('Why the version is in this state; empty when there is nothing to say.'),
    format: z.enum(MODEL_FORMATS).optional(),
    engine: z.enum(ENGINE_NAMES).optional().describe('The engine that answers.'),
    backend: z.string().optional().describe('What computes inside the engine.'),
    device: z.string().optional().describe('The device that computes.'),
    engineReason: z.string().optional().describe('What the engine says of its backend and device.'),
    choice: choiceAnswer.optional(),
    memoryBytes: z
      .int()
      .optional()
      .describe('What the processes that run the version take of the memory, measured again every `memory.measureMs`.'),
    threads: z.int().optional().describe('Of the engine in each instance, for one run.'),
    warmUp: z
      .object({
        inputs: z.enum(['recorded', 'synthetic']),
        runs: z.int(),
        firstMs: z.number().describe('Time of the first run, in milliseconds.'),
        lastMs: z.number().describe('Time of the last run, in milliseconds.'),
        problem: z.string().optional().describe('Why it could not be warmed up.'),
      })
      .optional()
      .describe('What was run before it became ready: requests in its `warmup.jsonl`, or inputs made up from its signature.'),
    onDemand: z.boolean().describe('Not in memory; its next request loads it.'),
    restarts: z.int().describe('How often a process was started again after a crash.'),
    instances: z
      .array(
        z.object({
          state: z.enum(['starting', 'ready', 'restarting', 'failed', 'stopped']),
          pid: z.int().optional().describe('Of its process, while it is ready.'),
          restarts: z.int(),
          inFlight: z.int().describe('Runs sent to it and not answered yet.'),
        }),
      )
      .describe('The processes that run the version side by side. One that crashes leaves the others serving.'),
    signature: signatureSchema.optional(),
    signatures: z
      .record(z.string(), signatureSchema)
      .optional()
      .describe('The other signatures of a SavedModel, by their names; TensorFlow Serving’s protocols ask for them by `signature_name`.'),
    signedBy: z.string().optional().describe('The Ed25519 public key of who has signed it, in base64. Absent when nobody has.'),
    manifest: versionManifestSchema.optional().describe('The version’s slipway.json.'),
    latency: latencyAnswer.optional().describe('Where the time of its requests went; only of one model, once it has answered.'),
  })
  .meta({ id: 'Version' });

export const lineageAnswer = z
  .object({
    model: z.string(),
    version: z.int(),
    metrics: versionManifestSchema.shape.metrics,
    rollouts: z
      .array(rolloutDecisionSchema)
      .optional()
      .describe('Rollouts of this model that the version was the candidate or the baseline of, the latest first: how they ended, and why.'),
    lineage: versionManifestSchema.shape.lineage.describe(
      'As slipway.json has it. What a training job writes: `job`, its id; `slipway`, the version of the code; `dataset` with its digest; `split`, `rows` and `features`; `spec` with every default and the seed; `engine`; `parameters`, `epochs`, `measuredOn`, `confusion`; `weights`, their SHA-256.',
    ),
  })
  .meta({ id: 'Lineage' });

export const modelAnswer = z
  .object({
    name: z.string(),
    defaultVersion: z.int().optional().describe('The version that answers when a request names none.'),
    labels: z.record(z.string(), z.int()),
    versionPolicy: modelManifestSchema.shape.versionPolicy,
    rollout: rolloutSchema.optional().describe('A candidate that is let in beside the version that answers.'),
    pinned: z.boolean().describe('Never unloaded to make room for other models.'),
    reason: z.string().describe('What is wrong with the model’s slipway-model.json; empty when it is fine.'),
    versions: z.array(versionAnswer),
  })
  .meta({ id: 'Model' });

export const modelList = z.object({ models: z.array(modelAnswer) });

export const labelBody = z.strictObject({ version: z.int().positive() });

function percentilesOf(histogram: Histogram): z.infer<typeof percentiles> {
  const at = (q: number): number => rounded(histogram.quantileMs(q) ?? 0);
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

function encodeLatency({ total, phases }: VersionStatistics): z.infer<typeof latencyAnswer> {
  const answer: z.infer<typeof latencyAnswer> = { requests: total.count, total: percentilesOf(total) };
  for (const phase of PHASES) if (phases[phase].count > 0) answer[phase] = percentilesOf(phases[phase]);
  return answer;
}

/** To three digits: a measurement has no more. */
function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}

export function encodeChoice({ measuredAt, candidates, ...choice }: Choice): z.infer<typeof choiceAnswer> {
  return {
    ...choice,
    ...(measuredAt !== undefined && { measuredAt }),
    candidates: candidates.map(({ runMs, ...candidate }) => ({
      ...candidate,
      ...(runMs && { runMs: Object.fromEntries(Object.entries(runMs).map(([rows, ms]) => [rows, rounded(ms)])) }),
    })),
  };
}

function encodeWarmUp({ problem, ...report }: WarmUpReport): NonNullable<z.infer<typeof versionAnswer>['warmUp']> {
  return { ...report, ...(problem !== undefined && { problem }) };
}

/** @param statistics of the version; left out in lists. */
export function encodeVersion(description: VersionDescription, statistics?: VersionStatistics): z.infer<typeof versionAnswer> {
  const { version, state, reason, format, loaded, onDemand, restarts, threads, instances, signature, manifest, signedBy } = description;
  return {
    version,
    state,
    reason,
    ...(format && { format }),
    ...(loaded && {
      engine: loaded.engine,
      backend: loaded.backend,
      device: loaded.device,
      engineReason: loaded.reason,
      ...(loaded.choice && { choice: encodeChoice(loaded.choice) }),
      memoryBytes: loaded.memoryBytes,
      ...(loaded.warmUp && { warmUp: encodeWarmUp(loaded.warmUp) }),
      ...(threads !== undefined && { threads }),
    }),
    onDemand,
    restarts,
    instances: instances.map(({ pid, ...rest }) => ({ ...rest, ...(pid !== undefined && { pid }) })),
    ...(signature && { signature }),
    ...(loaded?.signatures && { signatures: loaded.signatures }),
    ...(manifest && { manifest }),
    ...(signedBy !== undefined && { signedBy }),
    ...(statistics !== undefined && statistics.total.count > 0 && { latency: encodeLatency(statistics) }),
  };
}

/** @param statistics of the model's versions; left out in lists. */
export function encodeModel(
  description: ModelDescription,
  statistics?: (version: number) => VersionStatistics,
): z.infer<typeof modelAnswer> {
  const { name, defaultVersion, labels, versionPolicy, rollout, pinned, reason, versions } = description;
  return {
    name,
    ...(defaultVersion !== undefined && { defaultVersion }),
    labels,
    versionPolicy,
    ...(rollout !== undefined && { rollout }),
    pinned,
    reason,
    versions: versions.map((version) => encodeVersion(version, statistics?.(version.version))),
  };
}
