import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller, Inference, InferenceResponse, InferenceTimes, Requester } from '../../inference/types.ts';
import type { ModelReference, ReadyVersion, Registry, VersionDescription, VersionState } from '../../registry/types.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';
import { type Example, examplesToInputs } from './examples.ts';
import { classesOf, type ScoredClass, scoredOutput, valuesOf } from './results.ts';

/** TensorFlow's name for the signature that is meant when none is named. */
const SIGNATURE_NAME = 'serving_default';

/** The name of the signature that a version is resolved by. */
export function signatureNameOf({ signatureName, manifest }: ReadyVersion): string {
  return signatureName ?? manifest.signature ?? SIGNATURE_NAME;
}

/** All signatures of a version by their names, the one first that is meant when none is named. */
export function signaturesOf(version: ReadyVersion): readonly (readonly [string, Signature])[] {
  const others = [...(version.signatures ?? [])].map(([name, { signature }]) => [name, signature] as const);
  return [[signatureNameOf(version), version.signature], ...others];
}
export const PREDICT_METHOD = 'tensorflow/serving/predict';

/** What a model's metadata can be asked for. */
export const SIGNATURE_DEF = 'signature_def';

export interface ServingOptions {
  readonly inference: Inference;
  readonly registry: Registry;
}

/** The state of a version in TensorFlow Serving's terms; `message` is empty unless it failed. */
export interface VersionStatus {
  readonly version: number;
  readonly state: keyof typeof STATE_NUMBER;
  readonly message: string;
}

/** What was made of a model's outputs. */
export interface Results<T> {
  readonly results: T;
  readonly inference: InferenceTimes;
}

/** TensorFlow Serving without its wire: what REST and gRPC both answer. */
export interface Serving {
  /** @param requester as `Inference.resolve`. @throws SlipwayError as that; SIGNATURE_NOT_FOUND */
  resolve(reference: ModelReference, signatureName: string, requester?: Requester): Promise<ReadyVersion>;
  /** @param outputs all when empty. */
  predict(version: ReadyVersion, inputs: NamedTensors, outputs: readonly string[], caller: Caller): Promise<InferenceResponse>;
  /** The scores of all classes. @throws SlipwayError OUTPUT_MISMATCH when the model has none, and as `predict` */
  classify(version: ReadyVersion, examples: readonly Example[], caller: Caller): Promise<Results<ScoredClass[][]>>;
  /** One value for each example. @throws SlipwayError as `classify` */
  regress(version: ReadyVersion, examples: readonly Example[], caller: Caller): Promise<Results<Float32Array | Float64Array>>;
  /** Of one version, or of all. @throws SlipwayError MODEL_NOT_FOUND, VERSION_NOT_FOUND, LABEL_NOT_FOUND */
  status(reference: ModelReference): readonly VersionStatus[];
}

/** `ModelVersionStatus.State` in get_model_status.proto. */
export const STATE_NUMBER = { START: 10, LOADING: 20, AVAILABLE: 30, UNLOADING: 40, END: 50 } as const;

const STATES = {
  loading: 'LOADING',
  ready: 'AVAILABLE',
  draining: 'UNLOADING',
  unloaded: 'END',
  failed: 'END',
} as const satisfies Record<VersionState, keyof typeof STATE_NUMBER>;

/** What its next request loads is available: TensorFlow Serving has no state for it, and clients wait for this one. */
function versionStatus({ version, state, reason, onDemand }: VersionDescription): VersionStatus {
  return { version, state: onDemand ? 'AVAILABLE' : STATES[state], message: state === 'failed' ? reason : '' };
}

export function createServing({ inference, registry }: ServingOptions): Serving {
  function predict(version: ReadyVersion, inputs: NamedTensors, outputs: readonly string[], caller: Caller): Promise<InferenceResponse> {
    return inference.predict(version, { inputs, outputs: outputs.length === 0 ? undefined : outputs, ...caller });
  }

  async function scores(version: ReadyVersion, examples: readonly Example[], caller: Caller): Promise<[InferenceResponse, string]> {
    const output = scoredOutput(version);
    return [await predict(version, examplesToInputs(examples, version.signature), [output], caller), output];
  }

  return {
    async resolve(reference, signatureName, requester) {
      const version = await inference.resolve(reference, requester);
      if (signatureName === '' || signatureName === signatureNameOf(version)) return version;
      const named = version.signatures?.get(signatureName);
      if (named !== undefined) return named;
      // The default's name stands for what is served, whatever its own name is.
      if (signatureName === SIGNATURE_NAME) return version;
      const there = signaturesOf(version)
        .map(([name]) => `"${name}"`)
        .join(', ');
      throw new SlipwayError('SIGNATURE_NOT_FOUND', `Model "${version.model}" has no signature "${signatureName}"; it has ${there}.`);
    },
    predict,
    async classify(version, examples, caller) {
      const [inference, output] = await scores(version, examples, caller);
      return { results: classesOf(inference, output, version.manifest.classification?.labels), inference };
    },
    async regress(version, examples, caller) {
      const [inference, output] = await scores(version, examples, caller);
      return { results: valuesOf(inference, output), inference };
    },
    status({ model, version, label }) {
      const described = registry.describe(model);
      const wanted = label === undefined ? version : described.labels[label];
      if (label !== undefined && wanted === undefined)
        throw new SlipwayError('LABEL_NOT_FOUND', `Model "${model}" has no label "${label}".`);
      if (wanted !== undefined) return [versionStatus(registry.describeVersion(model, wanted))];
      return described.versions.map(versionStatus);
    },
  };
}
