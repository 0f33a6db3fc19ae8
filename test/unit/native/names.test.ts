import { describe, expect, it } from 'vitest';
import { type Machine, whyNotHere } from '../../../src/native/platform.ts';
import { cudaRequirements } from '../../../src/native/unpack-wheel.ts';
import { compareVersions, fits, isRelease } from '../../../src/native/versions.ts';
import { parseWheelName, whyNotFor } from '../../../src/native/wheel-name.ts';

describe('versions', () => {
  it('are compared by their numbers', () => {
    const sorted = ['2.9.1', '2.21.0', '10.0', '2.21', '2.21.0.post1'].toSorted(compareVersions);
    expect(sorted).toEqual(['2.9.1', '2.21.0', '2.21', '2.21.0.post1', '10.0']);
    expect(['2.21.0', '2.21.0rc1', '2.22.0.dev3', '9.1.0.70'].filter(isRelease)).toEqual(['2.21.0', '9.1.0.70']);
  });

  it.each([
    ['12.9.1.4', '<13.0,>=12.5.3.2', true],
    ['13.0.0.1', '<13.0,>=12.5.3.2', false],
    ['12.5.3.1', '<13.0,>=12.5.3.2', false],
    ['1.0', '', true],
    ['1.0', '!=1.0', false],
    ['1.0', '~=1.0', false], // not understood
  ])('%s fits "%s": %s', (version, specifier, expected) => {
    expect(fits(version, specifier)).toBe(expected);
  });
});

describe('names of wheels', () => {
  it('say what runs where', () => {
    const wheel = parseWheelName('tensorflow_cpu-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl')!;
    expect(wheel).toMatchObject({ distribution: 'tensorflow_cpu', version: '2.21.0', platforms: ['manylinux_2_27_x86_64'] });
    expect(whyNotFor(wheel, 'x86_64', '2.36')).toBeUndefined();
    expect(whyNotFor(wheel, 'aarch64', '2.36')).toContain('is for manylinux_2_27_x86_64; this machine is Linux on aarch64');
    expect(whyNotFor(wheel, 'x86_64', '2.26')).toContain('needs glibc 2.27 or newer; this system has 2.26');
  });

  it('may list several platforms, by their old names too', () => {
    const wheel = parseWheelName('nvidia_cudnn_cu12-9.1.0.70-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl')!;
    expect(whyNotFor(wheel, 'x86_64', '2.17')).toBeUndefined();
    expect(whyNotFor(wheel, 'x86_64', '2.16')).toContain('needs glibc 2.17');
    expect(whyNotFor(parseWheelName('a-1-py3-none-win_amd64.whl')!, 'x86_64', '2.36')).toContain('is for win_amd64');
    expect(whyNotFor(parseWheelName('a-1-py3-none-any.whl')!, 'x86_64', '2.36')).toBeUndefined();
    expect(parseWheelName('tensorflow-2.21.0.tar.gz')).toBeUndefined();
  });

  it('of CUDA are what the metadata asks for', () => {
    const metadata = [
      'Requires-Dist: numpy>=1.26.0',
      'Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
      "Requires-Dist: nvidia-nccl-cu12 (<3.0,>=2.27.7) ; (sys_platform == 'linux') and extra == 'and-cuda'",
      'Requires-Dist: nvidia-else; extra == "other"',
    ].join('\n');
    expect(cudaRequirements(metadata)).toEqual([
      { project: 'nvidia-cublas-cu12', versions: '<13.0,>=12.5.3.2' },
      { project: 'nvidia-nccl-cu12', versions: '<3.0,>=2.27.7' },
    ]);
  });
});

describe('machines without native TensorFlow', () => {
  const machine: Machine = { platform: 'linux', arch: 'x64', glibc: '2.36' };
  it('are told why', () => {
    expect(whyNotHere(machine)).toBeUndefined();
    expect(whyNotHere({ ...machine, arch: 'arm64' })).toBeUndefined();
    expect(whyNotHere({ ...machine, glibc: undefined })).toMatch(/glibc.*musl/);
    expect(whyNotHere({ ...machine, platform: 'darwin' })).toContain('darwin');
    expect(whyNotHere({ ...machine, arch: 'riscv64' })).toContain('riscv64');
  });
});
