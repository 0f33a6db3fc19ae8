import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { env, InferenceSession, type OnnxValue } from 'onnxruntime-node';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { MAX_DIFFERENCE } from '../agreement.ts';
import type { DeviceKind, Engine, LoadedModel, LoadOptions } from '../engine.ts';
import { differenceBetween } from './provider-check.ts';
import { cleanErrorText, saysUnsupported } from './error-text.ts';
import { readSignature, refuseUnsupportedTypes } from './signature.ts';
import { differingSymbol } from './symbols.ts';
import { sessionOptions } from './session-options.ts';
import { fromOrtValue, toOrtValue } from './values.ts';

const MODEL_FILE = 'model.onnx';

/** The providers' names, for people. */
const PROVIDERS: Readonly<Record<DeviceKind, string>> = {
  cpu: 'CPU',
  webgpu: 'WebGPU',
  cuda: 'CUDA',
  coreml: 'CoreML',
  directml: 'DirectML',
};

interface Opened {
  readonly session: InferenceSession;
  readonly provider: DeviceKind;
  /** Why it is not the one that was asked for; empty when it is. */
  readonly passedOver: string;
}

/** Takes the CPU instead when the answers of a GPU are others: drivers, the software ones too, have kernels that are wrong. */
async function checked(opened: Opened, file: string, options: LoadOptions): Promise<Opened> {
  // Who measures compares by himself, and has done so before he chooses.
  if (opened.provider === 'cpu' || options.wishedBy === 'measurement') return opened;
  const reference = await openSession(file, options, 'cpu');
  const difference = await differenceBetween(readSignature(reference, file).signature, opened.session, reference);
  if (difference === undefined || difference <= MAX_DIFFERENCE) {
    await reference.release();
    return opened;
  }
  await opened.session.release();
  const passedOver = `Its ${PROVIDERS[opened.provider]} provider was not taken: on test inputs its answers differ from those of the CPU provider by ${difference.toPrecision(2)}.`;
  return { session: reference, provider: 'cpu', passedOver };
}

/** The session on the provider that is asked for, else on the CPU. */
async function openOnProvider(file: string, options: LoadOptions): Promise<Opened> {
  const { device = 'cpu' } = options;
  if (device === 'cpu') return { session: await openSession(file, options, 'cpu'), provider: 'cpu', passedOver: '' };
  try {
    return { session: await openSession(file, options, device), provider: device, passedOver: '' };
  } catch (error) {
    // A model that no provider takes is refused for what the CPU's says of it.
    const session = await openSession(file, options, 'cpu');
    const said = messageOf(error)
      .replace(/^.*Failed to get a WebGPU adapter/s, 'Failed to get a WebGPU adapter')
      .replace(/^.*ONNX Runtime says: /s, '');
    return { session, provider: 'cpu', passedOver: `Its ${PROVIDERS[device]} provider was not taken: ${said.replace(/\.?\s*$/, '')}.` };
  }
}

async function openSession(file: string, { folder, threads }: LoadOptions, provider: DeviceKind): Promise<InferenceSession> {
  try {
    await access(file);
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} is missing or cannot be read.`, { cause: error });
  }
  // Read when ONNX Runtime starts, at the first session of the process.
  env.logLevel = 'fatal';
  try {
    return await InferenceSession.create(file, sessionOptions(threads, provider));
  } catch (error) {
    const message = messageOf(error);
    if (message.startsWith('Unsupported data type')) refuseUnsupportedTypes(file);
    const text = cleanErrorText(message, folder);
    if (saysUnsupported(message))
      throw new SlipwayError('ENGINE_UNAVAILABLE', `ONNX Runtime cannot run ${MODEL_FILE}: ${text}`, { cause: error });
    throw new SlipwayError('INVALID_MODEL', `${MODEL_FILE} cannot be loaded. ONNX Runtime says: ${text}`, { cause: error });
  }
}

function reasonOf({ provider, passedOver }: Opened, leftOut: readonly string[]): string {
  const reason = [`ONNX Runtime on its ${PROVIDERS[provider]} provider.`, passedOver].filter((each) => each !== '').join(' ');
  if (leftOut.length === 0) return reason;
  return `${reason} Not served, because they are no tensors: ${leftOut.join(', ')}.`;
}

async function load(options: LoadOptions): Promise<LoadedModel> {
  const { folder } = options;
  const file = join(folder, MODEL_FILE);
  const opened = await checked(await openOnProvider(file, options), file, options);
  const { session, provider } = opened;
  const { signature, leftOut } = readSignature(session, file);
  const outputCount = session.outputNames.length;

  return {
    signature,
    backend: provider,
    device: provider,
    reason: reasonOf(opened, leftOut),
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
