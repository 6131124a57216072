// Pictures behind signed URLs, in memory, for a while.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { FastifyInstance } from 'fastify';

import type { Config } from './config.js';
import { Problem } from './problem.js';

interface Stored {
  bytes: Buffer;
  mime: string;
}

const SUFFIX: Record<string, string> = { 'image/png': 'png', 'image/jpeg': 'jpg', 'image/webp': 'webp' };
const PATH = /^\/files\/([0-9a-f]{32})\.[a-z]+\?expires=([0-9]{1,15})&signature=([A-Za-z0-9_-]{43})$/;

export class Files {
  private readonly key: Buffer;
  // In order of age.
  private readonly stored = new Map<string, Stored>();
  private total = 0;

  constructor(private readonly config: Config['files'], private readonly now: () => number = Date.now) {
    this.key = config.signing_key === '' ? randomBytes(32) : Buffer.from(config.signing_key);
  }

  get bytes(): number {
    return this.total;
  }

  /** Keeps a picture until its time is over or newer ones need the room. Returns path and query of its URL. */
  put(bytes: Buffer, mime: string): string {
    const id = randomBytes(16).toString('hex');
    const expires = Math.floor((this.now() + this.config.ttl) / 1000);
    this.stored.set(id, { bytes, mime });
    this.total += bytes.length;
    for (const [oldest] of this.stored) {
      if (this.total <= this.config.max_bytes) break;
      this.drop(oldest);
    }
    setTimeout(() => this.drop(id), this.config.ttl).unref();
    return `/files/${id}.${SUFFIX[mime] ?? 'bin'}?expires=${expires}&signature=${this.sign(id, expires)}`;
  }

  /** What a URL's path and query name. Throws where it is not, or no longer, there, or was not signed here. */
  get(pathAndQuery: string): Stored {
    const [, id, expires, signature] = PATH.exec(pathAndQuery) ?? [];
    const good = id !== undefined && timingSafeEqual(Buffer.from(signature!), Buffer.from(this.sign(id, Number(expires))));
    if (!good) throw new Problem('PERMISSION_DENIED', 'URL_INVALID', 'the URL was not signed by this gateway');
    const found = this.now() / 1000 <= Number(expires) ? this.stored.get(id) : undefined;
    if (found === undefined) throw new Problem('NOT_FOUND', 'URL_EXPIRED', 'the picture is no longer kept');
    return found;
  }

  private drop(id: string): void {
    this.total -= this.stored.get(id)?.bytes.length ?? 0;
    this.stored.delete(id);
  }

  private sign(id: string, expires: number): string {
    return createHmac('sha256', this.key).update(`${id}.${expires}`).digest('base64url');
  }
}

/** The signature is what is needed to read; who has the URL may. */
export function fileRoutes(app: FastifyInstance, files: Files): void {
  app.get('/files/:name', async (request, reply) => {
    const { bytes, mime } = files.get(request.url);
    return reply.type(mime).header('cache-control', 'private, max-age=3600').header('content-security-policy', "default-src 'none'")
      .send(bytes);
  });
}
