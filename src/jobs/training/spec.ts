import { z } from 'zod';
import { TASKS } from '../../datasets/dataset.ts';
import { nameSchema } from '../../packages/manifest.ts';
import { LOSSES, TRAINING_BACKENDS, TRAINING_ENGINES } from '../../engines/training/trainer.ts';
import { architectureSchema } from './architectures/schema.ts';
import { augmentationSchema } from './augmentation/schema.ts';
import { teacherSchema } from './distillation/schema.ts';
import { METRICS } from './metrics.ts';

const rate = z.number().positive().max(1_000);
const share = z.number().min(0).max(1);
const weightDecay = z.number().min(0).default(0).describe('L2 penalty; of adamw the decoupled decay.');
const epsilon = (value: number) => z.number().min(0).default(value);
const beta = (value: number) => z.number().min(0).lt(1).default(value);

/** The optimizers with their defaults; `update-rules.ts` has the formulas. */
const optimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sgd'),
    learningRate: rate.default(0.01),
    momentum: z.number().min(0).lt(1).default(0),
    nesterov: z.boolean().default(false).describe('Nesterov’s momentum; needs a momentum.'),
    weightDecay,
  }),
  z.strictObject({
    kind: z.literal('adagrad'),
    learningRate: rate.default(0.01),
    initialAccumulator: z.number().min(0).default(0),
    epsilon: epsilon(1e-10),
    weightDecay,
  }),
  z.strictObject({ kind: z.literal('adadelta'), learningRate: rate.default(1), rho: beta(0.9), epsilon: epsilon(1e-6), weightDecay }),
  z.strictObject({
    kind: z.literal('rmsprop'),
    learningRate: rate.default(0.01),
    rho: beta(0.99),
    momentum: z.number().min(0).lt(1).default(0),
    centered: z.boolean().default(false),
    epsilon: epsilon(1e-8),
    weightDecay,
  }),
  z.strictObject({
    kind: z.enum(['adam', 'adamax']),
    learningRate: rate.default(0.001),
    beta1: beta(0.9),
    beta2: beta(0.999),
    epsilon: epsilon(1e-8),
    weightDecay,
  }),
  z.strictObject({
    kind: z.literal('adamw'),
    learningRate: rate.default(0.001),
    beta1: beta(0.9),
    beta2: beta(0.999),
    epsilon: epsilon(1e-8),
    weightDecay: z.number().min(0).default(0.01),
  }),
]);

/** How the learning rate changes; factors are of the optimizer's rate. */
const scheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant') }),
  z.strictObject({
    kind: z.literal('step'),
    everyEpochs: z.int().positive(),
    factor: share.default(0.1).describe('The rate is multiplied by it after each so many epochs.'),
  }),
  z.strictObject({ kind: z.literal('exponential'), factor: share.describe('The rate is multiplied by it after each epoch.') }),
  z.strictObject({ kind: z.literal('linear'), final: share.default(0).describe('Factor at the end of the training.') }),
  z.strictObject({ kind: z.literal('cosine'), final: share.default(0).describe('Factor at the end of the training.') }),
]);

export type Schedule = z.infer<typeof scheduleSchema>;

export const splitSchema = z.strictObject({
  column: z.string().optional().describe('A column with the values train, validation and test.'),
  validation: share.optional().describe('Share of the rows. 0.1 when left out; 0 when the column names them.'),
  test: share.optional().describe('Share of the rows. 0.1 when left out; 0 when the column names them.'),
  order: z.enum(['random', 'ordered']).optional().describe('`ordered` takes them from the end, as for time series.'),
  seed: z.int().min(0).optional(),
  stratify: z.boolean().optional().describe('Draw from each class alike; true when left out.'),
});

const imageSchema = z.strictObject({
  width: z.int().positive().max(4_096).optional(),
  height: z.int().positive().max(4_096).optional(),
  channels: z.literal([1, 3]).optional(),
  fit: z.enum(['fill', 'contain', 'cover']).optional(),
});

const textSchema = z.strictObject({
  tokenizer: z
    .union(
      [z.enum(['words', 'characters']), z.strictObject({ json: z.union([z.string().min(2), z.record(z.string(), z.json())]) })],
      'must be "words", "characters" or {"json": the content of a tokenizer.json}',
    )
    .optional()
    .describe(
      '`words` and `characters` are trained: their vocabulary is what the training rows hold most often. An object has the content of a tokenizer.json of Hugging Face. words when left out; characters for the task next-token. A column of the type tokens has its pieces already.',
    ),
  vocabularySize: z.int().min(1).max(1_000_000).optional().describe('Most pieces in a vocabulary that is trained; 10,000 when left out.'),
  maxLength: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe(
      'Tokens of an example: what is longer is cut. The longest training text, at most 256, when left out; 64 for the task next-token.',
    ),
});

/** What a training job is asked for. */
const fieldsSchema = z.strictObject({
  dataset: nameSchema.describe('Name or id of the dataset.'),
  target: z
    .string()
    .min(1)
    .optional()
    .describe('The column to predict. When left out: the one called label, class or target, else the last one.'),
  task: z
    .enum(TASKS)
    .optional()
    .describe(
      'By the type of the target when left out. `token-classification` is for a target of the type tokens: a label for each token of the feature. `next-token` has no target: a text is to be continued.',
    ),
  features: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('The columns to predict from; all others that can be used when left out.'),
  scaling: z.enum(['standard', 'none']).optional().describe('How numbers are scaled: by default to mean 0 and deviation 1.'),
  unknownCategories: z.enum(['refuse', 'ignore']).optional().describe('What serving does with categories that training never saw.'),
  image: imageSchema.optional().describe('What images become; their own size when left out.'),
  text: textSchema.optional().describe('What a text becomes.'),
  augmentation: augmentationSchema
    .optional()
    .describe('How images are changed for training, by the seed; measured are images as they are.'),
  split: splitSchema.optional(),
  architecture: architectureSchema,
  teacher: teacherSchema
    .optional()
    .describe(
      'Distillation: a classifier here whose probabilities are learned from beside the right classes. The model reads its input as the teacher does, and augmented images go to both. Measured is what the model gives alone.',
    ),
  engine: z
    .enum(TRAINING_ENGINES)
    .default('auto')
    .describe(
      '`onnx` computes a whole step as one graph, `tfjs` one operation after the other. `auto` is onnx for every model that it can train.',
    ),
  backend: z
    .enum(TRAINING_BACKENDS)
    .optional()
    .describe('What tfjs computes on; `webgpu` is a GPU. When left out: native TensorFlow where it is installed, else WebAssembly.'),
  loss: z.enum(LOSSES).optional().describe('cross-entropy for classes, mean-squared-error for numbers when left out.'),
  optimizer: optimizerSchema.prefault({ kind: 'adam' }),
  schedule: scheduleSchema.prefault({ kind: 'constant' }),
  warmupSteps: z.int().min(0).max(1_000_000).default(0).describe('The rate rises linearly over so many steps first.'),
  clipping: z
    .strictObject({
      value: z.number().positive().optional().describe('Largest absolute value of a gradient.'),
      norm: z.number().positive().optional().describe('Largest norm of all gradients together.'),
    })
    .prefault({}),
  classWeights: z
    .union([z.literal('balanced'), z.record(z.string(), z.number().min(0))], 'must be "balanced" or {"class": weight, …}')
    .optional()
    .describe('Weight of each class in the loss; `balanced` makes all classes count alike.'),
  epochs: z.int().min(1).max(100_000).default(10),
  batchSize: z
    .union([z.int().min(1).max(1_000_000), z.literal('all')], 'must be a positive whole number or "all"')
    .default(32)
    .describe('1 is stochastic gradient descent, `all` is batch gradient descent.'),
  microBatches: z
    .int()
    .min(1)
    .max(10_000)
    .default(1)
    .describe(
      'Gradient accumulation: each batch is computed in so many parts, one after the other, whose gradients are added up. The same step in the memory of one part.',
    ),
  earlyStopping: z
    .strictObject({
      metric: z.enum(['loss', 'accuracy']).default('loss').describe('Measured on the validation rows.'),
      patience: z.int().min(1).default(5).describe('Epochs without a better value after which the training ends.'),
      minDelta: z.number().min(0).default(0).describe('How much better a value must be.'),
      restoreBest: z.boolean().default(true).describe('Take the weights of the best epoch.'),
    })
    .optional(),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31)
    .default(0)
    .describe('Of weights, the order of the rows and random layers. The same seed gives the same model.'),
  publish: z
    .strictObject({
      model: nameSchema.describe('Name of the model; it is made when there is none.'),
      label: nameSchema.optional().describe('Label for the new version.'),
      if: z
        .strictObject({
          metric: z.enum(METRICS),
          atLeast: z.number().optional(),
          atMost: z.number().optional(),
        })
        .refine(({ atLeast, atMost }) => atLeast !== undefined || atMost !== undefined, 'needs atLeast or atMost')
        .optional()
        .describe('Publish only when the metric, measured on the test rows, is so good.'),
    })
    .optional()
    .describe('Where the trained version goes; nothing is published when left out.'),
  priority: z.int().min(-100).max(100).default(0).describe('Higher ones are taken from the queue first.'),
});

export const trainSpecSchema = fieldsSchema.refine(({ engine, backend }) => backend === undefined || engine === 'tfjs', {
  path: ['backend'],
  message: 'is of the engine tfjs, which engine has to ask for',
});

export type TrainSpec = z.infer<typeof trainSpecSchema>;
