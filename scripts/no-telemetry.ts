/**
 * Imported before onnxruntime-node: from 1.29 on it reports to its maker unless it is told not to. The server tells its
 * runners; programs that load it into their own process import this.
 */
process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
