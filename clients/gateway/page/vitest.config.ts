import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // One browser and one server at a time: they have what cores there are to themselves.
    fileParallelism: false,
    // Nothing waits this long but on a machine that does ten other things.
    testTimeout: 240_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000, interval: 50 } },
  },
});
