import { SlipwayError } from '../errors/slipway-error.ts';

const MAX_NAME_BYTES = 255;
const MAX_DEPTH = 16;

/** A name in an error message, short and without control characters. */
function shown(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

export function invalidEntry(name: string, problem: string): SlipwayError {
  return new SlipwayError('INVALID_ARCHIVE', `The archive entry ${shown(name)} ${problem}.`);
}

/** The part of a path that some file system would read as something else: a drive, a device, another folder. */
function partProblem(part: string): string | undefined {
  if (part === '' || part === '.') return 'has an empty part in its path';
  if (part === '..') return 'leads out of the archive';
  if (Buffer.byteLength(part) > MAX_NAME_BYTES) return `has a name of more than ${MAX_NAME_BYTES} bytes`;
  return undefined;
}

/**
 * The parts of an entry's path.
 * @throws SlipwayError INVALID_ARCHIVE for a path that could lead out of the target folder, on any file system.
 */
export function entryParts(name: string): string[] {
  if (name.startsWith('/')) throw invalidEntry(name, 'has an absolute path');
  if (/^[A-Za-z]:/.test(name)) throw invalidEntry(name, 'names a drive');
  if (name.includes('\\')) throw invalidEntry(name, 'has a backslash in its path');
  // oxlint-disable-next-line no-control-regex -- exactly these are refused
  if (/[\u0000-\u001f\u007f]/.test(name)) throw invalidEntry(name, 'has a control character in its path');
  const parts = name
    .replace(/^(?:\.\/)+/, '')
    .replace(/\/$/, '')
    .split('/');
  if (parts.length > MAX_DEPTH) throw invalidEntry(name, `lies more than ${MAX_DEPTH} folders deep`);
  for (const part of parts) {
    const problem = partProblem(part);
    if (problem !== undefined) throw invalidEntry(name, problem);
  }
  return parts;
}

/** Remembers the files and folders of an archive and refuses a second one of the same name, in any case. */
export function createNameCheck(): (name: string, parts: readonly string[]) => void {
  const files = new Set<string>();
  const folders = new Set<string>();
  return (name, parts) => {
    const keys = parts.map((_part, index) =>
      parts
        .slice(0, index + 1)
        .join('/')
        .normalize('NFC')
        .toLowerCase(),
    );
    const own = keys.pop()!;
    if (files.has(own) || folders.has(own)) throw invalidEntry(name, 'is there twice');
    for (const folder of keys) {
      if (files.has(folder)) throw invalidEntry(name, 'lies inside a file');
      folders.add(folder);
    }
    files.add(own);
  };
}
