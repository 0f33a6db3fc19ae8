import { mkdir, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanErrorText } from '../../../../src/engines/onnx/error-text.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const FOLDER = '/srv/models/digits/1';

describe('cleanErrorText', () => {
  it.each([
    ['Load model from /srv/models/digits/1/model.onnx failed:Protobuf parsing failed.', 'Protobuf parsing failed.'],
    [
      'Load model from /srv/models/digits/1/model.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const std::function<void(int)>&) Unsupported model IR version: 99, max supported IR version: 13\n',
      'Unsupported model IR version: 99, max supported IR version: 13',
    ],
    ['External data path does not exist: "/srv/models/digits/1/weights.bin"', 'External data path does not exist: "weights.bin"'],
    [
      'Exception during initialization: /onnxruntime_src/onnxruntime/core/optimizer/initializer.cc:51 onnxruntime::Initializer::Initializer(const A&) const [ONNXRuntimeError] : 1 : FAIL : tensorprotoutils.cc:1763 GetExtDataFromTensorProto External initializer: k',
      'External initializer: k',
    ],
    ['plain words (with parentheses) stay.', 'plain words (with parentheses) stay.'],
    ['a source /onnxruntime_src/x.cc:1 cut off inside its signature', 'a source cut off inside its signature'],
  ])('takes internals away: %s', (message, cleaned) => {
    expect(cleanErrorText(message, FOLDER)).toBe(cleaned);
  });

  it('takes the folder away by either name when it is a link', async () => {
    const outer = await temporaryFolder();
    await mkdir(join(outer, 'real'));
    const link = join(outer, 'link');
    await symlink('real', link);
    expect(cleanErrorText(`"${join(link, 'a')}" "${join(await realpath(link), 'b')}"`, link)).toBe('"a" "b"');
  });

  it('ends a message that is too long', () => {
    expect(cleanErrorText('x'.repeat(5_000), FOLDER).length).toBeLessThan(1_100);
  });
});
