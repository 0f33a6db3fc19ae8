import type { InferenceSession } from 'onnxruntime-node';

/** ONNX Runtime's level "fatal". What it logs as errors it also throws, and Slipway reports that once, cleaned up. */
const LOG_FATAL = 4;

/** What of ONNX Runtime computes. What the one for GPUs has no kernel for, it leaves to the CPU. */
export type Provider = 'cpu' | 'webgpu';

/** How every graph is opened. @param threads for one run */
export function sessionOptions(threads: number, provider: Provider = 'cpu'): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: LOG_FATAL,
  };
}
