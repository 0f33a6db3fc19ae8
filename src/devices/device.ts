/** What a device has and who uses it, in bytes. */
export interface DeviceMemory {
  readonly totalBytes: number;
  /** By this server and the processes that it has started. */
  readonly usedByUsBytes: number;
  /** By whoever else is on the machine. */
  readonly usedByOthersBytes: number;
}

/** Something that models can run on. */
export interface Device {
  /** `cpu`, `cuda:0` for NVIDIA's first GPU, `webgpu:0` for the one that WebGPU takes, which may be the same. */
  readonly id: string;
  readonly kind: 'cpu' | 'cuda' | 'webgpu';
  /** As the manufacturer calls it. */
  readonly name: string;
  /** Version of the driver; undefined for a CPU. */
  readonly driver: string | undefined;
  /** Of a CPU: the cores that this process may use. */
  readonly cores: number | undefined;
  /** Undefined where nothing tells it: WebGPU does not. */
  readonly memory: DeviceMemory | undefined;
}

/** The devices of this machine. */
export interface Devices {
  readonly devices: readonly Device[];
  /** Why no GPU is listed; undefined when one is. */
  readonly withoutGpu: string | undefined;
}
