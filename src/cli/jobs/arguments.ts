import { readFile } from 'node:fs/promises';
import { hasCode } from '../../errors/has-code.ts';
import { messageOf } from '../../errors/slipway-error.ts';

/*
 * What the commands that have jobs done take alike.
 */

/** As shells say that Ctrl-C has ended a program. */
export const EXIT_INTERRUPTED = 130;

/** A JSON object in a file. @throws Error with a line for the person who named it */
export async function readSpec(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(hasCode(error, 'ENOENT') ? `there is no file ${file}` : `${file}: ${messageOf(error)}`, { cause: error });
  }
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) throw new Error(`${file} must be a JSON object`);
  return spec as Record<string, unknown>;
}
