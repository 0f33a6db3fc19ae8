/*
 * Versions as Python's packages have them (https://packaging.python.org/specifications/version-specifiers/), as far as
 * TensorFlow and NVIDIA use them: numbers with dots, and what comes before a release marked by letters.
 */

/** Whether it is a release and not a candidate, a nightly build or the like. */
export function isRelease(version: string): boolean {
  return /^\d+(\.\d+)*(\.post\d+)?$/.test(version);
}

/** Negative when `a` is older than `b`, 0 when they are equal. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = numberOf(left[index]) - numberOf(right[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numberOf(part: string | undefined): number {
  return Number.parseInt((part ?? '0').replace('post', ''), 10) || 0;
}

const CHECKS: Readonly<Record<string, (difference: number) => boolean>> = {
  '==': (difference) => difference === 0,
  '!=': (difference) => difference !== 0,
  '>=': (difference) => difference >= 0,
  '<=': (difference) => difference <= 0,
  '>': (difference) => difference > 0,
  '<': (difference) => difference < 0,
};

/** Whether a version fits, e.g. `<13.0,>=12.5.3.2`. A clause that is not understood is not fulfilled. */
export function fits(version: string, specifier: string): boolean {
  return specifier
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .every((clause) => {
      const [, operator = '', bound = ''] = /^(==|!=|>=|<=|>|<)\s*([\w.]+)$/.exec(clause) ?? [];
      return CHECKS[operator]?.(compareVersions(version, bound)) ?? false;
    });
}
