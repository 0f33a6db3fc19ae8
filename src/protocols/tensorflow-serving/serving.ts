import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Inference, InferenceResponse } from '../../inference/types.ts';
import type { ModelReference, ReadyVersion, Registry, VersionDescription, VersionState } from '../../registry/types.ts';
import type { NamedTensors } from '../../tensor/tensor.ts';

/** The one signature of a model, by TensorFlow's name for the default. */
export const SIGNATURE_NAME = 'serving_default';
export const PREDICT_METHOD = 'tensorflow/serving/predict';

/** What a model's metadata can be asked for. */
export const SIGNATURE_DEF = 'signature_def';

export interface ServingOptions {
  readonly inference: Inference;
  readonly registry: Registry;
}

export interface PredictCall {
  readonly inputs: NamedTensors;
  /** All when empty. */
  readonly outputs: readonly string[];
  /** On the `performance.now()` clock; the server's limit when undefined. */
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The state of a version in TensorFlow Serving's terms; `message` is empty unless it failed. */
export interface VersionStatus {
  readonly version: number;
  readonly state: keyof typeof STATE_NUMBER;
  readonly message: string;
}

/** TensorFlow Serving without its wire: what REST and gRPC both answer. */
export interface Serving {
  /** @throws SlipwayError as `Inference.resolve`; SIGNATURE_NOT_FOUND */
  resolve(reference: ModelReference, signatureName: string): ReadyVersion;
  predict(version: ReadyVersion, call: PredictCall): Promise<InferenceResponse>;
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

function versionStatus({ version, state, reason }: VersionDescription): VersionStatus {
  return { version, state: STATES[state], message: state === 'failed' ? reason : '' };
}

export function createServing({ inference, registry }: ServingOptions): Serving {
  return {
    resolve(reference, signatureName) {
      const version = inference.resolve(reference);
      if (signatureName !== '' && signatureName !== SIGNATURE_NAME) {
        throw new SlipwayError(
          'SIGNATURE_NOT_FOUND',
          `Model "${version.model}" has no signature "${signatureName}"; it has "${SIGNATURE_NAME}".`,
        );
      }
      return version;
    },
    predict(version, { inputs, outputs, deadline, signal }) {
      return inference.predict(version, { inputs, outputs: outputs.length === 0 ? undefined : outputs, deadline, signal });
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
