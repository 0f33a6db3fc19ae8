import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { env, InferenceSession, type OnnxValue } from 'onnxruntime-node';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { Engine, LoadedModel, LoadOptions } from '../engine.ts';
import { cleanErrorText, saysUnsupported } from './error-text.ts';
import { readSignature, refuseUnsupportedTypes } from './signature.ts';
import { differingSymbol } from './symbols.ts';
import { sessionOptions } from './session-options.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

const MODEL_FILE = 'model.onnx';

async function openSession(file: string, { folder, threads }: LoadOptions): Promise<InferenceSession> {
  try {
    await access(file);
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} is missing or cannot be read.`, { cause: error });
  }
  // Read when ONNX Runtime starts, at the first session of the process.
  env.logLevel = 'fatal';
  try {
    return await InferenceSession.create(file, sessionOptions(threads));
  } catch (error) {
    const message = messageOf(error);
    if (message.startsWith('Unsupported data type')) refuseUnsupportedTypes(file);
    const text = cleanErrorText(message, folder);
    if (saysUnsupported(message))
      throw new SlipwayError('ENGINE_UNAVAILABLE', `ONNX Runtime cannot run ${MODEL_FILE}: ${text}`, { cause: error });
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} cannot be loaded. ONNX Runtime says: ${text}`, { cause: error });
  }
}

function reasonOf(leftOut: readonly string[]): string {
  const reason = 'ONNX Runtime on its CPU provider; Slipway does not use its GPU providers yet.';
  if (leftOut.length === 0) return reason;
  return `${reason} Not served, because they are no tensors: ${leftOut.join(', ')}.`;
}

async function load(options: LoadOptions): Promise<LoadedModel> {
  const { folder } = options;
  const file = join(folder, MODEL_FILE);
  const session = await openSession(file, options);
  const { signature, leftOut } = readSignature(session, file);
  const outputCount = session.outputNames.length;

  return {
    signature,
    backend: 'cpu',
    device: 'cpu',
    reason: reasonOf(leftOut),
    async run(inputs, outputs): Promise<NamedTensors> {
      if (outputs.length === 0) return new Map();
      // Without a prototype, so that an input may be named `__proto__`.
      const feeds = Object.create(null) as Record<string, OnnxValue>;
      for (const [name, tensor] of inputs) feeds[name] = toOrtValue(name, tensor);
      let results: InferenceSession.ReturnType;
      try {
        // Naming no outputs computes all and skips a search of the names.
        results = await (outputs.length === outputCount ? session.run(feeds) : session.run(feeds, outputs));
      } catch (error) {
        const differing = differingSymbol(session.inputMetadata, inputs);
        if (differing !== undefined) {
          throw new SlipwayError('INPUT_MISMATCH', `The inputs do not fit each other: ${differing}.`, { cause: error });
        }
        throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime failed: ${cleanErrorText(messageOf(error), folder)}`, { cause: error });
      }
      const answer = new Map<string, Tensor>();
      for (const name of outputs) {
        const value = results[name];
        if (value === undefined) throw new SlipwayError('INFERENCE_FAILED', `ONNX Runtime gave no output "${name}".`);
        answer.set(name, fromOrtValue(value));
      }
      return answer;
    },
    dispose: () => session.release(),
  };
}

/** ONNX models on ONNX Runtime. It computes on the calling thread and event loop, so it belongs into a runner process. */
export const onnxEngine: Engine = { name: 'onnx', formats: ['onnx'], load };
