// What Prometheus sees of the gateway. Labels: routes and codes, never who or what.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: 'stepcast_gateway_requests_total', help: 'HTTP requests that were answered.', labelNames: ['route', 'code'] as const,
    registers: [this.registry],
  });
  readonly seconds = new Histogram({
    name: 'stepcast_gateway_request_seconds', help: 'From a request to the end of its answer.', labelNames: ['route'] as const,
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600], registers: [this.registry],
  });
  readonly failures = new Counter({
    name: 'stepcast_gateway_failures_total', help: 'Requests that failed, by reason of docs/errors.md or of the gateway.',
    labelNames: ['reason'] as const, registers: [this.registry],
  });
  readonly images = new Counter({
    name: 'stepcast_gateway_images_total', help: 'Pictures handed out.', labelNames: ['dialect'] as const,
    registers: [this.registry],
  });

  constructor(calls: () => number, jobs: () => number, storedBytes: () => number) {
    collectDefaultMetrics({ register: this.registry, prefix: 'stepcast_gateway_' });
    this.gauge('stepcast_gateway_calls', 'Calls that paint, now.', calls);
    this.gauge('stepcast_gateway_jobs', 'Jobs that are kept, done or not.', jobs);
    this.gauge('stepcast_gateway_stored_bytes', 'Pictures that are kept for their URLs.', storedBytes);
  }

  private gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name, help, registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }
}
