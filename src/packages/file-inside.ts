import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import { SlipwayError } from '../errors/slipway-error.ts';

interface Reference {
  /** What kind of file it is, e.g. `weight file`. */
  readonly what: string;
  /** The file that names it. */
  readonly namedBy: string;
}

/**
 * The real path of a file that a model's file names. Models come from uploads too, so a path must never lead out of the
 * version folder, by its text or by a link.
 * @throws SlipwayError INVALID_MODEL when it does, or when there is no such file.
 */
export async function fileInside(folder: string, path: string, { what, namedBy }: Reference): Promise<string> {
  const refuse = (problem: string): SlipwayError =>
    new SlipwayError('INVALID_MODEL', `${namedBy} names the ${what} "${path}", which ${problem}.`);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) throw refuse(`is a URL; ${what}s must lie beside it`);
  if (path.includes('\0')) throw refuse('is no file name');
  if (isAbsolute(path) || /^[a-z]:/i.test(path)) throw refuse(`is an absolute path; ${what}s must lie beside it`);
  if (path.split(/[/\\]/).includes('..')) throw refuse('leads out of the version folder');
  let file: string;
  try {
    file = await realpath(join(folder, path));
  } catch (error) {
    throw new SlipwayError('INVALID_MODEL', `The ${what} "${path}" is missing or cannot be read; ${namedBy} names it.`, { cause: error });
  }
  const inside = relative(await realpath(folder), file);
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw refuse('is a link that leads out of the version folder');
  return file;
}
