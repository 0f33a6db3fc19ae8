import { z } from 'zod';
import { nameSchema, versionSchema } from './names.ts';
import { rolloutDecisionSchema, rolloutSchema } from './rollout.ts';

export { nameSchema, versionSchema };

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');

/** How to make the input tensor from an image file. Values are scaled first (value × scale), then normalised. */
const imagePreprocessingSchema = z.strictObject({
  kind: z.literal('image'),
  /** The input that takes the image; may be left out when the model has one input. */
  input: z.string().optional(),
  width: z.int().positive().max(16384),
  height: z.int().positive().max(16384),
  /** 1 = greyscale, 3 = RGB. */
  channels: z.literal([1, 3]),
  /** Order of the dimensions after the batch dimension. */
  layout: z.enum(['HWC', 'CHW']),
  /** `fill` stretches, `contain` pads with `background`, `cover` crops. */
  fit: z.enum(['fill', 'contain', 'cover']).default('fill'),
  /** Grey level 0–255 behind transparent pixels and around a contained image. */
  background: z.int().min(0).max(255).default(0),
  /** Factor for pixel values 0–255; 1/255 gives 0–1. */
  scale: z.number().default(1),
  /** Subtracted per channel after scaling. */
  mean: z.array(z.number()).optional(),
  /** Divisor per channel after the mean is subtracted. */
  std: z.array(z.number().refine((value) => value !== 0, 'must not be 0')).optional(),
});

export type ImagePreprocessing = z.infer<typeof imagePreprocessingSchema>;

/**
 * One column of a table. Numbers become (value − mean) ÷ std; a boolean is 1 or 0; a category becomes one element for
 * each of its categories, 1 for its own and 0 for the others; the elements of a vector are each scaled like a number.
 */
const tableColumnSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.enum(['number', 'boolean']),
    name: z.string(),
    mean: z.number().default(0),
    std: z.number().positive().default(1),
    /** Stands for a missing value; a missing value is refused when it is left out. */
    missing: z.number().optional(),
  }),
  z.strictObject({
    kind: z.literal('category'),
    name: z.string(),
    categories: z.array(z.string()).min(1),
    /** What is none of the categories is refused, or ignored: every element is 0. */
    unknown: z.enum(['refuse', 'ignore']).default('refuse'),
    missing: z.enum(['refuse', 'ignore']).default('refuse'),
  }),
  z.strictObject({
    kind: z.literal('vector'),
    name: z.string(),
    shape: z.array(z.int().positive()).min(1),
    mean: z.number().default(0),
    std: z.number().positive().default(1),
  }),
]);

export type TableColumn = z.infer<typeof tableColumnSchema>;

/** How to make the input tensor, FP32 of the shape [N, width], from rows of named values. */
const tablePreprocessingSchema = z.strictObject({
  kind: z.literal('table'),
  /** The input that takes the rows; may be left out when the model has one input. */
  input: z.string().optional(),
  /** In the order of their elements in the tensor. */
  columns: z.array(tableColumnSchema).min(1),
});

export type TablePreprocessing = z.infer<typeof tablePreprocessingSchema>;

/**
 * How a text becomes token ids. `characters` are those of Unicode, `words` are runs of letters and digits, in lower case,
 * and every other character but space by itself. Of these and of `list` 0 is padding, 1 is what the vocabulary does not have, and
 * the vocabulary follows. `list` is for texts that come in pieces, each of which is a token as it is; one that comes whole is
 * split at white space. `file` is a tokenizer.json of Hugging Face in the version folder.
 */
const tokenizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['characters', 'words', 'list']), vocabulary: z.array(z.string()).min(1) }),
  z.strictObject({
    kind: z.literal('file'),
    file: z.string().regex(/^[\w.-]+\.json$/, 'must be the name of a JSON file'),
    /** Added to each id of the file. Models that Slipway trains have 1, which leaves 0 for padding. */
    firstId: z.int().min(0).max(1_000).default(0),
    /** Whether a text gets the tokens that the file puts around it, such as [CLS] and [SEP]. */
    specialTokens: z.boolean().default(true),
  }),
]);

export type TokenizerSpec = z.infer<typeof tokenizerSchema>;

/** How to make the input tensors from a text: token ids of the shape [N, length], in the integer type of the input. */
const textPreprocessingSchema = z.strictObject({
  kind: z.literal('text'),
  /** The input that takes the ids; may be left out when the model has one input. */
  input: z.string().optional(),
  /** The name of the text in rows such as `{"text": "…"}`; `text` when left out. */
  column: z.string().optional(),
  /** An input that takes 1 for each token and 0 for padding. */
  attentionMask: z.string().optional(),
  /** An input that takes the kind of each token, which is 0. */
  tokenTypes: z.string().optional(),
  tokenizer: tokenizerSchema,
  /** Most tokens of a text. */
  maxLength: z.int().positive().max(1_000_000),
  /** Of a longer text its end is left out, or its beginning, as fits texts that are to be continued. */
  truncate: z.enum(['end', 'beginning']).default('end'),
  /** The token that training put behind each text. An empty text is taken for it, so that what comes next begins a text. */
  endOfText: z.int().min(0).optional(),
  /** Texts are filled up with `padId` to `maxLength`, or to the longest one of the request. */
  padTo: z.enum(['maxLength', 'longest']).default('maxLength'),
  padId: z.int().min(0).default(0),
});

export type TextPreprocessing = z.infer<typeof textPreprocessingSchema>;

const preprocessingSchema = z.discriminatedUnion('kind', [imagePreprocessingSchema, tablePreprocessingSchema, textPreprocessingSchema]);

export type Preprocessing = z.infer<typeof preprocessingSchema>;

/** How to read the output of a classifier. */
const classificationSchema = z.strictObject({
  /** The output with one score per class; may be left out when the model has one output. */
  output: z.string().optional(),
  /** `probabilities` are used as they are; `logits` go through softmax. */
  scores: z.enum(['probabilities', 'logits']).default('probabilities'),
  labels: z.array(z.string()).min(2),
  /** What a label is for: the example, which is meant when it is left out, or each token of its text: scores [N, tokens, classes]. */
  of: z.enum(['example', 'token']).optional(),
  /** How many classes `top` lists. */
  top: z.int().positive().max(100).default(3),
});

export type Classification = z.infer<typeof classificationSchema>;

/** `slipway.json` in a version folder: what the model file itself cannot say. Every field may be left out. */
export const versionManifestSchema = z.strictObject({
  description: z.string().max(10_000).optional(),
  engine: z.enum(['onnx', 'tfjs', 'tensorflow']).optional(),
  /** What the engine tfjs computes on. */
  backend: z.enum(['tensorflow', 'webgpu', 'wasm', 'cpu']).optional(),
  /** The kind of device that the model is to run on; the setting `devices.onMissing` says what happens without it. */
  device: z.enum(['cpu', 'cuda', 'webgpu', 'coreml', 'directml']).optional(),
  /** Of a SavedModel: the signature that is served; `serving_default` when left out. */
  signature: z.string().min(1).optional(),
  preprocessing: preprocessingSchema.optional(),
  classification: classificationSchema.optional(),
  /** Rows that training never saw, in a file of the version folder of any format that datasets have; jobs measure on them. */
  evaluation: z
    .strictObject({
      file: z.string().min(1),
      /** The column with the right class. */
      target: z.string().min(1),
    })
    .optional(),
  /** Measured quality, e.g. `{"accuracy": 0.989}`. */
  metrics: z.record(z.string(), z.number()).optional(),
  /** Where the version comes from: data, code, seed, parent. Free form, shown as it is. */
  lineage: z.record(z.string(), z.json()).optional(),
  /** False for a model that may answer equal requests differently: its answers are not kept where there is a response cache. */
  responseCache: z.boolean().optional(),
  /** SHA-256 of each file, by its path inside the version folder. Listed files are verified before loading. */
  files: z.record(z.string(), sha256Schema).optional(),
});

export type VersionManifest = z.infer<typeof versionManifestSchema>;

/** `slipway-model.json` in a model folder: what holds for all of its versions. */
export const modelManifestSchema = z.strictObject({
  /** Which versions are served: the latest N (default 1), all, or those listed. */
  versionPolicy: z
    .union(
      [z.literal('all'), z.strictObject({ latest: z.int().positive() }), z.strictObject({ versions: z.array(versionSchema).min(1) })],
      'must be "all", {"latest": N} or {"versions": [N, …]}',
    )
    .default({ latest: 1 }),
  labels: z.record(nameSchema, versionSchema).default({}),
  /** Threads of the engine for one run of this model; the server's setting when left out. */
  threads: z.int().positive().max(1024).optional(),
  /** Processes that run each version side by side, or `auto` for what the cores allow; the server's setting when left out. */
  instances: z.union([z.int().positive().max(1024), z.literal('auto')]).optional(),
  /** Loaded at the start and never unloaded to make room; matters where models are loaded on demand. */
  pinned: z.boolean().optional(),
  /** A candidate that is let in beside the version that answers; both are served, whatever the version policy selects. */
  rollout: rolloutSchema.optional(),
  /** How the last rollouts ended, the latest first. */
  decisions: z.array(rolloutDecisionSchema).optional(),
});

export type ModelManifest = z.infer<typeof modelManifestSchema>;

export const VERSION_MANIFEST_FILE = 'slipway.json';
export const MODEL_MANIFEST_FILE = 'slipway-model.json';
