/**
 * What describes the services of a node to those who do not have its contract: the files that declare them, with all that these
 * import, and where in them each name is declared. It is read from the descriptors of the generated code.
 */

import { create, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** Files that describe services. */
export interface Schema {
  /** Full names of the services, in alphabetical order. */
  readonly services: readonly string[];
  /** The files by name, such as "keypears/v1/key_set.proto". What a file imports stands before it. */
  readonly files: ReadonlyMap<string, DescFile>;
  /** The same files, each as a FileDescriptorProto in protobuf's binary encoding. */
  readonly encoded: ReadonlyMap<string, Uint8Array>;
  /** The file that declares a name: of a service, method, message, field, enum, value of an enum, or extension. */
  readonly declaring: ReadonlyMap<string, DescFile>;
  /** Full names of the messages. */
  readonly messages: ReadonlySet<string>;
  /** Extensions by the full name of the message that they extend, and by number, with the file that declares each. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, DescFile>>;
}

/** Describes services. `more` are files that nothing imports, such as those of errors' details. */
export function createSchema(services: readonly DescService[], more: readonly DescFile[] = []): Schema {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    if (files.has(file.proto.name)) return;
    file.dependencies.forEach(add);
    files.set(file.proto.name, file);
  };
  for (const { file } of services) add(file);
  more.forEach(add);

  const encoded = new Map<string, Uint8Array>();
  const declaring = new Map<string, DescFile>();
  const messages = new Set<string>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of files.values()) {
    encoded.set(file.proto.name, toBinary(FileDescriptorProtoSchema, file.proto));
    for (const name of namesIn(file)) declaring.set(name, file);
    for (const type of nestedTypes(file)) {
      if (type.kind === "message") messages.add(type.typeName);
      if (type.kind !== "extension") continue;
      const { typeName } = type.extendee;
      const numbers = extensions.get(typeName) ?? new Map<number, DescFile>();
      extensions.set(typeName, numbers.set(type.number, file));
    }
  }
  return {
    services: services.map(({ typeName }) => typeName).sort(),
    files,
    encoded,
    declaring,
    messages,
    extensions,
  };
}

/** All files as a FileDescriptorSet in protobuf's binary encoding, as `protoc --include_imports --descriptor_set_out` has it. */
export function encodeFiles({ files }: Schema): Uint8Array {
  const file = Array.from(files.values(), ({ proto }) => proto);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}

/** The full name of everything that a file declares. */
function* namesIn(file: DescFile): Generator<string> {
  for (const type of nestedTypes(file)) {
    yield type.typeName;
    if (type.kind === "service") {
      for (const { name } of type.methods) yield `${type.typeName}.${name}`;
    } else if (type.kind === "message") {
      for (const { name } of [...type.fields, ...type.oneofs]) yield `${type.typeName}.${name}`;
    } else if (type.kind === "enum") {
      // A value belongs to the scope that its enum is in, not to the enum.
      const scope = type.typeName.slice(0, type.typeName.lastIndexOf(".") + 1);
      for (const { name } of type.values) yield scope + name;
    }
  }
}
