import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readInstallation } from '../native/installation.ts';
import { withoutWebGpu } from './webgpu.ts';

/** Something that an engine can compute on. */
export interface BackendHere {
  /** As the manifest names it. */
  readonly backend: string;
  readonly device: 'cpu' | 'cuda' | 'webgpu' | 'coreml' | 'directml';
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

const CUDA_PROVIDER = 'libonnxruntime_providers_cuda.so';

/** Whether CUDA's provider lies beside ONNX Runtime: the package leaves it to its install script, which is denied here. */
function hasCudaProvider(): boolean {
  try {
    const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
    const folder = join(root, 'bin', 'napi-v6', process.platform, process.arch);
    return existsSync(join(folder, CUDA_PROVIDER));
  } catch {
    return false;
  }
}

/** The providers beside WebGPU's and the CPU's that ONNX Runtime's package has for this platform. */
function otherProviders(): readonly BackendHere[] {
  switch (process.platform) {
    case 'darwin':
      return [{ backend: 'coreml', device: 'coreml', available: undefined, reason: 'ONNX Runtime’s CoreML provider.' }];
    case 'win32':
      return [{ backend: 'directml', device: 'directml', available: undefined, reason: 'ONNX Runtime’s DirectML provider.' }];
    case 'linux': {
      const isThere = hasCudaProvider();
      const reason = isThere
        ? 'ONNX Runtime’s CUDA provider; needs an NVIDIA GPU, CUDA 12 and cuDNN 9.'
        : `${CUDA_PROVIDER} is not there. Run: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12`;
      return [{ backend: 'cuda', device: 'cuda', available: isThere ? undefined : false, reason }];
    }
    default:
      return [];
  }
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
        ...otherProviders(),
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
