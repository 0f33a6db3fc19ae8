import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createEntryWriter } from '../../../src/packages/entry-writer.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const LIMITS = { maxUnpackedBytes: 10, maxFiles: 3, maxCompressedBytes: 1_000 };

describe('createEntryWriter', () => {
  it('counts the bytes that come, whatever size is stated', async () => {
    const writer = createEntryWriter(await temporaryFolder(), LIMITS);
    await writer.write('a', Readable.from([Buffer.alloc(6)]), 6);
    const more = Readable.from([Buffer.alloc(3), Buffer.alloc(3)]);
    await expect(writer.write('b', more, 1)).rejects.toMatchObject({
      code: 'ARCHIVE_TOO_LARGE',
      message: expect.stringContaining('10 bytes'),
    });
  });

  it('writes nothing of a file that is too large by its stated size', async () => {
    const folder = await temporaryFolder();
    const writer = createEntryWriter(folder, LIMITS);
    await writer.write('a', Readable.from([Buffer.alloc(6)]), 6);
    await expect(writer.write('b', Readable.from([]), 5)).rejects.toMatchObject({ code: 'ARCHIVE_TOO_LARGE' });
    expect(await readdir(folder)).toEqual(['a']);
    expect(writer.unpacked).toMatchObject({ bytes: 6 });
  });
});
