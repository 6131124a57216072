// How much goes on at once, in all and for each client.
import type { Caller } from './callers.js';
import type { Config } from './config.js';
import { Problem } from './problem.js';

export class Limits {
  private readonly calls = new Map<string, number>();
  private total = 0;
  private watchers = 0;

  constructor(private readonly config: Config['limits']) {}

  get running(): number {
    return this.total;
  }

  /** Takes a place for a call that paints, or throws RESOURCE_EXHAUSTED. Returns what gives it back. */
  enter(caller: Caller): () => void {
    const own = this.calls.get(caller.key) ?? 0;
    if (own >= this.config.max_calls_per_client) throw full('CLIENT_LIMIT', `you have ${own} calls here already`);
    if (this.total >= this.config.max_calls) throw full('GATEWAY_FULL', 'the gateway has as many calls as it takes');
    this.calls.set(caller.key, own + 1);
    this.total += 1;
    return giveBackOnce(() => {
      this.total -= 1;
      const left = this.calls.get(caller.key)! - 1;
      if (left === 0) this.calls.delete(caller.key);
      else this.calls.set(caller.key, left);
    });
  }

  /** The same for a view of the scheduler. */
  watch(): () => void {
    if (this.watchers >= this.config.max_watchers) throw full('GATEWAY_FULL', 'too many watch the scheduler');
    this.watchers += 1;
    return giveBackOnce(() => {
      this.watchers -= 1;
    });
  }
}

function full(reason: string, message: string): Problem {
  return new Problem('RESOURCE_EXHAUSTED', reason, message, { retryAfterMs: 1000 });
}

function giveBackOnce(giveBack: () => void): () => void {
  let held = true;
  return () => {
    if (held) giveBack();
    held = false;
  };
}
