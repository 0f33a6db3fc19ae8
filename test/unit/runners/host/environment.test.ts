import { describe, expect, it } from 'vitest';
import { runnerEnvironment } from '../../../../src/runners/host/environment.ts';

describe('the environment of a runner', () => {
  it('has what loaders, Node and devices read, and no secrets', () => {
    const env = runnerEnvironment(
      {
        PATH: '/bin',
        LD_LIBRARY_PATH: '/cuda',
        NODE_OPTIONS: '--trace-gc',
        CUDA_VISIBLE_DEVICES: '0',
        AWS_SECRET_ACCESS_KEY: 's',
        SLIPWAY_PORT: '1',
        HOME: undefined,
      },
      '/cache',
    );
    expect(env).toEqual({
      PATH: '/bin',
      LD_LIBRARY_PATH: '/cuda',
      NODE_OPTIONS: '--trace-gc',
      CUDA_VISIBLE_DEVICES: '0',
      NODE_COMPILE_CACHE: '/cache',
      ORT_DISABLE_TELEMETRY: '1',
    });
  });

  it('lets ONNX Runtime report to its maker only where the user says so', () => {
    expect(runnerEnvironment({}, undefined)['ORT_DISABLE_TELEMETRY']).toBe('1');
    expect(runnerEnvironment({ ORT_DISABLE_TELEMETRY: '0' }, undefined)['ORT_DISABLE_TELEMETRY']).toBe('0');
  });

  it('keeps a compile cache that the user has chosen', () => {
    expect(runnerEnvironment({ NODE_COMPILE_CACHE: '/mine' }, undefined)['NODE_COMPILE_CACHE']).toBe('/mine');
    expect(runnerEnvironment({}, undefined)['NODE_COMPILE_CACHE']).toMatch(/node-compile-cache$/);
  });
});
