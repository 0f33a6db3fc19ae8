import type { InferenceSession } from 'onnxruntime-node';

/** ONNX Runtime's level "fatal". What it logs as errors it also throws, and Slipway reports that once, cleaned up. */
const LOG_FATAL = 4;

/** How every graph is opened. @param threads for one run */
export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: LOG_FATAL,
  };
}
