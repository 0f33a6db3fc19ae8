import type { NamedTensors } from '../tensor/tensor.ts';
import type { Signature } from '../tensor/signature.ts';
import type { ModelFormat } from '../packages/formats.ts';

export const ENGINE_NAMES = ['onnx', 'tfjs', 'tensorflow'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** What the engine tfjs can compute on. */
export const TFJS_BACKENDS = ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const;
export type TfjsBackend = (typeof TFJS_BACKENDS)[number];

/** Kinds of devices that models can be asked to run on: GPUs by what comes to them, CoreML on macOS and DirectML on Windows. */
export const DEVICE_KINDS = ['cpu', 'cuda', 'webgpu', 'coreml', 'directml'] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

/** What is done with a model whose device is not there: it is not served, or served on another one. */
export type MissingDevice = 'refuse' | 'fallback';

/** Who asks for an engine, a backend or a device: slipway.json, a setting of the server, or a measurement that it has won. */
export const WISHERS = ['manifest', 'setting', 'measurement'] as const;
export type Wisher = (typeof WISHERS)[number];

/** What is asked of the engine; what is left out is chosen. */
export interface EngineWishes {
  readonly engine?: EngineName | undefined;
  /** Of the engine tfjs. */
  readonly backend?: TfjsBackend | undefined;
  readonly device?: DeviceKind | undefined;
  /** Of a SavedModel: the signature that is served; `serving_default` when left out. */
  readonly signature?: string | undefined;
  /** `manifest` when left out. */
  readonly wishedBy?: Wisher | undefined;
}

export interface LoadOptions extends Omit<EngineWishes, 'engine'> {
  /** Absolute path of the version folder. */
  readonly folder: string;
  readonly format: ModelFormat;
  /** Threads that the engine may use for one run. */
  readonly threads: number;
  /** Folder of native TensorFlow; without it there is none. */
  readonly tensorflowFolder?: string | undefined;
}

/** How a model is run before its first request. */
export interface WarmUpOptions {
  /** `auto` makes inputs up where none are recorded, `recorded` does not. */
  readonly mode: 'auto' | 'recorded' | 'off';
  /** What a recorded request that fails does to the load. */
  readonly onFailure: 'refuse' | 'ignore';
  /** Recorded requests beyond so many are left out. */
  readonly maxRequests: number;
  /** Absolute path of the folder with the recorded requests. */
  readonly folder: string;
}

/** What a warm-up did. */
export interface WarmUpReport {
  readonly inputs: 'recorded' | 'synthetic';
  readonly runs: number;
  /** Time of the first run and of the last one, in milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Why there were no runs. */
  readonly problem?: string | undefined;
}

/** A model in memory. One run at a time: the runner that owns it never overlaps two. */
export interface LoadedModel {
  readonly signature: Signature;
  /** What runs inside the engine: `cpu` for ONNX Runtime, `wasm` or `cpu` for tfjs. */
  readonly backend: string;
  /** The device that computes, e.g. `cpu`. */
  readonly device: string;
  /** Why this backend and not a faster one; shown to users as it is. */
  readonly reason: string;
  /** Its other signatures, by their names; left out where there is only one. */
  readonly signatures?: Readonly<Record<string, Signature>>;
  /**
   * Runs the model on inputs that fit the signature.
   * @param outputs names of the wanted outputs; the result has exactly these, in this order.
   * @param signatureName one of `signatures`, in place of the one that is served.
   * @throws SlipwayError INFERENCE_FAILED when the engine refuses or fails.
   */
  run(inputs: NamedTensors, outputs: readonly string[], signatureName?: string): Promise<NamedTensors>;
  /** True when the engine has run it on made-up inputs already. */
  readonly isTried?: boolean;
  /** What it takes of the memory of a GPU now, in bytes; left out where the library does not tell. */
  deviceBytes?(): number;
  /** Forgets what runs have left in a model that keeps a state. */
  reset?(): void;
  dispose(): Promise<void>;
}

/** An engine loads a version folder and runs it. It knows tensors and devices, nothing of requests. */
export interface Engine {
  readonly name: EngineName;
  readonly formats: readonly ModelFormat[];
  /** @throws SlipwayError INVALID_MODEL with the file and what is wrong, or ENGINE_UNAVAILABLE. */
  load(options: LoadOptions): Promise<LoadedModel>;
}
