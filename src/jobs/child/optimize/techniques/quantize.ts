import { onnxEngine } from '../../../../engines/onnx/onnx-engine.ts';
import { int8Dynamic } from '../../../../optimization/quantization/int8-dynamic.ts';
import { int8 } from '../../../../optimization/quantization/int8.ts';
import { cluster, float16, weightsInt8 } from '../../../../optimization/quantization/stored-weights.ts';
import type { OpenedModel, TechniqueReport } from '../../../../optimization/quantization/technique.ts';
import type { NamedTensors } from '../../../../tensor/tensor.ts';
import type { Technique } from '../../../optimization/techniques.ts';
import type { ModelRows } from '../model-rows.ts';
import { type ApplyTechnique, inapplicable, type TechniqueContext } from '../technique.ts';

type Of<Kind extends Technique['kind']> = Extract<Technique, { kind: Kind }>;

/** Rows that ranges are taken from; more of them change little. */
const MOST_ROWS = 512;
const BATCH = 32;

function batchesOf(rows: ModelRows, batch: number): NamedTensors[] {
  const count = Math.min(rows.count, MOST_ROWS);
  return Array.from({ length: Math.ceil(count / batch) }, (_batch, index) => rows.batch(index * batch, batch));
}

function described({ changed, unchanged, weightBytes: { before, after } }: TechniqueReport, what: string): string {
  const nodes = Object.entries(changed).map(([operator, count]) => `${count} ${operator}`);
  const rest = unchanged.length === 0 ? '' : `; left as they were: ${unchanged.join(', ')}`;
  return `${nodes.join(', ')} ${what}; the weights have ${after} bytes instead of ${before}${rest}`;
}

const openerOf =
  ({ threads }: TechniqueContext) =>
  (folder: string): Promise<OpenedModel> =>
    onnxEngine.load({ folder, format: 'onnx', threads });

/** Weights and values as 8-bit integers, with ranges from the calibration rows. */
export const quantizeToInt8: ApplyTechnique<Of<'int8'>> = async ({ kind: _kind, calibration, ...options }, { folder }, context) => {
  const { target, bounds, calibrationRows, batch } = context;
  if (calibrationRows === undefined) throw inapplicable('there are no rows to calibrate on: the split has no validation rows');
  const inputs = batchesOf(await calibrationRows(), batch ?? BATCH);
  const report = await int8({ folder, target, bounds, calibration: inputs, open: openerOf(context) }, { calibration, ...options });
  return { note: described(report, 'compute with 8-bit integers') };
};

/** Weights as 8-bit integers; each value becomes one when it is known, so nothing is calibrated. */
export const quantizeDynamically: ApplyTechnique<Of<'int8-dynamic'>> = async (
  { kind: _kind, ...options },
  { folder },
  { target, bounds },
) => ({
  note: described(await int8Dynamic({ folder, target, bounds }, options), 'compute with 8-bit integers, whose range is found at each run'),
});

export const storeFloat16: ApplyTechnique<Of<'float16'>> = async (_technique, { folder }, { target, bounds }) => ({
  note: described(await float16({ folder, target, bounds }), 'hold their weights as FP16 and compute with FP32'),
});

export const storeInt8: ApplyTechnique<Of<'weights-int8'>> = async ({ perChannel }, { folder }, { target, bounds }) => ({
  note: described(await weightsInt8({ folder, target, bounds }, { perChannel }), 'hold their weights as int8 and compute with FP32'),
});

export const storeClusters: ApplyTechnique<Of<'cluster'>> = async ({ clusters }, { folder }, { target, bounds }) => ({
  note: described(
    await cluster({ folder, target, bounds }, { clusters }),
    `hold ${clusters} different weights a tensor and compute with FP32`,
  ),
});
