import { describe, expect, test } from 'vitest';

import { Channel } from '../../src/api/channel';
import { EventParser, readEvents } from '../../src/api/events';

const TEXT = ': here\n\nevent: progress\ndata: {"step":1}\n\nevent: image\r\ndata: a\r\ndata: b\r\n\r\ndata: alone\n\n';

describe('events of a stream', () => {
  test('come out the same, however the text is cut', () => {
    for (let size = 1; size <= TEXT.length; ++size) {
      const parser = new EventParser();
      const events = [];
      for (let at = 0; at < TEXT.length; at += size) events.push(...parser.push(TEXT.slice(at, at + size)));
      expect(events).toEqual([
        { name: 'progress', data: '{"step":1}' }, { name: 'image', data: 'a\nb' }, { name: 'message', data: 'alone' },
      ]);
    }
  });

  test('an event that is not ended is none', () => {
    expect(new EventParser().push('event: image\ndata: half\n')).toEqual([]);
  });

  test('letters of several bytes may be cut', async () => {
    const bytes = new TextEncoder().encode('data: äpfel\n\n');
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(body)) events.push(event);
    expect(events).toEqual([{ name: 'message', data: 'äpfel' }]);
  });
});

test('a channel gives what it was given, then ends', async () => {
  const channel = new Channel<number>();
  channel.push(1);
  const taken: number[] = [];
  const reader = (async () => {
    for await (const value of channel) taken.push(value);
  })();
  await Promise.resolve();
  channel.push(2);
  channel.push(3);
  channel.shut();
  await reader;
  expect(taken).toEqual([1, 2, 3]);
});
