/** What of this machine decides which build of TensorFlow runs on it. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Version of glibc, e.g. `2.36`; undefined where the C library is another one. */
  readonly glibc: string | undefined;
}

/** What Python's wheels call the processors that TensorFlow is built for. */
const WHEEL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

export function thisMachine(): Machine {
  // Without it the report looks up the names of all open connections.
  Object.assign(process.report, { excludeNetwork: true });
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return { platform: process.platform, arch: process.arch, glibc: header.glibcVersionRuntime };
}

/** What wheels call this machine's processor, e.g. `x86_64`; undefined when TensorFlow is not built for it. */
export function wheelArchitecture({ arch }: Machine): string | undefined {
  return WHEEL_ARCHITECTURES[arch];
}

/** Why native TensorFlow can't be had on a machine; undefined where it can. */
export function whyNotHere(machine: Machine): string | undefined {
  const { platform, arch, glibc } = machine;
  if (platform !== 'linux') return `Native TensorFlow is installed on Linux only; this is ${platform}.`;
  if (wheelArchitecture(machine) === undefined) return `TensorFlow is built for x64 and arm64; this machine is ${arch}.`;
  if (glibc === undefined)
    return 'TensorFlow’s libraries are built for glibc, and this system has another C library (such as musl on Alpine). Use Debian or Ubuntu.';
  return undefined;
}
