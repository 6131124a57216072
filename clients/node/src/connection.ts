// Addresses, channels and what every call carries.
import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';

import { type ChannelCredentials, Client as Channel, credentials, Metadata } from '@grpc/grpc-js';

const DEFAULT_PORT = 50051;
const MAX_RECEIVE_BYTES = 64 << 20;

/** What gRPC dials for "host", "host:port", "[::1]:port", the same behind "http://" or "grpc://", or "unix:path". */
export function targetOf(address: string): string {
  const plain = address.trim().replace(/^(http|grpc):\/\//, '').replace(/\/$/, '');
  if (plain === '') throw new RangeError(`address: got ${JSON.stringify(address)}; allowed: host or host:port`);
  if (/^(unix|unix-abstract|dns|ipv4|ipv6|xds):/.test(plain)) return plain;
  if (plain.startsWith('[')) return plain.includes(']:') ? plain : `${plain}:${DEFAULT_PORT}`;
  const colons = plain.split(':').length - 1;
  if (colons > 1) return `[${plain}]:${DEFAULT_PORT}`;
  return colons === 1 ? plain : `${plain}:${DEFAULT_PORT}`;
}

/** Targets to dial; undefined: $STEPCAST_HOST, else this machine. A text may name several, with commas between. */
export function targetsOf(addresses: string | readonly string[] | undefined): string[] {
  const given = addresses ?? (process.env['STEPCAST_HOST'] || 'localhost');
  const targets = (typeof given === 'string' ? given.split(',') : given).map(targetOf);
  if (targets.length === 0) throw new RangeError('addresses: got none; allowed: one or more');
  return targets;
}

/** One target that stands for all replicas: a name as it is (DNS tells its addresses), several as IP addresses. */
export function balancedTarget(targets: readonly string[]): string {
  if (targets.length === 1) return targets[0]!;
  const versions = new Set(targets.map((target) => isIP(target.replace(/:[0-9]+$/, '').replace(/^\[(.*)\]$/, '$1'))));
  const [version] = versions;
  if (versions.size !== 1 || version === 0) {
    throw new RangeError(`balance: got ${targets.join(',')}; allowed: one name, or IP addresses of one kind`);
  }
  return `ipv${version}:${targets.join(',')}`;
}

export function openChannel(target: string, secure: ChannelCredentials | undefined, balance = false): Channel {
  const loopback = /^(ipv[46]:)?(localhost:|127\.|\[::1\])/.test(target);
  return new Channel(target, secure ?? credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // A server that was restarted is found again soon.
    'grpc.max_reconnect_backoff_ms': 5_000,
    // Addresses are tried by this client, which knows what a refusal means.
    'grpc.enable_retries': 0,
    'grpc.primary_user_agent': 'stepcast-node',
    ...(balance ? { 'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }) } : {}),
    ...(loopback ? { 'grpc.enable_http_proxy': 0 } : {}),
  });
}

/** What goes beside a request: the same id in every try, so that logs tell them as one. */
export function callMetadata(
  tenant: string | undefined,
  model: string,
  requestId: string | undefined,
  extra: Record<string, string>,
): Metadata {
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId ?? randomUUID());
  if (tenant !== undefined) metadata.set('x-stepcast-tenant', tenant);
  // For proxies that route by model without reading the request.
  if (model !== '') metadata.set('x-stepcast-model', model);
  for (const [key, value] of Object.entries(extra)) metadata.set(key, value);
  return metadata;
}
