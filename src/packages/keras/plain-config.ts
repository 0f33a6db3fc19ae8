import { type Fields, isFields, kerasObject, unsupported } from './keras-object.ts';

/**
 * Activations that TF.js computes as Keras 3 does, by Keras' names. `hard_sigmoid` is not among them: its slope is 1/6 in
 * Keras 3 and 1/5 in TF.js.
 */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  linear: 'linear',
  relu: 'relu',
  relu6: 'relu6',
  elu: 'elu',
  selu: 'selu',
  sigmoid: 'sigmoid',
  softplus: 'softplus',
  softsign: 'softsign',
  tanh: 'tanh',
  softmax: 'softmax',
  log_softmax: 'log_softmax',
  silu: 'swish',
  swish: 'swish',
  mish: 'mish',
  gelu: 'gelu',
};

/** Initializers that TF.js has under the same names; the weights of a file take the place of what they draw. */
const INITIALIZERS = new Set([
  'Zeros',
  'Ones',
  'Constant',
  'RandomUniform',
  'RandomNormal',
  'TruncatedNormal',
  'GlorotUniform',
  'GlorotNormal',
  'HeUniform',
  'HeNormal',
  'LecunUniform',
  'LecunNormal',
  'Orthogonal',
]);

const CONSTRAINTS = new Set(['MaxNorm', 'MinMaxNorm', 'NonNeg', 'UnitNorm']);

/** What Keras 3 adds to the config of layers that has no meaning here, or is said elsewhere. */
const LEFT_OUT = new Set(['dtype', 'quantization_config', 'synchronized', 'renorm', 'renorm_clipping', 'renorm_momentum', 'seed']);

/** Policies whose variables are float32; what is computed from them in half precision elsewhere is computed in full here. */
const POLICIES = new Set(['float32', 'mixed_float16', 'mixed_bfloat16']);

function checkPolicy(value: unknown, where: string): void {
  if (value === undefined || value === null) return;
  const name = typeof value === 'string' ? value : kerasObject(value, `the dtype of ${where}`).config['name'];
  if (typeof name === 'string' && POLICIES.has(name)) return;
  throw unsupported(`${where} has the dtype policy ${String(name)}; cast its variables to float32 before the model is saved`);
}

function activationOf(value: unknown, where: string): string | null {
  if (value === null || value === undefined) return null;
  const name = typeof value === 'string' ? value : kerasObject(value, `the activation of ${where}`).className;
  const own = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (own !== undefined) return own;
  throw unsupported(
    `${where} has the activation "${name}", which TF.js has not, or not as Keras 3 computes it; there are ${Object.keys(ACTIVATIONS).join(', ')}`,
  );
}

function initializerOf(value: unknown, where: string): Fields | undefined {
  const { className, config } = kerasObject(value, `an initializer of ${where}`);
  if (!INITIALIZERS.has(className)) return undefined;
  const { input_axes: _inputs, output_axes: _outputs, ...rest } = config;
  return { class_name: className, config: rest };
}

/** L1 and L2 are both L1L2 in TF.js. Others count in training alone. */
function regularizerOf(value: unknown, where: string): Fields | null {
  const { className, config } = kerasObject(value, `a regularizer of ${where}`);
  if (!['L1', 'L2', 'L1L2'].includes(className)) return null;
  return { class_name: 'L1L2', config: { l1: config['l1'] ?? 0, l2: config['l2'] ?? 0 } };
}

function constraintOf(value: unknown, where: string): Fields | null {
  const { className, config } = kerasObject(value, `a constraint of ${where}`);
  return CONSTRAINTS.has(className) ? { class_name: className, config } : null;
}

/**
 * The config of a layer as TF.js reads it: Keras 3's objects in the form of Keras 2, its dtype policies checked and left out.
 * @throws SlipwayError ENGINE_UNAVAILABLE naming what TF.js has not
 */
export function plainConfig(config: Fields, where: string): Record<string, unknown> {
  checkPolicy(config['dtype'], where);
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    if (LEFT_OUT.has(key)) continue;
    if (key === 'activation' || key.endsWith('_activation')) plain[key] = activationOf(value, where);
    else if (!isFields(value)) plain[key] = value;
    else if (key.endsWith('initializer')) {
      const initializer = initializerOf(value, where);
      if (initializer !== undefined) plain[key] = initializer;
    } else if (key.endsWith('regularizer')) plain[key] = regularizerOf(value, where);
    else if (key.endsWith('constraint')) plain[key] = constraintOf(value, where);
    else plain[key] = value;
  }
  return plain;
}
