import type { io } from '@tensorflow/tfjs-core';
import type { Weights } from '../../packages/tfjs/read-weights.ts';

/** Weights as tfjs takes them; it decodes them itself. */
export function weightArtifacts({ specs, data }: Weights): { weightSpecs: io.WeightsManifestEntry[]; weightData: ArrayBuffer[] } {
  // tfjs says of the quantization that its scale is there, which is not so for float16.
  return { weightSpecs: [...specs] as io.WeightsManifestEntry[], weightData: [...data] };
}
