import { fp32, SAMPLES } from './golden-cases.ts';
import { echoModel } from './models.ts';
import type { Random } from './random.ts';
import type { InferRequest, Said } from './route.ts';
import { countOf, type DType, DTYPES, type Element, elementsOf, type Tensor, tensorOf } from './tensor.ts';

export interface RandomRequest {
  readonly request: InferRequest;
  readonly needs?: Said;
}

const WIDTH: Readonly<Record<Exclude<DType, 'BYTES'>, number>> = {
  BOOL: 1,
  UINT8: 1,
  INT8: 1,
  UINT16: 2,
  INT16: 2,
  FP16: 2,
  UINT32: 4,
  INT32: 4,
  FP32: 4,
  UINT64: 8,
  INT64: 8,
  FP64: 8,
};

const TEXTS = ['', 'a', 'Grüße 🙂', '\\', '"', 'NaN', '{"b64":"aGk="}', '\u2028', '-Infinity', 'x'.repeat(300)];

function randomElements(random: Random, dtype: DType, count: number): Element[] {
  if (dtype === 'BYTES') {
    return Array.from({ length: count }, () => (random.chance(0.1) ? random.bytes(random.below(9)) : Buffer.from(random.pick(TEXTS))));
  }
  if (dtype === 'BOOL') return Array.from({ length: count }, () => random.chance(0.5));
  const bits = elementsOf({ dtype, shape: [count], bytes: random.bytes(count * WIDTH[dtype]) });
  // Text carries no NaN but the one; that the others come through is for the golden cases of engines.
  return bits.map((element) => (random.chance(0.3) ? random.pick(SAMPLES[dtype]) : Number.isNaN(element) ? Number.NaN : element));
}

function randomShape(random: Random): number[] {
  return Array.from({ length: random.below(4) }, () => (random.chance(0.08) ? 0 : 1 + random.below(4)));
}

function randomTensor(random: Random, dtype: DType, shape: readonly number[]): Tensor {
  return tensorOf(dtype, shape, randomElements(random, dtype, countOf(shape)));
}

function floats(random: Random, shape: readonly number[], finite: boolean): Tensor {
  const elements = randomElements(random, 'FP32', countOf(shape)) as number[];
  // Small enough for every sum and product to be finite too, so that routes without infinities take part.
  return fp32(shape, finite ? elements.map((each) => (Number.isFinite(each) ? Math.fround(each / 2 ** 100) : 0)) : elements);
}

function arithmetic(random: Random): InferRequest {
  const finite = random.chance(0.7);
  const rows = 1 + random.below(4);
  switch (random.below(4)) {
    case 0:
      return { model: 'times-three', inputs: [['x', floats(random, [random.below(6)], finite)]], outputTypes: { y: 'FP32' } };
    case 1:
      return { model: 'fixed', inputs: [['x', floats(random, [2, 3], finite)]], outputTypes: { y: 'FP32' } };
    case 2:
      return {
        model: 'state',
        inputs: [
          ['x', floats(random, [rows, 1], finite)],
          ['state', floats(random, [rows, 1], finite)],
        ],
        outputTypes: { y: 'FP32', new_state: 'FP32' },
      };
    default: {
      const outputs = random.pick([undefined, undefined, ['sum'], ['difference', 'sum']]);
      return {
        model: 'multi',
        inputs: [
          ['a', floats(random, [rows, 2], finite)],
          ['b', floats(random, [rows, 2], finite)],
        ],
        ...(outputs && { outputs }),
        outputTypes: Object.fromEntries((outputs ?? ['sum', 'difference']).map((name) => [name, 'FP32'])),
      };
    }
  }
}

/** Makes one thing of a request wrong. */
function flawed(random: Random, request: InferRequest): RandomRequest {
  const [[name, tensor] = ['x', fp32([1], [1])], ...rest] = request.inputs;
  const others = DTYPES.filter((dtype) => dtype !== tensor.dtype);
  switch (random.below(7)) {
    case 0:
      return { request: { ...request, model: `no-${request.model}` } };
    case 1:
      return { request: { ...request, version: 2 + random.below(1_000) } };
    case 2:
      return { request: { ...request, inputs: [[`no-${name}`, tensor], ...rest] }, needs: 'names' };
    case 3:
      return { request: { ...request, inputs: [...request.inputs, ['more', tensor]] } };
    case 4:
      return { request: { ...request, outputs: ['nothing'] } };
    case 5:
      return {
        request: { ...request, inputs: [[name, randomTensor(random, random.pick(others), tensor.shape)], ...rest] },
        needs: 'types',
      };
    default:
      return { request: { ...request, inputs: [[name, { ...tensor, shape: [...tensor.shape, 1] }], ...rest] }, needs: 'shapes' };
  }
}

/** A request of one of the models, most of them in order. */
export function randomRequest(random: Random): RandomRequest {
  const dtype = random.pick(DTYPES);
  const request: InferRequest = random.chance(0.5)
    ? arithmetic(random)
    : { model: echoModel(dtype), inputs: [['x', randomTensor(random, dtype, randomShape(random))]], outputTypes: { y: dtype } };
  return random.chance(0.2) ? flawed(random, request) : { request };
}

export function describeRequest({ model, version, inputs, outputs }: InferRequest): string {
  const tensors = inputs.map(
    ([name, tensor]) => `${name}: ${tensor.dtype} [${tensor.shape.join(', ')}] ${tensor.bytes.toString('hex').slice(0, 80)}`,
  );
  return `${model}${version === undefined ? '' : `/${version}`} (${tensors.join('; ')})${outputs ? ` for ${outputs.join(', ')}` : ''}`;
}
