// Who calls: Bearer and Basic to tenants and to what the server is shown.
import { createHash, timingSafeEqual } from 'node:crypto';

import type { Config } from './config.js';
import { Problem } from './problem.js';

export interface Caller {
  /** Whose calls, jobs and progress are told apart. */
  key: string;
  /** Metadata of calls to the server. */
  metadata: Record<string, string>;
  /** Ids of the models that may be used; undefined: all. */
  models: ReadonlySet<string> | undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The secret of a header: a Bearer's token, a Basic's password. */
function secretOf(header: string | undefined): string | undefined {
  const parts = /^(Bearer|Basic) +(\S+)$/i.exec(header ?? '');
  if (parts === null) return undefined;
  if (parts[1]!.toLowerCase() === 'bearer') return parts[2];
  const pair = Buffer.from(parts[2]!, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : pair.slice(colon + 1);
}

function refused(reason: string, message: string): Problem {
  return new Problem('UNAUTHENTICATED', reason, message);
}

export class Callers {
  private readonly table: { hash: Buffer; caller: Caller }[];

  constructor(private readonly config: Pick<Config, 'auth' | 'tenant_metadata_key'>) {
    this.table = config.auth.tokens.map((entry) => ({
      hash: entry.token === undefined ? Buffer.from(entry.sha256!, 'hex') : digest(entry.token),
      caller: {
        key: `tenant:${entry.tenant}`,
        metadata: {
          ...(config.tenant_metadata_key === '' ? {} : { [config.tenant_metadata_key]: entry.tenant }),
          ...(entry.upstream_token === undefined ? {} : { authorization: `Bearer ${entry.upstream_token}` }),
        },
        models: entry.models === undefined ? undefined : new Set(entry.models),
      },
    }));
  }

  /** Throws UNAUTHENTICATED. Without authentication callers are told apart by their addresses. */
  identify(authorization: string | undefined, address: string): Caller {
    const { mode } = this.config.auth;
    if (mode === 'none') return { key: `address:${address}`, metadata: {}, models: undefined };
    const secret = secretOf(authorization);
    if (secret === undefined || secret === '') {
      throw refused('TOKEN_MISSING', 'needs the header Authorization: Bearer <token>, or Basic with the token as password');
    }
    if (mode === 'passthrough') {
      const key = `token:${digest(secret).toString('hex').slice(0, 16)}`;
      return { key, metadata: { authorization: `Bearer ${secret}` }, models: undefined };
    }
    const hash = digest(secret);
    const found = this.table.find((entry) => timingSafeEqual(entry.hash, hash));
    if (found === undefined) throw refused('TOKEN_INVALID', 'the token is not known');
    return found.caller;
  }
}
