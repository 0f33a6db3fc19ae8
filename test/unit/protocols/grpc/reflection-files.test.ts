import { loadSync } from '@grpc/proto-loader';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Descriptor from 'protobufjs/ext/descriptor/index.js';
import type { IDescriptorProto, IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js';
import { describe, expect, it } from 'vitest';
import { reflectionFiles } from '../../../../src/protocols/grpc/reflection-files.ts';

const { FileDescriptorProto } = createRequire(import.meta.url)('protobufjs/ext/descriptor/index.js') as typeof Descriptor;
const PROTO_FOLDER = fileURLToPath(new URL('../../../../proto', import.meta.url));

function filesOf(...names: string[]): Required<IFileDescriptorProto>[] {
  const definition = Object.assign({}, ...names.map((name) => loadSync(name, { keepCase: true, includeDirs: [PROTO_FOLDER] })));
  const [made] = Object.values(reflectionFiles(definition));
  return (made!.fileDescriptorProtos as Buffer[]).map(
    (bytes) => FileDescriptorProto.decode(bytes) as unknown as Required<IFileDescriptorProto>,
  );
}

function messagesOf(messages: readonly IDescriptorProto[]): IDescriptorProto[] {
  return messages.flatMap((message) => [message, ...messagesOf(message.nestedType ?? [])]);
}

describe('the files that reflection describes', () => {
  const files = filesOf('inference.proto', 'tensorflow_serving.proto');
  const fileNamed = (name: string) => files.find((file) => file.name === name)!;

  it('name the files that they need, which are all there', () => {
    expect(fileNamed('tensorflow_serving.proto').dependency.toSorted()).toEqual([
      'google/protobuf/any.proto',
      'google/protobuf/wrappers.proto',
      'tensorflow.proto',
    ]);
    const names = new Set(files.map(({ name }) => name));
    expect(files.flatMap(({ dependency }) => dependency).filter((name) => !names.has(name))).toEqual([]);
  });

  it('name every type in full', () => {
    const fields = files.flatMap((file) => messagesOf(file.messageType)).flatMap(({ field }) => field ?? []);
    const methods = files.flatMap(({ service }) => service).flatMap(({ method }) => method ?? []);
    const types = [...fields.map(({ typeName }) => typeName), ...methods.flatMap(({ inputType, outputType }) => [inputType, outputType])];
    expect(types).toContain('.inference.ModelInferRequest');
    expect(types.filter((type) => type && !/^\.(inference|tensorflow|google\.protobuf)\./.test(type))).toEqual([]);
  });

  it('name the entries of maps as protoc does', () => {
    const maps = files
      .flatMap((file) => messagesOf(file.messageType))
      .filter(({ options }) => options?.mapEntry)
      .map(({ name }) => name!);
    expect(maps).toEqual(expect.arrayContaining(['PropertiesEntry', 'SignatureDefEntry', 'ResponseStatsEntry']));
    expect(maps.filter((name) => !/^[A-Z][A-Za-z0-9]*Entry$/.test(name))).toEqual([]);
  });
});
