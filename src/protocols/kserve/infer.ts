import { SlipwayError } from '../../errors/slipway-error.ts';
import type { Caller, Inference, InferenceTimes, Requester } from '../../inference/types.ts';
import type { ModelReference, ReadyVersion } from '../../registry/types.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import { classifyOutput, labelsOf } from './classification.ts';

export interface RequestedOutput {
  readonly name: string;
  /** So many of the highest values in place of the tensor; 0 for the tensor itself. */
  readonly classification: number;
}

/** A V2 inference request, read from either wire. */
export interface InferRequest {
  readonly inputs: NamedTensors;
  /** All outputs of the model when empty. */
  readonly outputs: readonly RequestedOutput[];
  /** The parameter `timeout`: longest time for the answer, in microseconds; the server's limit when undefined. */
  readonly timeoutUs: number | undefined;
  /** The parameter `priority`: 1 goes first; 0 and undefined are the server's default. */
  readonly priority: number | undefined;
}

export interface InferAnswer extends InferenceTimes {
  readonly outputs: NamedTensors;
}

/** Runs V2 requests on the data plane. */
export interface Infer {
  /** The version that will answer. @throws SlipwayError as `Inference.resolve` */
  resolve(reference: ModelReference, requester: Requester): ReadyVersion | Promise<ReadyVersion>;
  run(version: ReadyVersion, request: InferRequest, caller: Caller): Promise<InferAnswer>;
}

/** @throws SlipwayError INVALID_REQUEST when an output is asked for twice: its parameters would contradict each other. */
function checkRequestedOnce(outputs: readonly RequestedOutput[]): void {
  const seen = new Set<string>();
  for (const { name } of outputs) {
    if (seen.has(name)) {
      throw new SlipwayError('INVALID_REQUEST', `The output "${name}" is asked for twice.`, {
        details: [{ path: 'outputs', message: `"${name}" is there twice` }],
      });
    }
    seen.add(name);
  }
}

/** Puts the classes of an output in place of its values where the request asks for that. */
function classified(version: ReadyVersion, requested: readonly RequestedOutput[], outputs: NamedTensors): NamedTensors {
  if (!requested.some(({ classification }) => classification > 0)) return outputs;
  const { signature, manifest } = version;
  const given = new Map<string, Tensor>(outputs);
  for (const { name, classification } of requested) {
    const tensor = outputs.get(name);
    if (classification === 0 || tensor === undefined) continue;
    const shape = signature.outputs.find((spec) => spec.name === name)?.shape;
    given.set(
      name,
      classifyOutput(tensor, {
        output: name,
        count: classification,
        batched: shape?.[0] === -1 && shape.length > 1,
        labels: labelsOf(name, signature.outputs[0]?.name, manifest.classification),
      }),
    );
  }
  return given;
}

export function createInfer(inference: Inference): Infer {
  return {
    resolve: (reference, requester) => inference.resolve(reference, requester),
    async run(version, { inputs, outputs, timeoutUs, priority }, { client, deadline = Infinity, signal }) {
      checkRequestedOnce(outputs);
      // Triton takes 0 for no timeout, and its clients send it.
      const timeout = timeoutUs === undefined || timeoutUs === 0 ? Infinity : performance.now() + timeoutUs / 1_000;
      const earliest = Math.min(deadline, timeout);
      const response = await inference.predict(version, {
        inputs,
        outputs: outputs.length === 0 ? undefined : outputs.map(({ name }) => name),
        client,
        deadline: earliest === Infinity ? undefined : earliest,
        signal,
        priority,
      });
      const { model, version: answered, times, run } = response;
      return { model, version: answered, times, run, outputs: classified(version, outputs, response.outputs) };
    },
  };
}
