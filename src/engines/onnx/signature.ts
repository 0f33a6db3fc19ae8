import type { InferenceSession } from 'onnxruntime-node';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature, TensorSpec } from '../../tensor/signature.ts';
import { type DeclaredValue, type DeclaredValues, readDeclaredValues } from './declared-values.ts';
import { dtypeOf } from './element-types.ts';

type Metadata = InferenceSession.ValueMetadata;
type Direction = 'input' | 'output';

/** What Slipway can serve of a session. */
export interface ReadSignature {
  readonly signature: Signature;
  /** Outputs that are no tensors and so are left out, in words; empty when there are none. */
  readonly leftOut: readonly string[];
}

/** @throws SlipwayError ENGINE_UNAVAILABLE, always. */
function refuseType(direction: Direction, name: string, type: string): never {
  throw new SlipwayError(
    'ENGINE_UNAVAILABLE',
    `model.onnx: the ${direction} "${name}" has the type ${type}, which ONNX Runtime for Node cannot pass. Export the model with another type there.`,
  );
}

function specOf(direction: Direction, metadata: Metadata, declared: () => DeclaredValue | undefined): TensorSpec {
  const { name } = metadata;
  if (!metadata.isTensor) return refuseType(direction, name, declared()?.type ?? 'sequence or map');
  const dtype = dtypeOf(metadata.type);
  if (dtype === undefined) return refuseType(direction, name, metadata.type);
  // An empty shape is a scalar or an open rank; only the file tells. An output that the file leaves open stays open,
  // even where ONNX Runtime inferred a scalar.
  if (metadata.shape.length === 0 && declared()?.hasShape !== true) return { name, dtype, shape: null };
  return { name, dtype, shape: metadata.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)) };
}

function declaredValuesOf(file: string): DeclaredValues {
  try {
    return readDeclaredValues(file);
  } catch {
    // ONNX Runtime also loads its own file format under this name; open ranks are the safe reading there.
    return { inputs: [], outputs: [] };
  }
}

/**
 * The signature of a loaded session.
 * @throws SlipwayError ENGINE_UNAVAILABLE when an input, or every output, has a type that cannot be passed.
 */
export function readSignature(session: InferenceSession, file: string): ReadSignature {
  let values: DeclaredValues | undefined;
  const declaredIn = (side: keyof DeclaredValues, name: string) => (): DeclaredValue | undefined => {
    values ??= declaredValuesOf(file);
    return values[side].find((value) => value.name === name);
  };
  const served = session.outputMetadata.filter((metadata) => metadata.isTensor);
  const outputs = served.length > 0 ? served : session.outputMetadata;
  return {
    signature: {
      inputs: session.inputMetadata.map((metadata) => specOf('input', metadata, declaredIn('inputs', metadata.name))),
      outputs: outputs.map((metadata) => specOf('output', metadata, declaredIn('outputs', metadata.name))),
    },
    leftOut: session.outputMetadata
      .filter((metadata) => !outputs.includes(metadata))
      .map(({ name }) => `"${name}" (${declaredIn('outputs', name)()?.type ?? 'no tensor'})`),
  };
}

/**
 * Names the first input or output whose type the Node binding cannot carry; ONNX Runtime itself does not say which.
 * @throws SlipwayError ENGINE_UNAVAILABLE when there is one.
 */
export function refuseUnsupportedTypes(file: string): void {
  const values = declaredValuesOf(file);
  const sides = { input: values.inputs, output: values.outputs } as const;
  for (const direction of ['input', 'output'] as const) {
    for (const { name, type } of sides[direction]) if (dtypeOf(type) === undefined) refuseType(direction, name, type);
  }
}
