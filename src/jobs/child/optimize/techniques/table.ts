import type { Technique } from '../../../optimization/techniques.ts';
import type { ApplyTechnique } from '../technique.ts';
import { compileModel } from './compile.ts';
import { pruneFilters } from './prune-filters.ts';
import { pruneWeights } from './prune-weights.ts';
import { quantizeDynamically, quantizeToInt8, storeClusters, storeFloat16, storeInt8 } from './quantize.ts';
import { storeWeights } from './store-weights.ts';

/** What does each technique. */
export const APPLY: Readonly<{ [Kind in Technique['kind']]: ApplyTechnique<Extract<Technique, { kind: Kind }>> }> = {
  'prune-filters': pruneFilters,
  'prune-weights': pruneWeights,
  compile: compileModel,
  int8: quantizeToInt8,
  'int8-dynamic': quantizeDynamically,
  float16: storeFloat16,
  'weights-int8': storeInt8,
  cluster: storeClusters,
  'weights-uint8': storeWeights,
  'weights-uint16': storeWeights,
  'weights-float16': storeWeights,
};
