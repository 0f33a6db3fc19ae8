import { describe, expect, it } from 'vitest';
import { storeWeights } from '../../../src/jobs/child/optimize/techniques/store-weights.ts';
import { readLayersModel, writeLayersModel } from '../../../src/jobs/child/optimize/layers-files.ts';
import type { TechniqueContext } from '../../../src/jobs/child/optimize/technique.ts';
import { fixtureFolder } from '../../helpers/fixture-models.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const DIGITS = fixtureFolder('digits-layers');

/** The digits model with this value as its first weight, stored as FP16. */
async function stored(value: number): Promise<number> {
  const [folder, target] = [await temporaryFolder(), await temporaryFolder()];
  const model = await readLayersModel(DIGITS);
  const [[, first]] = model.weights as unknown as [[string, { data: Float32Array }]];
  first.data[0] = value;
  await writeLayersModel(folder, model, DIGITS);
  await storeWeights({ kind: 'weights-float16' }, { folder, format: 'tfjs-layers', manifest: {} }, { target } as TechniqueContext);
  const [[, written]] = (await readLayersModel(target)).weights as unknown as [[string, { data: Float32Array }]];
  return written.data[0]!;
}

describe('weights stored as FP16', () => {
  it('keep the largest number that there is', async () => expect(await stored(65_504)).toBe(65_504));

  it('are none of a model with larger ones, which would become infinite', async () => {
    await expect(stored(-70_000)).rejects.toMatchObject({
      code: 'TECHNIQUE_INAPPLICABLE',
      message: expect.stringMatching(/^the weight \S+ has the value -70000; FP16 ends at 65504$/) as string,
    });
  });
});
