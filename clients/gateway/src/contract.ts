// The wire contract by its descriptors: messages to and from proto JSON.
import { readFileSync } from 'node:fs';

import {
  createFileRegistry, type DescMessage, type DescMethod, type FileRegistry, fromBinary, fromJson, type JsonValue, toBinary, toJson,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

import { Problem } from './problem.js';

export class Contract {
  private readonly registry: FileRegistry;

  constructor(file: URL = new URL('contract.binpb', import.meta.url)) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  }

  /** `name` is that of a message in stepcast.v1. Fields that have no presence are written with their defaults, too. */
  toJson(name: string, bytes: Uint8Array): JsonValue {
    const type = this.type(name);
    return toJson(type, fromBinary(type, bytes), { registry: this.registry, alwaysEmitImplicit: true });
  }

  /** Throws a Problem that names what is wrong. */
  fromJson(name: string, json: unknown): Uint8Array {
    const type = this.type(name);
    try {
      return toBinary(type, fromJson(type, json as JsonValue, { registry: this.registry }));
    } catch (error) {
      throw new Problem('INVALID_ARGUMENT', 'MALFORMED_REQUEST', (error as Error).message);
    }
  }

  /** A method by its names, where this contract has it. */
  method(service: string, name: string): DescMethod | undefined {
    return this.registry.getService(`stepcast.v1.${service}`)?.methods.find((method) => method.name === name);
  }

  private type(name: string): DescMessage {
    const type = this.registry.getMessage(`stepcast.v1.${name}`);
    if (type === undefined) throw new Error(`the contract has no message ${name}`);
    return type;
  }
}
