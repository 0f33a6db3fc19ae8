import { compareVersions } from './versions.ts';

/** What the name of a wheel says (https://packaging.python.org/specifications/binary-distribution-format/). */
export interface WheelName {
  readonly file: string;
  /** As it is written in names of wheels, e.g. `tensorflow_cpu`. */
  readonly distribution: string;
  readonly version: string;
  /** E.g. `manylinux_2_27_x86_64`. */
  readonly platforms: readonly string[];
}

export function parseWheelName(file: string): WheelName | undefined {
  const match = /^([^-]+)-([^-]+)(?:-\d[^-]*)?-[^-]+-[^-]+-([^-]+)\.whl$/.exec(file);
  if (match === null) return undefined;
  return { file, distribution: match[1]!.toLowerCase(), version: match[2]!, platforms: match[3]!.split('.') };
}

/** The glibc that the older names of platforms stand for (PEP 600). */
const LEGACY_GLIBC: Readonly<Record<string, string>> = { manylinux1: '2.5', manylinux2010: '2.12', manylinux2014: '2.17' };

/**
 * Why a wheel does not run on a machine; undefined when it does.
 * @param architecture as wheels call it, e.g. `x86_64`.
 */
export function whyNotFor({ file, platforms }: WheelName, architecture: string, glibc: string): string | undefined {
  if (platforms.includes('any')) return undefined;
  const ours = platforms.filter((each) => /^(many)?linux/.test(each) && each.endsWith(`_${architecture}`));
  if (ours.length === 0) return `${file} is for ${platforms.join(', ')}; this machine is Linux on ${architecture}.`;
  const needed = ours.map((each) => {
    const [, major, minor] = /^manylinux_(\d+)_(\d+)_/.exec(each) ?? [];
    return major === undefined ? (LEGACY_GLIBC[each.slice(0, each.indexOf('_'))] ?? '0') : `${major}.${minor}`;
  });
  const least = needed.toSorted(compareVersions)[0]!;
  return compareVersions(glibc, least) < 0 ? `${file} needs glibc ${least} or newer; this system has ${glibc}.` : undefined;
}
