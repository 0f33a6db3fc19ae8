import type { InferenceSession } from 'onnxruntime-node';
import type { DeviceKind } from '../engine.ts';

/** ONNX Runtime's level "fatal". What it logs as errors it also throws, and Slipway reports that once, cleaned up. */
const LOG_FATAL = 4;

/** What of ONNX Runtime computes, by the device that it is for. What those of GPUs have no kernel for, they leave to the CPU. */
const PROVIDERS = { cpu: 'cpu', webgpu: 'webgpu', cuda: 'cuda', coreml: 'coreml', directml: 'dml' } as const satisfies Record<
  DeviceKind,
  string
>;

/** How every graph is opened. @param threads for one run */
export function sessionOptions(threads: number, device: DeviceKind = 'cpu'): InferenceSession.SessionOptions {
  return {
    executionProviders: [PROVIDERS[device]],
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: LOG_FATAL,
  };
}
