import { readInstallation } from '../native/installation.ts';
import { withoutWebGpu } from './webgpu.ts';

/** Something that an engine can compute on. */
export interface BackendHere {
  /** As the manifest names it. */
  readonly backend: string;
  readonly device: 'cpu' | 'cuda' | 'webgpu';
  /** Undefined where only a try can tell. */
  readonly available: boolean | undefined;
  /** What it is, or why it is not there, in words for users. */
  readonly reason: string;
}

export interface EngineHere {
  readonly engine: 'onnx' | 'tfjs' | 'tensorflow';
  readonly backends: readonly BackendHere[];
}

function tensorflowHere(folder: string): readonly Omit<BackendHere, 'backend'>[] {
  const found = readInstallation(folder);
  if (found.state !== 'installed') {
    const reason = found.state === 'unusable' ? found.problem : 'Native TensorFlow is not installed. Run: npx slipway native install';
    return [
      { device: 'cuda', available: false, reason },
      { device: 'cpu', available: false, reason },
    ];
  }
  const { tensorflow, variant } = found.installation;
  const hasCuda = variant === 'cuda';
  return [
    {
      device: 'cuda',
      available: hasCuda,
      reason: hasCuda
        ? `TensorFlow ${tensorflow} with CUDA; it falls back to the CPU where it finds no GPU.`
        : `TensorFlow ${tensorflow} is installed without CUDA. Run: npx slipway native install --cuda`,
    },
    { device: 'cpu', available: true, reason: `TensorFlow ${tensorflow}.` },
  ];
}

/**
 * The engines, and what each of them can compute on here.
 * @param folder of native TensorFlow
 */
export function enginesHere(folder: string, env: Readonly<NodeJS.ProcessEnv>): readonly EngineHere[] {
  const tensorflow = tensorflowHere(folder);
  const noWebGpu = withoutWebGpu(env);
  const webgpu = (reason: string): BackendHere => ({
    backend: 'webgpu',
    device: 'webgpu',
    available: noWebGpu === undefined ? undefined : false,
    reason: noWebGpu ?? reason,
  });
  return [
    {
      engine: 'onnx',
      backends: [
        webgpu('ONNX Runtime’s WebGPU provider; needs a GPU with Vulkan, Metal or Direct3D 12.'),
        { backend: 'cpu', device: 'cpu', available: true, reason: 'ONNX Runtime’s CPU provider.' },
      ],
    },
    { engine: 'tensorflow', backends: tensorflow.map((each) => ({ backend: each.device, ...each })) },
    {
      engine: 'tfjs',
      backends: [
        ...tensorflow.map((each) => ({ backend: 'tensorflow', ...each })),
        webgpu('tfjs on WebGPU by Dawn (the npm package webgpu); needs a GPU with Vulkan, Metal or Direct3D 12.'),
        { backend: 'wasm', device: 'cpu', available: true, reason: 'WebAssembly with SIMD.' },
        { backend: 'cpu', device: 'cpu', available: true, reason: 'Plain JavaScript, which is slow.' },
      ],
    },
  ];
}
