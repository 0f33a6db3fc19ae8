import type { Technique } from '../../../optimization/techniques.ts';
import type { ApplyTechnique } from '../technique.ts';
import { compileModel } from './compile.ts';
import { storeWeights } from './store-weights.ts';

/** What does each technique. */
export const APPLY: Readonly<{ [Kind in Technique['kind']]: ApplyTechnique<Extract<Technique, { kind: Kind }>> }> = {
  compile: compileModel,
  'weights-uint8': storeWeights,
  'weights-uint16': storeWeights,
  'weights-float16': storeWeights,
};
