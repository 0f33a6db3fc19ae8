import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { BATCH, type Dimension, symbolOf } from '../graph/dimension.ts';
import type { Value } from '../graph/graph.ts';
import type { Config } from '../topology/config.ts';

const DTYPES: Readonly<Record<string, DType>> = { float32: 'FP32', int32: 'INT32', bool: 'BOOL', string: 'BYTES' };

/** The sizes of an input, the batch first; what is null there is a symbol. */
function sizesOf(name: string, config: Config): Dimension[] {
  const { batch_input_shape: batchInputShape, batch_shape: batchShape, input_shape: inputShape } = config.fields;
  const shape = batchInputShape ?? batchShape ?? (Array.isArray(inputShape) ? [null, ...(inputShape as unknown[])] : undefined);
  if (!Array.isArray(shape)) throw new SlipwayError('INVALID_MODEL', `The input "${name}" does not say its shape ("batch_input_shape").`);
  return (shape as unknown[]).map((size, axis) => {
    if (typeof size === 'number') return size;
    return axis === 0 ? BATCH : symbolOf(`${name}.${axis}`);
  });
}

/** Adds the input of the graph that an input layer stands for. */
export function addInput(graph: GraphBuilder, name: string, config: Config): Value {
  const type = config.text('dtype', 'float32');
  const dtype = Object.hasOwn(DTYPES, type) ? DTYPES[type] : undefined;
  if (dtype === undefined)
    throw new SlipwayError('COMPILE_FAILED', `The input "${name}" is ${type}; inputs can be ${Object.keys(DTYPES).join(', ')}.`);
  return graph.input(name, { dtype, shape: sizesOf(name, config) });
}
