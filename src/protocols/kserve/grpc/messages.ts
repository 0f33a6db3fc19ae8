/*
 * The messages of inference.proto as the loader gives them: scalars and messages that were not sent are left out, lists
 * and maps are there.
 */

/** A 64-bit integer in two 32-bit words. */
export interface Long {
  readonly low: number;
  readonly high: number;
  toNumber(): number;
}

export interface InferParameter {
  readonly bool_param?: boolean;
  readonly int64_param?: Long;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: Long;
}

export type InferParameters = Readonly<Record<string, InferParameter>>;

export interface InferTensorContents {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly Long[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly Long[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Buffer[];
}

export interface InferInputTensor {
  readonly name?: string;
  readonly datatype?: string;
  readonly shape: readonly Long[];
  readonly parameters: InferParameters;
  readonly contents?: InferTensorContents;
}

export interface ModelInferRequest {
  readonly model_name?: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly parameters: InferParameters;
  readonly inputs: readonly InferInputTensor[];
  readonly outputs: readonly { readonly name?: string; readonly parameters: InferParameters }[];
  readonly raw_input_contents: readonly Buffer[];
}

export interface ModelInferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly outputs: readonly { readonly name: string; readonly datatype: string; readonly shape: readonly number[] }[];
  readonly raw_output_contents: readonly Uint8Array[];
  readonly parameters?: Readonly<Record<string, InferParameter>>;
}

/** Requests that name a model, and nothing when they mean all of them. */
export interface ModelRequest {
  readonly name?: string;
  readonly version?: string;
}

export interface RepositoryModelRequest {
  readonly model_name?: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}
