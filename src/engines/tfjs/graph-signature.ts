import { z } from 'zod';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { TensorSpec } from '../../tensor/signature.ts';
import { MODEL_FILE, type ModelFile } from '../../packages/tfjs/model-file.ts';

/** TensorFlow's names and numbers of dtypes (types.proto), as tfjs holds them: it has one float and one integer. */
const FLOATS = new Set<unknown>(['DT_FLOAT', 'DT_HALF', 'DT_DOUBLE', 1, 2, 19]);
const INTEGERS = new Set<unknown>(['DT_INT32', 'DT_INT64', 'DT_INT8', 'DT_INT16', 'DT_UINT8', 'DT_UINT16', 3, 4, 5, 6, 9, 17]);
const BOOLEANS = new Set<unknown>(['DT_BOOL', 10]);
const STRINGS = new Set<unknown>(['DT_STRING', 7]);

const shapeSchema = z.looseObject({
  dim: z.array(z.looseObject({ size: z.union([z.string(), z.number()]).optional() })).optional(),
  unknownRank: z.boolean().optional(),
});

const tensorInfoSchema = z.looseObject({
  name: z.string().optional(),
  dtype: z.union([z.string(), z.number()]).optional(),
  tensorShape: shapeSchema.optional(),
  resourceId: z.unknown().optional(),
});

const signatureSchema = z.looseObject({
  inputs: z.record(z.string(), tensorInfoSchema).optional(),
  outputs: z.record(z.string(), tensorInfoSchema).optional(),
});

type TensorInfo = z.infer<typeof tensorInfoSchema>;

/** What a graph model says of one tensor, and the name of that tensor in the graph. */
export interface GraphValue {
  readonly spec: Omit<TensorSpec, 'dtype'> & { readonly dtype: DType | undefined };
  /** E.g. `x:0`. */
  readonly tensor: string;
}

export interface GraphSignature {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

/** Slipway's dtype for a dtype of TensorFlow; undefined when tfjs has none for it. */
function dtypeOfTensorFlow(dtype: unknown): DType | undefined {
  if (FLOATS.has(dtype)) return 'FP32';
  if (INTEGERS.has(dtype)) return 'INT32';
  if (BOOLEANS.has(dtype)) return 'BOOL';
  return STRINGS.has(dtype) ? 'BYTES' : undefined;
}

function shapeOf(shape: z.infer<typeof shapeSchema> | undefined): number[] | null {
  if (shape === undefined || shape.unknownRank === true) return null;
  // Protobuf's JSON form leaves out a size of 0.
  return (shape.dim ?? []).map(({ size }) => Math.max(-1, Number(size ?? 0)));
}

function valueOf(side: string, name: string, info: TensorInfo): GraphValue {
  const dtype = dtypeOfTensorFlow(info.dtype);
  if (dtype === undefined && info.dtype !== undefined && info.dtype !== 'DT_INVALID') {
    throw new SlipwayError('ENGINE_UNAVAILABLE', `${MODEL_FILE}: the ${side} "${name}" is ${String(info.dtype)}, which tfjs cannot carry.`);
  }
  return { spec: { name, dtype, shape: shapeOf(info.tensorShape) }, tensor: info.name ?? name };
}

/**
 * The signature that the converter wrote into `model.json`; undefined when there is none, as in models of old.
 * @throws SlipwayError INVALID_MODEL or ENGINE_UNAVAILABLE.
 */
export function readGraphSignature(file: ModelFile): GraphSignature | undefined {
  const found = file.signature ?? file.userDefinedMetadata?.['signature'];
  if (found === undefined || found === null) return undefined;
  const parsed = signatureSchema.safeParse(found);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE}: signature.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`);
  }
  const { inputs = {}, outputs = {} } = parsed.data;
  if (Object.keys(outputs).length === 0) return undefined;
  return {
    // Hash tables are inputs to the graph, but tfjs fills them itself.
    inputs: Object.entries(inputs)
      .filter(([, info]) => info.resourceId === undefined && info.dtype !== 'DT_RESOURCE')
      .map(([name, info]) => valueOf('input', name, info)),
    outputs: Object.entries(outputs).map(([name, info]) => valueOf('output', name, info)),
  };
}
