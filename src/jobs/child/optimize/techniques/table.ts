import type { Technique } from '../../../optimization/techniques.ts';
import type { ApplyTechnique } from '../technique.ts';

type Kind = Technique['kind'];
type Loaders = { readonly [K in Kind]: () => Promise<ApplyTechnique<Extract<Technique, { kind: K }>>> };

const storeWeights = async () => (await import('./store-weights.ts')).storeWeights;
const quantization = () => import('./quantize.ts');

/** What does each technique, loaded on demand: trainers and engines take a while, and most techniques need none. */
const LOADERS: Loaders = {
  'prune-filters': async () => (await import('./prune-filters.ts')).pruneFilters,
  'prune-weights': async () => (await import('./prune-weights.ts')).pruneWeights,
  compile: async () => (await import('./compile.ts')).compileModel,
  'int8-aware': async () => (await import('./int8-aware.ts')).trainOnGrid,
  int8: async () => (await quantization()).quantizeToInt8,
  'int8-dynamic': async () => (await quantization()).quantizeDynamically,
  float16: async () => (await quantization()).storeFloat16,
  'weights-int8': async () => (await quantization()).storeInt8,
  cluster: async () => (await quantization()).storeClusters,
  'weights-uint8': storeWeights,
  'weights-uint16': storeWeights,
  'weights-float16': storeWeights,
};

export async function loadTechnique(kind: Kind): Promise<ApplyTechnique> {
  return (await LOADERS[kind]()) as ApplyTechnique;
}
