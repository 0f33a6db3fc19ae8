import { z } from 'zod';

/*
 * What may be done to a model, and in which order. What each does is in `child/optimize/techniques`.
 */

const perChannel = z.boolean().default(true).describe('A scale for each channel of the weights, or one for each tensor.');
const reduceRange = z.boolean().default(false).describe('7 bits for weights, for processors that add two products in 16 bits.');

const int8Options = {
  calibration: z
    .enum(['minmax', 'percentile', 'entropy'])
    .default('percentile')
    .describe('How ranges of values are chosen on the calibration rows.'),
  percentile: z.number().min(50).max(100).default(99.99).describe('Percent of the values that `percentile` keeps.'),
  perChannel,
  reduceRange,
  operators: z
    .array(z.enum(['Conv', 'Gemm', 'MatMul']))
    .min(1)
    .default(['Conv', 'Gemm', 'MatMul'])
    .describe('Operators that compute with integers. Convolutions of few channels are faster as floats.'),
  leastSignalToNoise: z
    .number()
    .min(0)
    .max(1_000)
    .default(25)
    .describe('In decibels: what 8 bits would hide more of computes with floats. 0 makes integers of everything.'),
};

/** The techniques with their options; each may be given by its name alone. */
export const techniqueSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('compile') }).describe('A TF.js layers model becomes one ONNX graph.'),
  z
    .strictObject({ kind: z.literal('int8'), ...int8Options })
    .describe(
      'Static quantization: weights and values are 8-bit integers, and ONNX Runtime computes with them. TF.js layers models are compiled first.',
    ),
  z
    .strictObject({ kind: z.literal('int8-aware'), ...int8Options })
    .describe(
      'Quantization-aware fine-tuning of weights: a TF.js layers model is trained with its kernels rounded to 8 bits, with their scales; then `int8` with the same options. Values between layers are calibrated.',
    ),
  z
    .strictObject({ kind: z.literal('int8-dynamic'), perChannel, reduceRange })
    .describe('Products of matrices with 8-bit integers whose ranges are found at each run; nothing is calibrated, convolutions stay.'),
  z.strictObject({ kind: z.literal('float16') }).describe('Weights of ONNX models stored as FP16, computed with as FP32.'),
  z.strictObject({ kind: z.literal('weights-int8'), perChannel }).describe('Weights of ONNX models stored as int8, computed with as FP32.'),
  z
    .strictObject({
      kind: z.literal('cluster'),
      clusters: z.int().min(2).max(65_536).default(256).describe('Different numbers that each tensor of weights is left with.'),
    })
    .describe('Weights of ONNX models become a few different numbers; computed with as FP32. The files pack well.'),
  z
    .strictObject({ kind: z.enum(['weights-uint8', 'weights-uint16', 'weights-float16']) })
    .describe('The files of a TF.js model hold fewer bits for each weight; it computes with FP32 as before.'),
  z
    .strictObject({
      kind: z.literal('prune-filters'),
      share: z.number().gt(0).lt(1).default(0.5).describe('Share of the channels that goes.'),
      scope: z
        .enum(['layer', 'global'])
        .default('layer')
        .describe('`layer` takes so many out of each layer, `global` the least important ones wherever they are.'),
      layers: z.array(z.string().min(1)).min(1).max(1_000).optional().describe('Names of layers; all when left out.'),
    })
    .describe('Filters, neurons and attention heads go, and the layers become smaller; then fine-tuning.'),
  z
    .strictObject({
      kind: z.literal('prune-weights'),
      share: z.number().gt(0).lt(1).default(0.5).describe('Share of the weights that become 0.'),
      scope: z
        .enum(['layer', 'global'])
        .default('global')
        .describe('`layer` takes so many out of each layer, `global` the smallest of all.'),
      schedule: z
        .enum(['gradual', 'one-shot'])
        .default('gradual')
        .describe('Whether the share is reached while fine-tuning goes on, or at once before it.'),
    })
    .describe('The smallest weights become 0. Files pack better; neither they nor the runs become smaller by it.'),
]);

export type Technique = z.infer<typeof techniqueSchema>;
export type TechniqueKind = Technique['kind'];

interface Place {
  /** Lower ones are done first. */
  readonly stage: number;
  /** Of one group at most one is done to a model. */
  readonly group: string;
}

/** What the weights and the file are in the end. */
const FORM = { stage: 40, group: 'form' };

export const PLACES: Readonly<Record<TechniqueKind, Place>> = {
  'prune-filters': { stage: 10, group: 'structure' },
  'prune-weights': { stage: 20, group: 'sparsity' },
  compile: FORM,
  int8: FORM,
  'int8-aware': FORM,
  'int8-dynamic': FORM,
  float16: FORM,
  'weights-int8': FORM,
  cluster: FORM,
  'weights-uint8': FORM,
  'weights-uint16': FORM,
  'weights-float16': FORM,
};

export const TECHNIQUE_KINDS = Object.keys(PLACES) as [TechniqueKind, ...TechniqueKind[]];

/** Techniques for ONNX models: TF.js layers models are compiled before. */
export const NEEDS_ONNX: ReadonlySet<TechniqueKind> = new Set(['int8', 'int8-dynamic', 'float16', 'weights-int8', 'cluster']);

/** `{"kind":"int8"}` for `int8`, with every default. */
export function techniqueOf(asked: TechniqueKind | z.input<typeof techniqueSchema>): Technique {
  return techniqueSchema.parse(typeof asked === 'string' ? { kind: asked } : asked);
}
