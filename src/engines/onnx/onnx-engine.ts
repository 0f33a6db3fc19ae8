import { join } from 'node:path';
import { InferenceSession, type Tensor as OrtTensor } from 'onnxruntime-node';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { Engine, LoadedModel, LoadOptions } from '../engine.ts';
import { cleanErrorText, saysUnsupported } from './error-text.ts';
import { readSignature, refuseUnsupportedTypes } from './signature.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

const MODEL_FILE = 'model.onnx';

async function createSession(file: string, { folder, threads }: LoadOptions): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(file, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 4,
    });
  } catch (error) {
    const text = cleanErrorText(messageOf(error), folder);
    if (saysUnsupported(messageOf(error))) {
      refuseUnsupportedTypes(file);
      throw new SlipwayError('ENGINE_UNAVAILABLE', `${MODEL_FILE}: ${text}`, { cause: error });
    }
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE}: ${text}`, { cause: error });
  }
}

/** ONNX models on ONNX Runtime's CPU provider. */
export const onnxEngine: Engine = {
  name: 'onnx',
  formats: ['onnx'],
  async load(options: LoadOptions): Promise<LoadedModel> {
    const file = join(options.folder, MODEL_FILE);
    const session = await createSession(file, options);
    const { signature, leftOut } = readSignature(session, file);
    const unserved = leftOut.length === 0 ? '' : ` Outputs that are no tensors are left out: ${leftOut.join(', ')}.`;
    return {
      signature,
      backend: 'cpu',
      device: 'cpu',
      reason: `ONNX Runtime runs ONNX models; its CPU provider is the one used here.${unserved}`,
      async run(inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors> {
        const feeds: InferenceSession.OnnxValueMapType = {};
        for (const [name, tensor] of inputs) (feeds as Record<string, unknown>)[name] = toOrtValue(name, tensor);
        let results: InferenceSession.OnnxValueMapType;
        try {
          results = await session.run(feeds, outputs);
        } catch (error) {
          throw new SlipwayError('INFERENCE_FAILED', cleanErrorText(messageOf(error), options.folder), { cause: error });
        }
        const tensors = new Map<string, Tensor>();
        for (const name of outputs) tensors.set(name, fromOrtValue(results[name] as OrtTensor));
        return tensors;
      },
      dispose: () => session.release(),
    };
  },
};
