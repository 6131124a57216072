// Pictures that come with requests: their bytes, their size, and OpenAI's masks.
import { imageSize } from 'image-size';
import { PNG } from 'pngjs';

import { invalid } from '../problem.js';
import type { Size } from './model_choice.js';

const DATA_URL = /^data:[^,]*;base64,/;

/** Bytes of base64, or of a data: URL. */
export function fromBase64(field: string, text: string): Buffer {
  const encoded = text.replace(DATA_URL, '').replace(/\s/g, '');
  if (encoded === '' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(encoded)) throw invalid(field, 'got no base64; allowed: a PNG, JPEG or WebP file');
  return Buffer.from(encoded, 'base64');
}

/** Width and height as people see it. */
export function sizeOf(field: string, bytes: Buffer): Size {
  let size: { width?: number; height?: number; orientation?: number; type?: string };
  try {
    size = imageSize(bytes);
  } catch {
    size = {};
  }
  const { width, height, orientation = 1, type } = size;
  if (!width || !height || !['png', 'jpg', 'webp'].includes(type ?? '')) {
    throw invalid(field, 'got no picture that can be read; allowed: a PNG, JPEG or WebP file');
  }
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}

/** OpenAI's mask, transparent where it repaints, as the server's: white there. */
export function maskFromAlpha(bytes: Buffer, maxPixels: number): Buffer {
  const { width, height } = sizeOf('mask', bytes);
  if (width * height > maxPixels) throw invalid('mask', `got ${width}x${height}; allowed: at most ${maxPixels} pixels`);
  let png: PNG;
  try {
    png = PNG.sync.read(bytes);
  } catch {
    throw invalid('mask', 'got no PNG that can be read; allowed: a PNG with an alpha channel');
  }
  const white = Buffer.alloc(width * height);
  for (let i = 0; i < white.length; i += 1) white[i] = 255 - png.data[4 * i + 3]!;
  if (white.every((value) => value === 0)) {
    throw invalid('mask', 'got one without a transparent pixel; allowed: a PNG that is transparent where the picture is repainted');
  }
  const mask = new PNG({ width, height, colorType: 0, inputColorType: 0, bitDepth: 8, inputHasAlpha: false });
  mask.data = white;
  return PNG.sync.write(mask, { colorType: 0, inputColorType: 0, inputHasAlpha: false });
}

/** The PNG text of that keyword, from its tEXt or iTXt chunks. */
export function pngText(bytes: Buffer, keyword: string): string | undefined {
  let offset = 8;
  while (offset + 12 <= bytes.length) {
    const length = bytes.readUInt32BE(offset);
    const type = bytes.toString('latin1', offset + 4, offset + 8);
    const body = bytes.subarray(offset + 8, offset + 8 + length);
    const end = body.indexOf(0);
    if ((type === 'tEXt' || type === 'iTXt') && body.toString('latin1', 0, end) === keyword) {
      if (type === 'tEXt') return body.toString('latin1', end + 1);
      // Two flags, then language and translated keyword, each ended by NUL. The server compresses none.
      const language = body.indexOf(0, end + 3);
      return body.toString('utf8', body.indexOf(0, language + 1) + 1);
    }
    offset += 12 + length;
  }
  return undefined;
}
