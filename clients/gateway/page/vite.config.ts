import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  build: {
    target: 'es2022',
    // Nothing becomes a data: URL, so that the policy of index.html can leave those out for scripts, styles and fonts.
    assetsInlineLimit: 0,
    // Its polyfill would be an inline script in older outputs; every browser of the target has modulepreload.
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': process.env['STEPCAST_GATEWAY'] ?? 'http://localhost:8080' } },
});
