// Bodies of edits: forms with files, or JSON with data: URLs.
import type { FastifyRequest } from 'fastify';

import type { Gateway } from '../gateway.js';
import { fromBase64, maskFromAlpha } from '../paint/pictures.js';
import { invalid } from '../problem.js';
import { EditBody, parseBody } from './schema.js';
import type { Pictures } from './wish.js';

interface Edit {
  body: EditBody;
  pictures: Pictures;
}

async function readForm(request: FastifyRequest): Promise<{ fields: Record<string, unknown>; images: Buffer[]; mask?: Buffer }> {
  const fields: Record<string, unknown> = {};
  const images: Buffer[] = [];
  let mask: Buffer | undefined;
  for await (const part of request.parts()) {
    const name = part.fieldname.replace(/\[\d*\]$/, '');
    if (part.type === 'field') {
      fields[name] = part.value;
      continue;
    }
    const bytes = await part.toBuffer();
    if (name === 'image') images.push(bytes);
    else if (name === 'mask') mask = bytes;
    else throw invalid(part.fieldname, 'got a file; allowed: image, mask');
  }
  return { fields, images, ...(mask === undefined ? {} : { mask }) };
}

/** A data: URL, or a URL of this gateway; nothing is fetched from elsewhere. */
function pictureOf(field: string, given: { image_url?: string | undefined; file_id?: string | undefined }, gateway: Gateway): Buffer {
  const url = given.image_url ?? '';
  if (url.startsWith('data:')) return fromBase64(field, url);
  const own = url.indexOf('/files/');
  if (own >= 0) return gateway.files.get(url.slice(own)).bytes;
  throw invalid(field, 'allowed: image_url with a data: URL or one of this gateway');
}

export async function readEdit(request: FastifyRequest, gateway: Gateway): Promise<Edit> {
  let body: EditBody;
  let images: Buffer[];
  let mask: Buffer | undefined;
  if (request.isMultipart()) {
    const form = await readForm(request);
    body = parseBody(EditBody, form.fields);
    ({ images, mask } = form);
  } else {
    body = parseBody(EditBody, request.body);
    images = (body.images ?? []).map((image, i) => pictureOf(`images[${i}]`, image, gateway));
    mask = body.mask === undefined ? undefined : pictureOf('mask', body.mask, gateway);
  }
  if (images.length !== 1) throw invalid('image', `got ${images.length} pictures; allowed: one`);
  const most = await gateway.upstream.limits(request.caller!).then((limits) => limits.maxInputPicturePixels);
  return { body, pictures: { image: images[0]!, ...(mask === undefined ? {} : { mask: maskFromAlpha(mask, most) }) } };
}
