import type { Technique } from '../../../optimization/techniques.ts';
import type { ApplyTechnique } from '../technique.ts';
import { compileModel } from './compile.ts';
import { pruneFilters } from './prune-filters.ts';
import { pruneWeights } from './prune-weights.ts';
import { quantizeToInt8 } from './quantize.ts';
import { storeWeights } from './store-weights.ts';

/** What does each technique. */
export const APPLY: Readonly<{ [Kind in Technique['kind']]: ApplyTechnique<Extract<Technique, { kind: Kind }>> }> = {
  'prune-filters': pruneFilters,
  'prune-weights': pruneWeights,
  compile: compileModel,
  int8: quantizeToInt8,
  'weights-uint8': storeWeights,
  'weights-uint16': storeWeights,
  'weights-float16': storeWeights,
};
