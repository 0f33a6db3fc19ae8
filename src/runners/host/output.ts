import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is cut into several. */
const MAX_LINE_CHARS = 4_096;
const KEPT_LINES = 20;
/** Lines passed on in one second; a runner in an endless loop must not fill the log or take the server's time. */
const MAX_LINES_PER_SECOND = 100;

export interface Output {
  /** The last lines that were printed, oldest first; at most 20. */
  readonly lastLines: readonly string[];
}

/** Cuts what a runner prints into lines. Reads on for ever, since a full pipe would block the runner. */
export function captureOutput(stream: Readable, onLine: (line: string) => void): Output {
  const decoder = new StringDecoder('utf8');
  const lastLines: string[] = [];
  let rest = '';
  let second = 0;
  let passed = 0;
  let dropped = 0;

  function pass(line: string): void {
    const now = Math.floor(performance.now() / 1_000);
    if (now !== second) {
      if (dropped > 0) onLine(`(${dropped} more lines were printed and left out)`);
      second = now;
      passed = 0;
      dropped = 0;
    }
    if (passed >= MAX_LINES_PER_SECOND) dropped += 1;
    else onLine(line);
    passed += 1;
  }

  function take(line: string): void {
    const text = line.trimEnd();
    if (text === '') return;
    lastLines.push(text);
    if (lastLines.length > KEPT_LINES) lastLines.shift();
    pass(text);
  }

  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines)
      for (let start = 0; start < line.length; start += MAX_LINE_CHARS) take(line.slice(start, start + MAX_LINE_CHARS));
    while (rest.length > MAX_LINE_CHARS) {
      take(rest.slice(0, MAX_LINE_CHARS));
      rest = rest.slice(MAX_LINE_CHARS);
    }
  });
  stream.on('end', () => {
    take(rest + decoder.end());
    if (dropped > 0) onLine(`(${dropped} more lines were printed and left out)`);
  });
  // The pipe's own failure says nothing that the end of the process does not.
  stream.on('error', () => {});
  return { lastLines };
}
