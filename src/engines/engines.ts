import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { LAYERS_FORMATS, type ModelFormat } from '../packages/formats.ts';
import type {
  DeviceKind,
  Engine,
  EngineName,
  EngineWishes,
  LoadedModel,
  LoadOptions,
  MissingDevice,
  WarmUpOptions,
  WarmUpReport,
  Wisher,
} from './engine.ts';

interface EngineEntry {
  readonly formats: readonly ModelFormat[];
  /** Loaded on demand: a runner must not pay for the libraries of an engine that it does not use. */
  readonly open: () => Promise<Engine>;
}

/**
 * What libraries say when the memory of a GPU does not suffice: TensorFlow and its allocator (`OOM when allocating`), CUDA and
 * cuDNN, ONNX Runtime (`Failed to allocate memory`), Vulkan and Dawn.
 */
const OUT_OF_MEMORY = /out[ _-]of[ _-](device[ _-])?memory|OOM when allocating|RESOURCE_EXHAUSTED|failed to allocate|ALLOC_FAILED/i;

/** The same error with the code of a GPU that is full, where it is one. */
export function fullDevice(error: unknown, device: string): unknown {
  const message = messageOf(error);
  if (device === 'cpu' || !OUT_OF_MEMORY.test(message)) return error;
  return new SlipwayError('DEVICE_OUT_OF_MEMORY', `The memory of the device ${device} does not suffice: ${message}`, {
    cause: error,
    retryAfterMs: 0,
  });
}

/** A model on a GPU, whose failures say when it was full. */
function watched(model: LoadedModel): LoadedModel {
  if (model.device === 'cpu') return model;
  return {
    ...model,
    run: (inputs, outputs, signatureName) =>
      model.run(inputs, outputs, signatureName).catch((error: unknown) => {
        throw fullDevice(error, model.device);
      }),
  };
}

/** The engines, fastest first. */
const ENGINES: Readonly<Record<EngineName, EngineEntry>> = {
  onnx: { formats: ['onnx'], open: async () => (await import('./onnx/onnx-engine.ts')).onnxEngine },
  tensorflow: { formats: ['saved-model'], open: async () => (await import('./tensorflow/tensorflow-engine.ts')).tensorflowEngine },
  tfjs: { formats: [...LAYERS_FORMATS, 'tfjs-graph'], open: async () => (await import('./tfjs/tfjs-engine.ts')).createTfjsEngine() },
};

/** In words that go after "as". */
const WISHED: Readonly<Record<Wisher, string>> = {
  manifest: 'slipway.json asks',
  setting: 'the setting devices.prefer asks',
  measurement: 'measurement has chosen',
};

export interface EngineChoice {
  readonly engine: EngineName;
  /** Why this engine, in words for users. */
  readonly reason: string;
}

/**
 * The engine for a format: the preferred one, else the first that can run it.
 * @throws SlipwayError ENGINE_UNAVAILABLE when the preferred engine cannot run the format.
 */
export function chooseEngine(format: ModelFormat, preferred?: EngineName, wishedBy: Wisher = 'manifest'): EngineChoice {
  const able = (Object.keys(ENGINES) as EngineName[]).filter((name) => ENGINES[name].formats.includes(format));
  if (preferred !== undefined) {
    if (able.includes(preferred)) return { engine: preferred, reason: `The engine ${preferred}, as ${WISHED[wishedBy]}.` };
    const others = able.length > 0 ? ` The format runs on: ${able.join(', ')}.` : '';
    throw new SlipwayError(
      'ENGINE_UNAVAILABLE',
      `The engine "${preferred}", as ${WISHED[wishedBy]}, cannot run the format "${format}".${others}`,
    );
  }
  const [engine] = able;
  if (engine === undefined) throw new SlipwayError('ENGINE_UNAVAILABLE', `No engine can run the format "${format}".`);
  const only = able.length === 1 ? 'the only' : 'the fastest';
  return { engine, reason: `The engine ${engine}, ${only} one for the format ${format}.` };
}

/** What to say of a model that does not run on the device that is asked for; empty when it does. */
function missingDeviceOf({ device }: LoadedModel, wanted: DeviceKind | undefined, wishedBy: Wisher): string {
  if (wanted === undefined || wanted === device) return '';
  const asked = wishedBy === 'measurement' ? 'Measurement has chosen' : `${WISHED[wishedBy].replace(/^t/, 'T')} for`;
  return `${asked} the device ${wanted}, which this engine cannot have here; it runs on ${device}.`;
}

/**
 * Loads a version folder with the engine that fits it.
 * @throws SlipwayError INVALID_MODEL with the file and what is wrong, ENGINE_UNAVAILABLE, or WARM_UP_FAILED.
 */
export async function loadModel(
  options: LoadOptions & EngineWishes & { readonly warmUp?: WarmUpOptions | undefined; readonly missingDevice?: MissingDevice },
): Promise<{ readonly engine: EngineName; readonly model: LoadedModel; readonly warmUp: WarmUpReport | undefined }> {
  const { engine: preferred, warmUp: warmUpOptions, missingDevice = 'fallback', ...loadOptions } = options;
  const { wishedBy = 'manifest' } = loadOptions;
  const choice = chooseEngine(loadOptions.format, preferred ?? (loadOptions.backend && 'tfjs'), wishedBy);
  const engine = await ENGINES[choice.engine].open();
  const model = await engine.load(loadOptions).then(watched, (error: unknown) => {
    throw fullDevice(error, loadOptions.device ?? 'cpu');
  });
  const problem = missingDeviceOf(model, loadOptions.device, wishedBy);
  // What nobody insists on is not refused for it.
  if (problem !== '' && missingDevice === 'refuse' && wishedBy === 'manifest') {
    await model.dispose();
    throw new SlipwayError(
      'DEVICE_UNAVAILABLE',
      `${problem} The setting devices.onMissing says that it is not served then. ${model.reason}`,
    );
  }
  const loaded = { ...model, reason: [choice.reason, problem, model.reason].filter((each) => each !== '').join(' ') };
  if (warmUpOptions === undefined) return { engine: choice.engine, model: loaded, warmUp: undefined };
  // Loaded on demand, like the engines: a runner whose model is not warmed up needs nothing of it.
  const { warmUp } = await import('./warm-up.ts');
  try {
    return { engine: choice.engine, model: loaded, warmUp: await warmUp(loaded, warmUpOptions) };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}
