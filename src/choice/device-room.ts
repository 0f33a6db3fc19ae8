import { SlipwayError } from '../errors/slipway-error.ts';
import type { Logger } from '../observability/log.ts';
import { mapInfo } from '../runners/map-info.ts';
import { labelOf, type Placement, type Runner, type RunnerLauncher } from '../runners/runner.ts';
import { createSwitchingRunner } from '../runners/switching.ts';

export interface DeviceRoomOptions {
  readonly launcher: RunnerLauncher;
  /** As the setting `devices.gpuBudgetBytes`. */
  readonly budgetBytes: number | undefined;
  /** As the setting `devices.onMissing`: whether a model that asks for a GPU may run on the CPU. */
  readonly onMissing: 'fallback' | 'refuse';
  /** What processes take of the memory of their GPU, in bytes, for libraries that do not tell; undefined where nothing does. */
  readonly bytesOf: (pids: readonly number[]) => Promise<number | undefined>;
  readonly logger: Logger;
}

export interface DeviceRoom extends RunnerLauncher {
  /** What the models on a kind of device take of its memory, in bytes; undefined where one of them is not told. */
  readonly usedBytes: (device: string) => number | undefined;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * A launcher that keeps the models on GPUs within the memory that is there: one that does not fit, when it is loaded or when it
 * runs, goes over to the CPU. A request that fails for it is answered there, and none is lost.
 */
export function createDeviceRoom({ launcher, budgetBytes, onMissing, bytesOf, logger }: DeviceRoomOptions): DeviceRoom {
  /** What each runner on a GPU takes, by the device. */
  const residents = new Map<Runner, { readonly device: string; readonly bytes: number | undefined }>();

  function usedBytes(device: string): number | undefined {
    let total: number | undefined = 0;
    for (const [runner, resident] of residents) {
      if (resident.device !== device || total === undefined) continue;
      const bytes: number | undefined = runner.deviceBytes ?? resident.bytes;
      total = bytes === undefined ? undefined : total + bytes;
    }
    return total;
  }

  /** @throws SlipwayError DEVICE_OUT_OF_MEMORY when it takes more than the others leave. */
  async function settle(runner: Runner): Promise<void> {
    const { device } = await runner.ready();
    if (device === 'cpu') return;
    const pids = runner.instances.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    const bytes = runner.deviceBytes ?? (await bytesOf(pids));
    const others = usedBytes(device) ?? 0;
    residents.set(runner, { device, bytes });
    if (budgetBytes === undefined || bytes === undefined || others + bytes <= budgetBytes) return;
    throw new SlipwayError(
      'DEVICE_OUT_OF_MEMORY',
      `It takes ${megabytes(bytes)} of the memory of the device ${device}; of the budget of ${megabytes(budgetBytes)} other models hold ${megabytes(others)} (setting devices.gpuBudgetBytes).`,
    );
  }

  function launchOnGpu(placement: Placement): Runner {
    const mayLeave = onMissing === 'fallback' || (placement.wishedBy ?? 'manifest') !== 'manifest';
    const onGpu = launcher.launch(placement);

    function leaveGpu(error: unknown): Runner | undefined {
      if (!(error instanceof SlipwayError && error.code === 'DEVICE_OUT_OF_MEMORY' && mayLeave)) return undefined;
      residents.delete(onGpu);
      logger.warn({ runner: labelOf(placement), reason: error.message }, 'a model leaves a GPU for want of memory');
      const { backend: _backend, ...rest } = placement;
      const onCpu = launcher.launch({ ...rest, device: 'cpu' });
      return mapInfo(onCpu, (info) => ({ ...info, reason: `${info.reason} It does not run on a GPU: ${error.message}` }));
    }

    return createSwitchingRunner({
      preparing: 'It is being seen whether the model fits into the memory of the GPU.',
      async prepare() {
        try {
          await settle(onGpu);
          return onGpu;
        } catch (error) {
          const onCpu = leaveGpu(error);
          residents.delete(onGpu);
          await onGpu.stop();
          if (onCpu === undefined) throw error;
          return onCpu;
        }
      },
      elsewhere: leaveGpu,
      onStop() {
        residents.delete(onGpu);
        return onGpu.stop();
      },
    });
  }

  return {
    usedBytes,
    launch(placement) {
      const { device, backend } = placement;
      const mayBeOnGpu = (device !== undefined && device !== 'cpu') || backend === 'webgpu' || backend === 'tensorflow';
      return mayBeOnGpu ? launchOnGpu(placement) : launcher.launch(placement);
    },
  };
}
