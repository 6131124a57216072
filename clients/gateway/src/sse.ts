// Server-sent events on an HTTP answer.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // Proxies of nginx's kind pass on what comes as it comes.
  'x-accel-buffering': 'no',
};

/** A stream that is never silent for longer than the heartbeat. The caller ends it. */
export class EventStream {
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly response: ServerResponse, heartbeatMs: number, headers: Record<string, string> = {}) {
    response.writeHead(200, { ...HEADERS, ...headers });
    response.write(': here\n\n');
    this.timer = setInterval(() => {
      if (!this.full) response.write(': still here\n\n');
    }, heartbeatMs);
    response.on('close', () => clearInterval(this.timer));
  }

  /** Whether the reader is slow: what may be left out should be. */
  get full(): boolean {
    return this.response.writableNeedDrain;
  }

  /** Returns once there is room for more, or nobody left to read. */
  async send(event: string | undefined, data: unknown): Promise<void> {
    if (this.response.destroyed) return;
    this.timer.refresh();
    const name = event === undefined ? '' : `event: ${event}\n`;
    if (!this.response.write(`${name}data: ${JSON.stringify(data)}\n\n`)) {
      await Promise.race([once(this.response, 'drain'), once(this.response, 'close')]).catch(() => undefined);
    }
  }

  end(): void {
    clearInterval(this.timer);
    this.response.end();
  }
}
