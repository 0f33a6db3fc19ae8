import fc from 'fast-check';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDeclaredValues } from '../../../../src/engines/onnx/declared-values.ts';
import { floatInitializer, node, onnxModel } from '../../../helpers/onnx-model.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

describe('readDeclaredValues', () => {
  it('reads names, types and whether there is a shape, past weights larger than its window', async () => {
    const file = join(await temporaryFolder(), 'model.onnx');
    await writeFile(
      file,
      onnxModel({
        inputs: [
          { name: 'grüße', type: 'FP32', shape: [] },
          { name: 'open', type: 'BF16' },
          { name: 'list', type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } } },
        ],
        outputs: [{ name: 'y'.repeat(70_000), type: 'INT64', shape: ['n'] }],
        nodes: [node('Identity', ['grüße'], ['y'])],
        initializers: [
          floatInitializer(
            'large',
            [100_000],
            Array.from({ length: 100_000 }, (_, index) => index),
          ),
        ],
      }),
    );
    expect(readDeclaredValues(file)).toEqual({
      inputs: [
        { name: 'grüße', type: 'float32', hasShape: true },
        { name: 'open', type: 'bfloat16', hasShape: false },
        { name: 'list', type: 'sequence', hasShape: false },
      ],
      outputs: [{ name: 'y'.repeat(70_000), type: 'int64', hasShape: true }],
    });
  });

  it('ends on any bytes, with an answer or an error', async () => {
    const file = join(await temporaryFolder(), 'model.onnx');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (content) => {
        await writeFile(file, content);
        try {
          readDeclaredValues(file);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 200 },
    );
  });
});
