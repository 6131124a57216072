// Pictures for a browser while they are painted: HTTP in front, gRPC behind, server-sent events between.
//   node examples/sse.js 8080     then open http://localhost:8080/
import { createServer } from 'node:http';

import { Client } from '@stepcast/client';

const PAGE = `<!doctype html><meta charset="utf-8"><title>Stepcast</title>
<form><input name="prompt" value="a red apple"><button>Paint</button></form><img width="256" alt=""><p></p>
<script>
const [image, text] = [document.querySelector('img'), document.querySelector('p')];
let source;
document.querySelector('form').onsubmit = (event) => {
  event.preventDefault();
  source?.close();  // the server sees it, and cancels
  source = new EventSource('/paint?' + new URLSearchParams(new FormData(event.target)));
  for (const name of ['preview', 'image']) source.addEventListener(name, ({ data }) => {
    const { mime, base64 } = JSON.parse(data);
    image.src = 'data:' + mime + ';base64,' + base64;
  });
  source.addEventListener('progress', ({ data }) => { text.textContent = JSON.parse(data).step; });
  for (const name of ['completed', 'failed']) source.addEventListener(name, ({ data }) => {
    text.textContent = name;
    source.close();
  });
};
</script>`;

export async function serve(port, client = new Client()) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname !== '/paint') {
      response.setHeader('content-type', 'text/html').end(PAGE);
      return;
    }
    const abort = new AbortController();
    response.on('close', () => abort.abort());
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const send = (name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    const steps = url.searchParams.get('steps');
    const wish = {
      prompt: url.searchParams.get('prompt') ?? '',
      preview: { everyNSteps: 1 },
      ...(steps === null ? {} : { steps: Number(steps) }),
    };
    try {
      for await (const { type, data, request: _, ...rest } of client.generate(wish, { signal: abort.signal })) {
        send(type, data === undefined ? rest : { ...rest, base64: data.toString('base64') });
      }
    } catch (error) {
      if (!abort.signal.aborted) send('failed', { code: error.code, reason: error.reason, message: error.message });
    }
    response.end();
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await serve(Number(process.argv[2] ?? 8080));
}
