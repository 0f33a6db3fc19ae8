import { createRequire } from 'node:module';
import type { PackageDefinition } from '@grpc/proto-loader';
import type { IDescriptorProto, IFieldDescriptorProto, IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js';
import type * as Descriptor from 'protobufjs/ext/descriptor/index.js';

// The package says neither that it is CommonJS nor where this part of it lies.
const { FileDescriptorProto } = createRequire(import.meta.url)('protobufjs/ext/descriptor/index.js') as typeof Descriptor;

/** Where protoc's own files have the types of google.protobuf that proto-loader puts into one; the rest are wrappers. */
const WELL_KNOWN_FILES: Readonly<Record<string, string>> = { Any: 'google/protobuf/any.proto' };
const WRAPPERS = 'google/protobuf/wrappers.proto';
const WELL_KNOWN_PACKAGE = 'google.protobuf';

function decodeFiles(definition: PackageDefinition): IFileDescriptorProto[] {
  const files = new Map<string, IFileDescriptorProto>();
  for (const { fileDescriptorProtos } of Object.values(definition)) {
    if (!Array.isArray(fileDescriptorProtos)) continue; // a service has a method of that name at most
    for (const bytes of fileDescriptorProtos) {
      const file = FileDescriptorProto.decode(bytes) as IFileDescriptorProto;
      if (!files.has(file.name!)) files.set(file.name!, file);
    }
  }
  return [...files.values()];
}

function splitWellKnown(file: IFileDescriptorProto): IFileDescriptorProto[] {
  if (file.package !== WELL_KNOWN_PACKAGE) return [file];
  const names = Map.groupBy(file.messageType ?? [], ({ name }) => WELL_KNOWN_FILES[name!] ?? WRAPPERS);
  return [...names].map(([name, messageType]) => ({ ...file, name, messageType }));
}

/** `signature_def` has the entries `SignatureDefEntry`, and readers of descriptors insist on it. */
function entryName(field: string): string {
  return `${field.replaceAll(/(?:^|_)(.)/g, (_match, letter: string) => letter.toUpperCase())}Entry`;
}

function renameEntries(message: IDescriptorProto): void {
  for (const nested of message.nestedType ?? []) {
    renameEntries(nested);
    if (!nested.options?.mapEntry) continue;
    const field = message.field?.find(({ typeName }) => typeName === nested.name);
    if (field === undefined) continue;
    nested.name = entryName(field.name!);
    field.typeName = nested.name;
  }
}

/** All messages and enums below a scope, by their full names. */
function typesOf(scope: string, { messageType, nestedType, enumType }: IFileDescriptorProto & IDescriptorProto): string[] {
  return [
    ...(enumType ?? []).map(({ name }) => `${scope}.${name!}`),
    ...(messageType ?? nestedType ?? []).flatMap((message) => [
      `${scope}.${message.name!}`,
      ...typesOf(`${scope}.${message.name!}`, message as IFileDescriptorProto),
    ]),
  ];
}

/**
 * The files behind a definition, as protoc would describe them. Those that proto-loader makes lack their dependencies,
 * name types as they are written and name the entries of maps by another rule, so that grpcurl refuses them.
 */
export function reflectionFiles(definition: PackageDefinition): PackageDefinition {
  const files = decodeFiles(definition).flatMap(splitWellKnown);
  for (const file of files) for (const message of file.messageType ?? []) renameEntries(message);
  const fileOf = new Map(
    files.flatMap((file) => typesOf(file.package!, file as IDescriptorProto).map((type) => [type, file.name!] as const)),
  );

  function complete(file: IFileDescriptorProto): void {
    const dependencies = new Set<string>();

    /** The full name, with the dot before it, of what a name means within a scope. */
    function absolute(name: string, scope: string): string {
      for (let outer = scope; outer !== ''; outer = outer.slice(0, Math.max(0, outer.lastIndexOf('.')))) {
        if (name.startsWith('.')) break;
        if (fileOf.has(`${outer}.${name}`)) return absolute(`.${outer}.${name}`, '');
      }
      const full = name.replace(/^\./, '');
      const from = fileOf.get(full);
      if (from === undefined) throw new TypeError(`The .proto files have no type ${name}.`);
      if (from !== file.name) dependencies.add(from);
      return `.${full}`;
    }

    function completeField(field: IFieldDescriptorProto, scope: string): void {
      if (field.typeName) field.typeName = absolute(field.typeName, scope);
    }

    function completeMessage(message: IDescriptorProto, scope: string): void {
      const inside = `${scope}.${message.name!}`;
      for (const field of message.field ?? []) completeField(field, inside);
      for (const nested of message.nestedType ?? []) completeMessage(nested, inside);
    }

    for (const message of file.messageType ?? []) completeMessage(message, file.package!);
    for (const method of (file.service ?? []).flatMap((service) => service.method ?? [])) {
      method.inputType = absolute(method.inputType!, file.package!);
      method.outputType = absolute(method.outputType!, file.package!);
    }
    file.dependency = [...dependencies];
  }

  for (const file of files) complete(file);
  const fileDescriptorProtos = files.map((file) => Buffer.from(FileDescriptorProto.encode(FileDescriptorProto.fromObject(file)).finish()));
  const holder = Object.values(definition).find((each) => Array.isArray(each.fileDescriptorProtos));
  return { files: { ...holder, fileDescriptorProtos } as PackageDefinition[string] };
}
