import { createRequire } from 'node:module';
import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';
import type { DeviceKind } from '../engine.ts';
import { type Installation, readInstallation } from '../../native/installation.ts';

/** A tensor that TensorFlow holds. */
export interface HeldTensor {
  readonly id: number;
  readonly shape: number[];
  /** TensorFlow's number of the dtype (types.proto). */
  readonly dtype: number;
}

/** An attribute of an operator, with the number of its kind (`TF_ATTR_…`). */
export interface OperatorAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** The native part of tfjs-node (binding/tfjs_binding.cc), as far as Slipway calls it. It computes on the calling thread. */
export interface TensorFlowBinding {
  readonly TF_ATTR_TYPE: number;
  readonly TF_Version: string;
  /** @param values int64 as pairs of 32-bit halves; strings as a list of their bytes. @returns the tensor's id. */
  createTensor(shape: readonly number[], dtype: number, values: ArrayBufferView | readonly Uint8Array[]): number;
  deleteTensor(id: number): void;
  /** A copy. float32, int32, int64 and bool as typed arrays, strings as a list of their bytes. */
  tensorDataSync(id: number): Float32Array | Int32Array | BigInt64Array | Uint8Array | Uint8Array[];
  executeOp(name: string, attributes: readonly OperatorAttribute[], inputs: readonly number[], outputs: number): HeldTensor[];
  isUsingGpuDevice(): boolean;
  getNumOfTensors(): number;
  /** @param tags with commas between them. @returns the session's id. */
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(session: number): void;
  /** @param feeds and @param fetches names of tensors, `name:0`, with commas between them. */
  runSavedModel(session: number, inputs: readonly number[], feeds: string, fetches: string): HeldTensor[];
}

export interface NativeTensorFlow {
  readonly binding: TensorFlowBinding;
  readonly installation: Installation;
  /** The device that it takes first. */
  readonly device: DeviceKind;
  /** Whether it was to look for GPUs. */
  readonly looked: boolean;
}

/** How it is to be loaded. */
export interface TensorFlowOptions {
  /** As the setting `tensorflow.folder`; undefined where there is none for this process. */
  readonly tensorflowFolder?: string | undefined;
  readonly threads?: number | undefined;
  /** With `cpu` it does not look for GPUs. */
  readonly device?: DeviceKind | undefined;
}

/** TensorFlow's level "error": it tells its start and its choice of kernels at the levels below. */
const LOG_ERRORS = '2';

let opened: NativeTensorFlow | undefined;

/** TensorFlow reads these once, when it is loaded; there is no other way to tell it. */
function tell({ threads = 1, device }: TensorFlowOptions): void {
  process.env['TF_NUM_INTRAOP_THREADS'] = String(threads);
  process.env['TF_NUM_INTEROP_THREADS'] = '1';
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= LOG_ERRORS;
  // Two threads of it spin for work; a runner that has two cores or fewer would only wait for itself.
  process.env['OMP_NUM_THREADS'] ??= String(threads);
  if (device === 'cpu') process.env['CUDA_VISIBLE_DEVICES'] = '-1';
  // Otherwise it takes all memory of a GPU at once, and no other process finds any.
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
}

/** What it runs on, in words for users. */
export function reasonOf({ device, looked, installation }: NativeTensorFlow): string {
  const { tensorflow, variant } = installation;
  if (device === 'cuda') return `TensorFlow ${tensorflow} on a GPU.`;
  return `TensorFlow ${tensorflow} on the CPU${variant === 'cuda' && looked ? ', for it has found no GPU that it can use' : ''}.`;
}

/**
 * Loads native TensorFlow into this process, once: it stays, with the options that it was first given.
 * @throws SlipwayError ENGINE_UNAVAILABLE with what is missing or does not fit.
 */
export function openTensorFlow(options: TensorFlowOptions): NativeTensorFlow {
  if (opened !== undefined) return opened;
  const { tensorflowFolder: folder } = options;
  const found = folder === undefined ? { state: 'absent' as const } : readInstallation(folder);
  if (found.state === 'absent') {
    throw new SlipwayError('ENGINE_UNAVAILABLE', 'Native TensorFlow is not installed. Run: npx slipway native install');
  }
  if (found.state === 'unusable') throw new SlipwayError('ENGINE_UNAVAILABLE', found.problem);
  const { installation } = found;
  tell(options);
  let binding: TensorFlowBinding;
  try {
    binding = createRequire(import.meta.url)(installation.binding) as TensorFlowBinding;
  } catch (error) {
    throw new SlipwayError(
      'ENGINE_UNAVAILABLE',
      `Native TensorFlow in ${installation.folder} cannot be loaded: ${messageOf(error)}. Run: npx slipway native install`,
      { cause: error },
    );
  }
  opened = { binding, installation, device: binding.isUsingGpuDevice() ? 'cuda' : 'cpu', looked: options.device !== 'cpu' };
  return opened;
}
