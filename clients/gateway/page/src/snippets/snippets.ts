// A request as a command or a program. Pictures are files beside it: base64 of a picture is nothing to read.
import type { GenerateRequest } from '../api/wire';

const FILES: Record<'initImage' | 'maskImage', string> = { initImage: 'start.png', maskImage: 'mask.png' };
const SKETCH = 'sketch.png';

/** Without fields that say nothing: an accepted request has them all. */
function tidy(request: GenerateRequest): GenerateRequest {
  const says = ([key, value]: [string, unknown]) =>
    key === 'prompt' ? value !== undefined : Array.isArray(value) ? value.length > 0
      : value !== undefined && value !== '' && value !== false && !(typeof value === 'string' && value.endsWith('_UNSPECIFIED'));
  return Object.fromEntries(Object.entries(request).filter(says));
}

/** What people would write: without what is only of use to this page, and with marks where pictures go. */
export function plain(request: GenerateRequest): { request: GenerateRequest; files: string[] } {
  const rest = tidy({ ...request, preview: undefined });
  const files: string[] = [];
  for (const key of ['initImage', 'maskImage'] as const) {
    if (rest[key] === undefined) continue;
    files.push(FILES[key]);
    rest[key] = `@${FILES[key]}`;
  }
  if (rest.control !== undefined && rest.control.length > 0) {
    files.push(SKETCH);
    rest.control = rest.control.map((net) => ({ ...net, image: `@${SKETCH}` }));
  }
  if (typeof rest.seed === 'string') rest.seed = Number(rest.seed);
  return { request: rest, files };
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** JSON in a here-document of the shell, which reads the files. */
function document(request: GenerateRequest): string {
  const json = JSON.stringify(request, null, 2).replace(/[\\$`]/g, '\\$&');
  return json.replace(/"@([a-z]+\.png)"/g, '"$(base64 -w0 $1)"');
}

function withBody(command: string, flag: string, request: GenerateRequest): string {
  const { request: body, files } = plain(request);
  if (files.length === 0) return `${command} ${flag} ${quoted(JSON.stringify(body))}`;
  return `${command} ${flag} @- <<END\n${document(body)}\nEND`;
}

export function asGrpcurl(request: GenerateRequest, address = 'localhost:50051'): string {
  const { request: body, files } = plain(request);
  const call = `${address} stepcast.v1.ImageGenerationService/Generate`;
  if (files.length === 0) return `grpcurl -plaintext -d ${quoted(JSON.stringify(body))} \\\n  ${call}`;
  return `grpcurl -plaintext -d @ ${call} <<END\n${document(body)}\nEND`;
}

/** The gateway's own call, with events as they happen; the pictures are in the events named "image". */
export function asCurl(request: GenerateRequest, origin: string): string {
  return withBody(`curl -N ${origin}/api/paint -H 'content-type: application/json'`, '-d', request);
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function pythonValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(pythonValue).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return `{${entries.map(([key, each]) => `${JSON.stringify(snake(key))}: ${pythonValue(each)}`).join(', ')}}`;
  }
  return String(value);
}

/** "SAMPLER_EULER" is "euler" to the Python client. */
const bare = (value: string): string => value.replace(/^(SAMPLER|SIGMA_SCHEDULE|TIMESTEP_SPACING|RESIZE_MODE|PRIORITY)_/, '').toLowerCase();
const ENUMS = new Set(['sampler', 'sigmaSchedule', 'timestepSpacing', 'resizeMode', 'priority']);

function pythonArgument([key, value]: [string, unknown]): string {
  const text = typeof value === 'string' ? value.replace(/^@([a-z]+\.png)$/, '$1') : value;
  return `${snake(key)}=${pythonValue(ENUMS.has(key) ? bare(String(text)) : text)}`;
}

export function asPython(request: GenerateRequest, address = 'localhost:50051'): string {
  const { prompt, ...rest } = plain(request).request;
  rest.control = rest.control?.map((net) => ({ ...net, image: SKETCH }));
  const given = Object.entries({ ...rest, output: undefined }).filter(([, value]) => value !== undefined);
  const parts = [...(prompt === undefined ? [] : [pythonValue(prompt)]), ...given.map(pythonArgument)];
  const indented = parts.map((part) => `        ${part},\n`).join('');
  return [
    'import stepcast', '', `with stepcast.Client(${pythonValue(address)}) as client:`,
    `    result = client.paint(\n${indented}    )`, '    for index, image in enumerate(result.images):',
    '        image.save(f"picture-{index}.png")', '',
  ].join('\n');
}
