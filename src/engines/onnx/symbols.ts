import type { InferenceSession } from 'onnxruntime-node';
import type { NamedTensors } from '../../tensor/tensor.ts';

/**
 * Two inputs whose dimensions have one symbol in the model and different sizes in a request; undefined when there are
 * none. ONNX Runtime does not look, and models that broadcast are content with it; when a run fails, this is why.
 */
export function differingSymbol(metadata: readonly InferenceSession.ValueMetadata[], inputs: NamedTensors): string | undefined {
  const seen = new Map<string, { readonly at: string; readonly size: number }>();
  for (const value of metadata) {
    const tensor = inputs.get(value.name);
    if (!value.isTensor || tensor === undefined) continue;
    for (const [axis, symbol] of value.shape.entries()) {
      const size = tensor.shape[axis];
      if (typeof symbol !== 'string' || symbol === '' || size === undefined) continue;
      const at = `dimension ${axis} of the input "${value.name}"`;
      const first = seen.get(symbol);
      if (first === undefined) seen.set(symbol, { at, size });
      else if (first.size !== size) return `${at} is ${size}, and ${first.at} is ${first.size}; the model names both "${symbol}"`;
    }
  }
  return undefined;
}
