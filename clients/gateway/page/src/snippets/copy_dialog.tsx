// The request as a command or a program, to be copied.
import { useEffect, useRef, useState } from 'preact/hooks';

import { type Copied, copying } from './copying';
import { asCurl, asGrpcurl, asPython, plain } from './snippets';
import { info, models } from '../api/server';
import type { GenerateRequest } from '../api/wire';
import { bytesOf } from '../canvas/encode';
import { encoded, inputs } from '../canvas/inputs';
import { announce } from '../parts/announcer';
import { Dialog } from '../parts/dialog';
import { Icon } from '../parts/icon';
import { model, settings } from '../settings/form';
import { sizeOf } from '../settings/model_choices';
import { requestOf } from '../settings/request';

const WAYS = ['grpcurl', 'Python', 'curl'] as const;
type Way = (typeof WAYS)[number];

/** The whole request, pictures and all. */
async function requestFrom(copied: Copied): Promise<GenerateRequest> {
  if (copied.from === 'picture') {
    const { picture } = copied;
    const painter = models.value.find(({ id }) => id === picture.request.model);
    if (painter === undefined) return picture.request;
    const pictures = await encoded(picture.inputs, painter, { width: picture.width, height: picture.height });
    const { start: initImage, mask: maskImage, sketch } = pictures;
    const { request } = picture;
    return {
      ...request, seed: picture.seed, imageCount: undefined, initImage, maskImage,
      control: sketch === undefined ? request.control : [{ ...request.control?.[0], image: sketch }],
    };
  }
  if (model.value === undefined) return {};
  return requestOf(settings.value, model.value, info.value, await encoded(inputs.value, model.value, sizeOf(model.value, settings.value)));
}

function written(way: Way, request: GenerateRequest): string {
  if (way === 'grpcurl') return asGrpcurl(request);
  if (way === 'Python') return asPython(request);
  return asCurl(request, location.origin);
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announce('Copied.');
  } catch {
    announce('This browser does not let the page copy. Select the text instead.');
  }
}

export function CopyDialog({ copied }: { copied: Copied }) {
  const [request, setRequest] = useState<GenerateRequest>();
  const [way, setWay] = useState<Way>('grpcurl');
  useEffect(() => {
    void requestFrom(copied).then(setRequest, () => setRequest({}));
  }, [copied]);
  const text = request === undefined ? '' : written(way, request);
  return (
    <Dialog title="Copy as code" narrow onClose={() => (copying.value = undefined)}>
      <div class="dialog-body">
        <div class="row apart">
          <Tabs way={way} onChoose={setWay} />
          <CopyButton text={text} />
        </div>
        <pre class="code" role="tabpanel" id="code" tabIndex={0} aria-labelledby={`way-${way}`}>{text}</pre>
        {request !== undefined && <Files request={request} />}
      </div>
    </Dialog>
  );
}

function CopyButton({ text }: { text: string }) {
  const [done, setDone] = useState('');
  return (
    <button type="button" class="button" onClick={() => void copy(text).then(() => setDone(text))}>
      <Icon name="copy" size={16} /> {done === text ? 'Copied' : 'Copy'}
    </button>
  );
}

function Tabs({ way, onChoose }: { way: Way; onChoose: (way: Way) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? WAYS.length - 1 : 0;
    const next = WAYS[(WAYS.indexOf(way) + by) % WAYS.length];
    if (by === 0 || next === undefined) return;
    onChoose(next);
    list.current?.querySelector<HTMLElement>(`#way-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Language" ref={list} onKeyDown={onKeyDown}>
      {WAYS.map((each) => (
        <button type="button" role="tab" id={`way-${each}`} key={each} aria-selected={each === way} aria-controls="code"
          tabIndex={each === way ? 0 : -1} onClick={() => onChoose(each)}>{each}</button>
      ))}
    </div>
  );
}

/** The pictures that the command reads. */
function Files({ request }: { request: GenerateRequest }) {
  const { files } = plain(request);
  const parts: Record<string, string | undefined> = {
    'start.png': request.initImage, 'mask.png': request.maskImage, 'sketch.png': request.control?.[0]?.image,
  };
  if (files.length === 0) return null;
  return (
    <div class="row small soft">
      Save beside it:
      {files.map((file) => (
        <button type="button" class="button compact" key={file} onClick={() => save(file, bytesOf(parts[file] ?? ''))}>
          <Icon name="download" size={16} /> {file}
        </button>
      ))}
    </div>
  );
}

function save(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
