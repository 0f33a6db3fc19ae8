import { messageOf, SlipwayError } from '../../errors/slipway-error.ts';

/** What of an adapter is shown to users; see the WebGPU standard, GPUAdapterInfo. */
interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** Of Dawn, the version of the driver. */
  readonly description: string;
  /** True of one in software. */
  readonly isFallbackAdapter: boolean;
}

interface Gpu {
  requestAdapter(): Promise<{ readonly info: AdapterInfo } | null>;
}

/** Dawn's entry for Node, as far as Slipway calls it. */
interface DawnPackage {
  readonly globals: object;
  /** @param flags `name=value` */
  create(flags: readonly string[]): Gpu;
}

/** A GPU in words. */
export interface Adapter {
  readonly name: string;
  readonly driver: string;
  readonly isSoftware: boolean;
}

async function loadDawn(): Promise<DawnPackage> {
  try {
    return await import('webgpu');
  } catch (error) {
    throw new SlipwayError('ENGINE_UNAVAILABLE', `the optional npm package webgpu cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws SlipwayError ENGINE_UNAVAILABLE when there is no GPU that WebGPU can use */
export async function openGpu(): Promise<{ readonly gpu: Gpu; readonly globals: object; readonly adapter: Adapter }> {
  const { create, globals } = await loadDawn();
  const gpu = create([]);
  const found = await gpu.requestAdapter();
  if (found === null) throw new SlipwayError('ENGINE_UNAVAILABLE', 'there is no GPU that WebGPU can use');
  const { vendor, architecture, device, description, isFallbackAdapter } = found.info;
  const name = [vendor, architecture, device].filter((each) => each !== '').join(' ');
  return { gpu, globals, adapter: { name, driver: description, isSoftware: isFallbackAdapter } };
}

export async function adapterInfo(): Promise<Adapter> {
  return (await openGpu()).adapter;
}
