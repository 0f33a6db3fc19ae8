import type { NamedTensors } from '../tensor/tensor.ts';
import type { Signature } from '../tensor/signature.ts';
import type { ModelFormat } from '../packages/formats.ts';

export const ENGINE_NAMES = ['onnx', 'tfjs'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

export interface LoadOptions {
  /** Absolute path of the version folder. */
  readonly folder: string;
  readonly format: ModelFormat;
  /** Threads that the engine may use for one run. */
  readonly threads: number;
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
  /**
   * Runs the model on inputs that fit the signature.
   * @param outputs names of the wanted outputs; the result has exactly these, in this order.
   * @throws SlipwayError INFERENCE_FAILED when the engine refuses or fails.
   */
  run(inputs: NamedTensors, outputs: readonly string[]): Promise<NamedTensors>;
  dispose(): Promise<void>;
}

/** An engine loads a version folder and runs it. It knows tensors and devices, nothing of requests. */
export interface Engine {
  readonly name: EngineName;
  readonly formats: readonly ModelFormat[];
  /** @throws SlipwayError INVALID_MODEL with the file and what is wrong, or ENGINE_UNAVAILABLE. */
  load(options: LoadOptions): Promise<LoadedModel>;
}
