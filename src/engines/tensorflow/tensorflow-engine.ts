import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { Signature } from '../../tensor/signature.ts';
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts';
import type { Engine, LoadedModel, LoadOptions } from '../engine.ts';
import { type HeldTensor, type NativeTensorFlow, openTensorFlow, reasonOf, type TensorFlowBinding } from './binding.ts';
import { readSavedModel, SAVED_MODEL_FILE, type SavedGraph, type SavedSignature } from './saved-model-file.ts';
import { fromTensorFlow, toTensorFlow } from './values.ts';

/** What TensorFlow's exporters call the signature that is meant when none is named. */
const DEFAULT_SIGNATURE = 'serving_default';

/** What TensorFlow said, without what it prints of the graph around it. */
function saidBy(error: unknown): string {
  const [first = ''] = messageOf(error).split('\n');
  return first.replace(/^(Failed to load SavedModel|Session fail to run with error): /, '').replace(/\.?\s*$/, '');
}

/** The signature to serve. @throws SlipwayError INVALID_MODEL or ENGINE_UNAVAILABLE */
function chooseSignature({ signatures }: SavedGraph, wanted: string | undefined): SavedSignature {
  const names = [...signatures.keys()].toSorted();
  const [only] = names.length === 1 ? names : [];
  const name = wanted ?? (signatures.has(DEFAULT_SIGNATURE) ? DEFAULT_SIGNATURE : only);
  const found = name === undefined ? undefined : signatures.get(name);
  if (found instanceof SlipwayError) throw found;
  if (found !== undefined) return found;
  const there = names.length === 0 ? 'it has none' : `it has: ${names.join(', ')}`;
  throw new SlipwayError(
    'INVALID_MODEL',
    `${SAVED_MODEL_FILE} has no signature "${name ?? DEFAULT_SIGNATURE}"; ${there}. "signature" in slipway.json names one.`,
  );
}

function openSession(binding: TensorFlowBinding, folder: string, tags: readonly string[]): number {
  try {
    return binding.loadSavedModel(folder, tags.join(','));
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `${SAVED_MODEL_FILE} cannot be loaded. TensorFlow says: ${saidBy(error)}`, { cause: error });
  }
}

/** Runs a session on tensors that TensorFlow holds for this run only. */
function runSession(
  { binding }: NativeTensorFlow,
  session: number,
  { inputs: wanted, outputs: given }: SavedSignature,
  inputs: NamedTensors,
  outputs: readonly string[],
): NamedTensors {
  const held: number[] = [];
  let results: HeldTensor[];
  try {
    for (const { spec } of wanted) held.push(toTensorFlow(binding, inputs.get(spec.name)!));
    const tensorOf = (name: string): string => given.find(({ spec }) => spec.name === name)!.tensor;
    results = binding.runSavedModel(session, held, wanted.map(({ tensor }) => tensor).join(','), outputs.map(tensorOf).join(','));
  } finally {
    for (const id of held) binding.deleteTensor(id);
  }
  const answer = new Map<string, Tensor>();
  for (const [index, name] of outputs.entries()) answer.set(name, fromTensorFlow(binding, name, results[index]!));
  return answer;
}

function toSignature({ inputs, outputs }: SavedSignature): Signature {
  return { inputs: inputs.map(({ spec }) => spec), outputs: outputs.map(({ spec }) => spec) };
}

async function load(options: LoadOptions): Promise<LoadedModel> {
  const { folder, signature: wanted } = options;
  const graph = await readSavedModel(folder);
  const signature = chooseSignature(graph, wanted);
  /** The others that can be served, too; the same once more by its own name where it is taken for being the only one. */
  const others = [...graph.signatures]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([name, each]) =>
      each instanceof SlipwayError || (each === signature && (name === wanted || name === DEFAULT_SIGNATURE))
        ? []
        : [[name, each] as const],
    );
  const named = new Map(others);
  const tensorflow = openTensorFlow(options);
  const session = openSession(tensorflow.binding, folder, graph.tags);
  return {
    signature: toSignature(signature),
    ...(others.length > 0 && { signatures: Object.fromEntries(others.map(([name, each]) => [name, toSignature(each)])) }),
    backend: tensorflow.device,
    device: tensorflow.device,
    reason: reasonOf(tensorflow),
    async run(inputs, outputs, signatureName) {
      if (outputs.length === 0) return new Map();
      const asked = signatureName === undefined ? signature : named.get(signatureName);
      if (asked === undefined) throw new SlipwayError('SIGNATURE_NOT_FOUND', `The SavedModel has no signature "${signatureName}".`);
      try {
        return runSession(tensorflow, session, asked, inputs, outputs);
      } catch (error) {
        if (error instanceof SlipwayError) throw error;
        throw new SlipwayError('INFERENCE_FAILED', `TensorFlow failed: ${saidBy(error)}.`, { cause: error });
      }
    },
    dispose: async () => tensorflow.binding.deleteSavedModel(session),
  };
}

/** SavedModels on native TensorFlow. It computes on the calling thread, so it belongs into a runner process. */
export const tensorflowEngine: Engine = { name: 'tensorflow', formats: ['saved-model'], load };
