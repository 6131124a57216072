import type { ChannelCredentials, ClientReadableStream, Client as Channel, Metadata } from '@grpc/grpc-js';

import { Assembly, Collector, unaryResult } from './assembly.js';
import { balancedTarget, callMetadata, openChannel, targetsOf } from './connection.js';
import { fromServiceError, isServiceError } from './errors.js';
import type { Result, StepcastEvent } from './events.js';
import {
  type DeepPartial, GenerateImageRequest, GenerateImageResponse, GenerateRequest, GenerateResponse, GetModelRequest,
  GetModelResponse, GetServerInfoRequest, GetServerInfoResponse, ListModelsRequest, ListModelsResponse,
} from './gen/stepcast/v1/image_generation.js';
import type { Model } from './gen/stepcast/v1/model.js';
import { DEFAULT_RETRY, Retries, type RetryPolicy, tokenRefused } from './retry.js';

/** Fields of the contract's GenerateRequest; what is left out the server chooses. */
export type GenerateOptions = DeepPartial<GenerateRequest>;

export interface ClientOptions {
  /** For whom calls are made. */
  tenant?: string;
  /** The bearer token. Default: $STEPCAST_TOKEN. */
  token?: string;
  /** Milliseconds that a call may take, its retries included. Default: as long as it takes. */
  timeoutMs?: number;
  /** For TLS; without them the connection is plain. */
  credentials?: ChannelCredentials;
  retry?: Partial<RetryPolicy>;
  /** Goes with every call. */
  metadata?: Record<string, string>;
  /**
   * Every call goes to the next of all replicas, those of the addresses (IP addresses) or those that DNS names
   * ("dns:///stepcast:50051"), instead of all to the first that answers.
   */
  balance?: boolean;
}

export interface CallOptions {
  /** Aborting frees the server's rows, and who waits gets the signal's reason. */
  signal?: AbortSignal;
  timeoutMs?: number;
  metadata?: Record<string, string>;
  /** What the server's log calls this call: 1..128 printable characters. Default: a new UUID. */
  requestId?: string;
}

export interface PaintOptions extends CallOptions {
  onEvent?: (event: StepcastEvent) => void;
}

interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(input: Uint8Array): Message;
}

const SERVICE = '/stepcast.v1.ImageGenerationService/';

function serialize<Message>(codec: Codec<Message>): (message: Message) => Buffer {
  return (message) => Buffer.from(codec.encode(message).finish());
}

function makeRequest(options: GenerateOptions): GenerateRequest {
  const request = GenerateRequest.fromPartial(options);
  const unknown = Object.keys(options).find((key) => !(key in request));
  if (unknown !== undefined) throw new TypeError(`${unknown}: GenerateRequest has no such field`);
  return request;
}

/** Waits, but not longer than until the signal. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** Talks to a server, or to the first of several that answers. */
export class Client {
  readonly addresses: readonly string[];
  private readonly channels: Channel[];
  private readonly retry: RetryPolicy;
  private first = 0;

  /** `addresses`: "host", "host:port", several of them; default $STEPCAST_HOST, else localhost:50051. */
  constructor(addresses?: string | readonly string[], private readonly options: ClientOptions = {}) {
    const targets = targetsOf(addresses);
    this.addresses = options.balance ? [balancedTarget(targets)] : targets;
    this.channels = this.addresses.map((target) => openChannel(target, options.credentials, options.balance));
    this.retry = { ...DEFAULT_RETRY, ...options.retry };
  }

  /** Closes the connections once the calls on them have ended. */
  close(): void {
    for (const channel of this.channels) channel.close();
  }

  /**
   * Paints, and streams what happens: accepted, progress, preview, an image for each picture, completed. Leaving the loop
   * cancels the call.
   */
  async *generate(options: GenerateOptions, call: CallOptions = {}): AsyncGenerator<StepcastEvent, void, undefined> {
    const request = makeRequest(options);
    const assembly = new Assembly(request);
    const { metadata, deadline, retries } = this.begin(request.model, call);
    for (;;) {
      call.signal?.throwIfAborted();
      const stream = this.open(retries.index, assembly.request, metadata, deadline);
      const abort = (): void => stream.cancel();
      call.signal?.addEventListener('abort', abort, { once: true });
      try {
        for await (const response of stream) {
          const event = assembly.add(response as GenerateResponse);
          if (event !== undefined) yield event;
        }
        this.first = retries.index;
        if (assembly.finish()) return;
        assembly.restart();
      } catch (error) {
        call.signal?.throwIfAborted();
        if (!isServiceError(error)) throw error;
        const failure = fromServiceError(error, this.addresses[retries.index]!);
        const dropped = tokenRefused(failure) && assembly.dropToken();
        const wait = dropped ? 0 : retries.after(failure, assembly.started);
        assembly.restart();
        if (wait > 0) await pause(wait, call.signal);
      } finally {
        call.signal?.removeEventListener('abort', abort);
        stream.cancel();
      }
    }
  }

  /** Paints and returns the pictures, of any size. */
  async paint(options: GenerateOptions, { onEvent, ...call }: PaintOptions = {}): Promise<Result> {
    const collector = new Collector();
    for await (const event of this.generate(options, call)) {
      collector.add(event);
      onEvent?.(event);
    }
    return collector.result();
  }

  /** Paints in one answer, without a stream: for pictures that fit maxUnaryResponseBytes. */
  async generateImage(options: GenerateOptions, call: CallOptions = {}): Promise<Result> {
    const request = makeRequest(options);
    const codecs = [GenerateImageRequest, GenerateImageResponse] as const;
    return unaryResult(await this.unary('GenerateImage', ...codecs, { request }, request.model, call));
  }

  /** All models, the default one first. */
  async listModels(call: CallOptions & { pageSize?: number } = {}): Promise<Model[]> {
    const models: Model[] = [];
    let pageToken = '';
    do {
      const request = { pageSize: call.pageSize ?? 0, pageToken };
      const page = await this.unary('ListModels', ListModelsRequest, ListModelsResponse, request, '', call);
      models.push(...page.models);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return models;
  }

  /** One model: defaults, limits, samplers, classes. "": the default one. */
  async getModel(model = '', call: CallOptions = {}): Promise<Model> {
    const answer = await this.unary('GetModel', GetModelRequest, GetModelResponse, { model }, model, call);
    return answer.model!;
  }

  /** Version, limits, devices and queue of the server that answers. */
  async serverInfo(call: CallOptions = {}): Promise<GetServerInfoResponse> {
    return this.unary('GetServerInfo', GetServerInfoRequest, GetServerInfoResponse, {}, '', call);
  }

  private begin(model: string, call: CallOptions): { metadata: Metadata; deadline?: number; retries: Retries } {
    const token = this.options.token ?? process.env['STEPCAST_TOKEN'];
    const extra = {
      ...(token ? { authorization: `Bearer ${token}` } : {}), ...this.options.metadata, ...call.metadata,
    };
    const timeout = call.timeoutMs ?? this.options.timeoutMs;
    const deadline = timeout === undefined ? undefined : Date.now() + timeout;
    return {
      metadata: callMetadata(this.options.tenant, model, call.requestId, extra),
      retries: new Retries(this.retry, this.addresses.length, this.first, deadline),
      ...(deadline === undefined ? {} : { deadline }),
    };
  }

  private open(
    index: number, request: GenerateRequest, metadata: Metadata, deadline: number | undefined,
  ): ClientReadableStream<GenerateResponse> {
    const stream = this.channels[index]!.makeServerStreamRequest(
      `${SERVICE}Generate`, serialize(GenerateRequest), GenerateResponse.decode, request, metadata, { deadline },
    );
    // Who has left the loop no longer listens to how the call ended.
    stream.on('error', () => undefined);
    return stream;
  }

  private async unary<Request, Response>(
    method: string, from: Codec<Request>, to: Codec<Response>, request: Request, model: string, call: CallOptions,
  ): Promise<Response> {
    const { metadata, deadline, retries } = this.begin(model, call);
    for (;;) {
      call.signal?.throwIfAborted();
      try {
        const answer = await this.attempt(retries.index, method, from, to, request, metadata, deadline, call.signal);
        this.first = retries.index;
        return answer;
      } catch (error) {
        call.signal?.throwIfAborted();
        if (!isServiceError(error)) throw error;
        await pause(retries.after(fromServiceError(error, this.addresses[retries.index]!), false), call.signal);
      }
    }
  }

  private attempt<Request, Response>(
    index: number, method: string, from: Codec<Request>, to: Codec<Response>, request: Request, metadata: Metadata,
    deadline: number | undefined, signal: AbortSignal | undefined,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const abort = (): void => running.cancel();
      const running = this.channels[index]!.makeUnaryRequest(
        SERVICE + method, serialize(from), (bytes: Buffer) => to.decode(bytes), request, metadata, { deadline },
        (error, answer) => {
          signal?.removeEventListener('abort', abort);
          if (error !== null) reject(error);
          else resolve(answer as Response);
        },
      );
      signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
