// The server behind the gateway: painting by @stepcast/client, and the calls that it does not make.
import { readFileSync } from 'node:fs';

import { type ChannelCredentials, Client as Channel, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { DescMethod } from '@bufbuild/protobuf';
import { type CallOptions, Client, Model, GetServerInfoResponse } from '@stepcast/client';

import type { Caller } from './callers.js';
import type { Config } from './config.js';
import type { Contract } from './contract.js';
import { Problem } from './problem.js';

type ServerLimits = NonNullable<GetServerInfoResponse['limits']>;

/** In proto JSON; there is more in it. */
export interface Adapter {
  name: string;
  kind: string;
  tokens: number;
  changesTextEncoders: boolean;
}

interface AdapterPage {
  adapters: Adapter[];
  nextPageToken: string;
}

const CATALOGUE_MS = 2000;

function tlsOf(config: Config['tls']): ChannelCredentials | undefined {
  if (!config.enabled) return undefined;
  const read = (file: string): Buffer | null => (file === '' ? null : readFileSync(file));
  return credentials.createSsl(read(config.ca_file), read(config.key_file), read(config.cert_file));
}

function problemOfCall(error: ServiceError): Problem {
  return new Problem(status[error.code] ?? 'UNKNOWN', '', error.details || error.message);
}

const asIs = (bytes: Buffer): Buffer => bytes;

export class Upstream {
  readonly client: Client;
  private readonly queries: Channel;
  private readonly admin: Channel | undefined;
  private known: { limits: ServerLimits; until: number } | undefined;
  private readonly catalogues = new Map<string, { models: Model[]; until: number }>();

  constructor(private readonly config: Config, readonly contract: Contract) {
    const secure = tlsOf(config.tls);
    this.client = new Client(config.server, {
      ...(secure === undefined ? {} : { credentials: secure }),
      // A name that DNS resolves to several replicas is meant so.
      balance: config.balance || config.server.startsWith('dns:'),
      retry: { rounds: config.retry.rounds, maxWaitMs: config.retry.max_wait },
    });
    const plain = credentials.createInsecure();
    const options = { 'grpc.max_receive_message_length': 64 << 20, 'grpc.keepalive_time_ms': 30_000 };
    this.queries = new Channel(this.client.addresses[0]!, secure ?? plain, options);
    this.admin = config.admin === '' ? undefined : new Channel(config.admin, plain, options);
  }

  close(): void {
    this.client.close();
    this.queries.close();
    this.admin?.close();
  }

  /** What goes with a question, which is short. */
  asking(caller: Caller): CallOptions {
    return { metadata: caller.metadata, timeoutMs: this.config.limits.query_timeout };
  }

  /** All models that the caller may use, the default one first; a few seconds old at most. */
  async models(caller: Caller): Promise<Model[]> {
    const now = performance.now();
    const known = this.catalogues.get(caller.key);
    if (known !== undefined && known.until > now) return known.models;
    const all = await this.client.listModels(this.asking(caller));
    const models = all.filter((model) => caller.models?.has(model.id) ?? true);
    // Bounded: whoever asks next is remembered in the place of all.
    if (this.catalogues.size >= 1000) this.catalogues.clear();
    this.catalogues.set(caller.key, { models, until: now + CATALOGUE_MS });
    return models;
  }

  serverInfo(caller: Caller): Promise<GetServerInfoResponse> {
    return this.client.serverInfo(this.asking(caller));
  }

  /** What a request may ask for; it changes with the server's configuration alone. */
  async limits(caller: Caller): Promise<ServerLimits> {
    const now = performance.now();
    if (this.known === undefined || this.known.until < now) {
      const { limits } = await this.serverInfo(caller);
      this.known = { limits: limits!, until: now + CATALOGUE_MS };
    }
    return this.known.limits;
  }

  /** ListAdapters, all pages, in proto JSON; none where the server has no such call. */
  async adapters(caller: Caller): Promise<Adapter[]> {
    const method = this.contract.method('ImageGenerationService', 'ListAdapters')!;
    const adapters: Adapter[] = [];
    let pageToken = '';
    do {
      const page = (await this.unary(this.queries, method, { pageToken }, caller.metadata)) as AdapterPage | undefined;
      adapters.push(...(page?.adapters ?? []));
      pageToken = page?.nextPageToken ?? '';
    } while (pageToken !== '');
    return adapters;
  }

  /** GetSchedule of the admin port, in proto JSON. */
  async schedule(): Promise<unknown> {
    return this.unary(this.adminChannel(), this.contract.method('SchedulerService', 'GetSchedule')!, {}, {});
  }

  /** Every tick from now on, as WatchTicksResponse in proto JSON. */
  async *ticks(device: string, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    const method = this.contract.method('SchedulerService', 'WatchTicks')!;
    const admin = this.adminChannel();
    const request = Buffer.from(this.contract.fromJson(method.input.name, { device }));
    const stream = admin.makeServerStreamRequest(`/${method.parent.typeName}/${method.name}`, asIs, asIs, request);
    stream.on('error', () => undefined);
    const abort = (): void => stream.cancel();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      for await (const bytes of stream) yield this.contract.toJson(method.output.name, bytes as Buffer);
    } catch (error) {
      if (!signal.aborted) throw problemOfCall(error as ServiceError);
    } finally {
      signal.removeEventListener('abort', abort);
      stream.cancel();
    }
  }

  private adminChannel(): Channel {
    if (this.admin !== undefined) return this.admin;
    throw new Problem('UNAVAILABLE', 'NO_ADMIN', 'the gateway was not told of an admin port (STEPCAST_GATEWAY_ADMIN)');
  }

  private unary(channel: Channel, method: DescMethod, json: unknown, extra: Record<string, string>): Promise<unknown> {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(extra)) metadata.set(key, value);
    const request = Buffer.from(this.contract.fromJson(method.input.name, json));
    const deadline = Date.now() + this.config.limits.query_timeout;
    return new Promise((resolve, reject) => {
      const path = `/${method.parent.typeName}/${method.name}`;
      channel.makeUnaryRequest(path, asIs, asIs, request, metadata, { deadline }, (error, bytes) => {
        if (error === null) resolve(this.contract.toJson(method.output.name, bytes!));
        else if (error.code === status.UNIMPLEMENTED) resolve(undefined);
        else reject(problemOfCall(error));
      });
    });
  }
}
