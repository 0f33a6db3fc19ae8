import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { captureOutput } from '../../../../src/runners/host/output.ts';

async function capture(...chunks: (string | Buffer)[]): Promise<{ lines: string[]; lastLines: readonly string[] }> {
  const stream = new PassThrough();
  const lines: string[] = [];
  const { lastLines } = captureOutput(stream, (line) => lines.push(line));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await finished(stream);
  return { lines, lastLines };
}

describe('captured output', () => {
  it('comes line by line, whatever the chunks, without empty lines', async () => {
    const { lines } = await capture('one\ntw', 'o\n\n  \nthree\r\n', 'four');
    expect(lines).toEqual(['one', 'two', 'three', 'four']);
  });

  it('keeps characters whole that a chunk cuts', async () => {
    const bytes = Buffer.from('größe\n');
    const { lines } = await capture(bytes.subarray(0, 3), bytes.subarray(3));
    expect(lines).toEqual(['größe']);
  });

  it('keeps the last 20 lines', async () => {
    const { lastLines } = await capture(Array.from({ length: 50 }, (_, index) => `line ${index}\n`).join(''));
    expect(lastLines).toHaveLength(20);
    expect(lastLines.at(-1)).toBe('line 49');
  });

  it('cuts a line that never ends', async () => {
    const { lines } = await capture('x'.repeat(10_000));
    expect(lines.map(({ length }) => length)).toEqual([4_096, 4_096, 1_808]);
  });

  it('leaves a flood of lines out and says how many', async () => {
    const { lines } = await capture('again\n'.repeat(5_000));
    expect(lines.length).toBeLessThan(500);
    expect(lines.at(-1)).toMatch(/more lines were printed and left out/);
  });
});
