import { isLayersFormat } from '../../../../packages/formats.ts';
import { compileVersion } from '../../compile/compile-version.ts';
import { type ApplyTechnique, inapplicable } from '../technique.ts';

/** A TF.js layers model as the ONNX graph that it is served as, held to what tfjs computes. */
export const compileModel: ApplyTechnique = async (_technique, { folder, format }, { target, threads }) => {
  if (format === 'onnx') throw inapplicable('it is an ONNX model already');
  if (!isLayersFormat(format)) throw inapplicable(`it is a ${format} model; layers models alone are compiled`);
  const result = await compileVersion({ folder, target, threads });
  const note =
    result.outcome === 'checked'
      ? `compiled to ONNX; it differs from tfjs by at most ${result.largestDifference.toPrecision(2)}`
      : `compiled to ONNX, unchecked, since ${result.reason}`;
  return { note };
};
