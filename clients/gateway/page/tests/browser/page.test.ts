// The page in Chromium, before the real gateway and the real server.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startGateway } from './servers';
import {
  drag, expectAccessible, finished, greys, live, mostMoving, openStage, paint, requestOf, type Stage, visit, wish,
} from './stage';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

interface Info {
  queue?: { running?: number; waiting?: number };
}

const info = async (): Promise<Info> => (await (await fetch(`${stage.gateway.origin}/api/server`)).json()) as Info;

describe('painting', () => {
  test('shows previews, then the picture, and keeps it', async () => {
    const { page, leave } = await visit(stage);
    await wish(page, 'a red apple', 60);
    await page.keyboard.press('Control+Enter');
    await live(page).locator('img').waitFor();
    expect(await finished(page).count()).toBe(0);
    const bar = live(page).getByRole('progressbar', { name: 'Painting a red apple' });
    expect(Number(await bar.getAttribute('aria-valuenow'))).toBeGreaterThan(0);
    await finished(page).waitFor();
    expect(await live(page).count()).toBe(0);
    await expect.poll(() => page.getByRole('status').allTextContents()).toContain('Done: a red apple.');
    await page.reload();
    await finished(page).click();
    const dialog = page.getByRole('dialog', { name: 'a red apple' });
    expect(await dialog.locator('dl').innerText()).toMatch(/DPM\+\+ 2M[^]*Steps\s+60[^]*64 × 64/);
    await leave();
  });

  test('what is cancelled frees its rows', async () => {
    const { page, leave } = await visit(stage);
    await wish(page, 'panda', 150);
    await page.locator('label', { hasText: /^4$/ }).click();
    await paint(page);
    await expect.poll(() => live(page).count()).toBe(4);
    await expect.poll(async () => (await info()).queue?.running).toBeGreaterThan(0);
    await page.keyboard.press('Escape');
    expect(await live(page).count()).toBe(0);
    await expect.poll(async () => (await info()).queue).toMatchObject({ running: 0, waiting: 0 });
    expect(await finished(page).count()).toBe(0);
    await leave();
  });

  test('eight requests are painted at once, and the timeline shows them sharing ticks', async () => {
    const { page, leave } = await visit(stage);
    await wish(page, 'a rocket', 60);
    const most = await mostMoving(page);
    await page.getByRole('button', { name: 'Paint', exact: true }).evaluate((button: HTMLElement) => {
      for (let count = 0; count < 8; ++count) button.click();
    });
    await expect.poll(most).toBe(8);
    const gauge = page.locator('.gauge', { hasText: 'Pictures in the last tick' }).locator('dd');
    await expect.poll(async () => Number(await gauge.innerText())).toBeGreaterThan(1);
    await page.keyboard.press('Escape');
    await page.locator('.timeline canvas').focus();
    await page.keyboard.press('ArrowLeft');
    const readout = await page.locator('.readout').innerText();
    expect(readout).toMatch(/^Tick \d+ denoises · emoji · \d+ pictures? · \d+ rows?/);
    await leave();
  });

  test('the timeline knows its own from somebody else’s who asks for the very same', async () => {
    const { page, leave } = await visit(stage);
    const leaving = new AbortController();
    const request = { model: 'emoji', prompt: 'a rocket', steps: 150 };
    const theirs = await fetch(`${stage.gateway.origin}/api/paint`, {
      method: 'POST', signal: leaving.signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify(request),
    });
    expect(theirs.status).toBe(200);
    await wish(page, 'a rocket', 150);
    await paint(page);
    const canvas = page.locator('.timeline canvas');
    await expect.poll(async () => {
      await canvas.blur();  // the next key looks at the newest tick again
      await canvas.press('ArrowLeft');
      return page.locator('.readout').innerText();
    }).toMatch(/· 2 pictures, 1 of this page ·/);
    await page.keyboard.press('Escape');
    leaving.abort();
    await leave();
  });

  test('the settings of a picture paint it again, to the byte', async () => {
    const { page, leave } = await visit(stage);
    await wish(page, 'sunflower', 8);
    await paint(page);
    await finished(page).click();
    const sha = () => page.evaluate(() => new Promise<string[]>((resolve) => {
      const opening = indexedDB.open('stepcast');
      opening.onsuccess = () => {
        const all = opening.result.transaction('pictures').objectStore('pictures').getAll() as IDBRequest<{ sha256: string }[]>;
        all.onsuccess = () => resolve(all.result.map(({ sha256 }) => sha256));
      };
    }));
    await page.getByRole('button', { name: 'Use these settings' }).click();
    expect(await page.getByRole('button', { name: 'Keep the seed' }).getAttribute('aria-pressed')).toBe('true');
    await paint(page);
    await expect.poll(() => finished(page).count()).toBe(2);
    const [first, second] = await sha();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(second).toBe(first);
    await leave();
  });

  test('classes are chosen where the model knows classes', async () => {
    const { page, leave } = await visit(stage);
    await page.getByLabel('Model').selectOption('digits');
    await page.locator('label', { hasText: /^7$/ }).click();
    const request = await requestOf(page, () => paint(page));
    expect(request).toMatchObject({ model: 'digits', classIndex: 7 });
    expect(request).not.toHaveProperty('prompt');
    await finished(page).waitFor();
    expect(await page.locator('.tile .title').innerText()).toBe('7');
    await leave();
  });
});

describe('LoRAs', () => {
  const LORAS = [
    { name: 'line-art', kind: 'ADAPTER_KIND_LORA', displayName: 'Line art', rank: 6, models: ['emoji'], triggerWords: ['line art'] },
    { name: 'strokes', kind: 'ADAPTER_KIND_LORA', models: ['digits'] },
    { name: 'a-word', kind: 'ADAPTER_KIND_EMBEDDING', models: ['emoji'] },
  ];

  test('those that go with the model are chosen, weighed, and asked for', async () => {
    const { page, leave } = await visit(stage);
    expect(await page.getByText('LoRA', { exact: true }).count()).toBe(0);
    await page.route('**/api/adapters', (route) => route.fulfill({ json: { adapters: LORAS } }));
    await page.reload();
    await page.getByText('LoRA', { exact: true }).click();
    expect(await page.getByLabel('strokes').count()).toBe(0);
    expect(await page.getByLabel('a-word').count()).toBe(0);
    expect(await page.getByText('Say: line art').count()).toBe(1);
    await page.getByLabel('Line art').check();
    await page.getByRole('slider', { name: 'Strength of line-art' }).fill('0.8');
    await expectAccessible(page);
    await wish(page, 'a red apple', 4);
    const request = await requestOf(page, () => paint(page));
    expect(request).toMatchObject({ model: 'emoji', loras: [{ name: 'line-art', scale: 0.8 }] });
    await page.getByLabel('Line art').uncheck();
    expect(await requestOf(page, () => paint(page))).not.toHaveProperty('loras');
    await leave();
  });
});

describe('what the server refuses', () => {
  test('is said beside the control, and taken back when it changes', async () => {
    const { page, leave } = await visit(stage);
    await page.getByText('Size', { exact: true }).first().click();
    await page.getByLabel('Width', { exact: true }).fill('100');
    await wish(page, 'a red apple', 900);
    await paint(page);
    const width = page.getByLabel('Width', { exact: true });
    await expect.poll(() => width.getAttribute('aria-invalid')).toBe('true');
    expect(await page.locator('#width-error').innerText()).toMatch(/^Got 100\. Allowed: .*multiple of 8/);
    expect(await page.locator('#steps-error').innerText()).toMatch(/^Got 900\. Allowed: 1/);
    expect(await page.getByRole('spinbutton', { name: 'Steps' }).getAttribute('aria-describedby')).toContain('steps-error');
    expect(await live(page).count()).toBe(0);
    await expectAccessible(page);
    await width.fill('64');
    expect(await page.locator('#width-error').count()).toBe(0);
    expect(await page.locator('#steps-error').count()).toBe(1);
    await leave();
  });

  test('words are text, whatever they look like', async () => {
    const { page, leave } = await visit(stage);
    const nasty = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    await wish(page, nasty, 2);
    await paint(page);
    await finished(page).click();
    expect(await page.getByRole('dialog').locator('h2').innerText()).toBe(nasty);
    expect(await page.locator('img[src="x"], .tile script').count()).toBe(0);
    await leave();
  });
});

describe('pictures that go with a request', () => {
  const APPLE = new URL('../../../../../docs/images/sketches/apple.png', import.meta.url).pathname;

  test('a stroke says what may change, undo takes it back', async () => {
    const { page, leave } = await visit(stage);
    await wish(page, 'a green apple', 6);
    await page.getByText('Begin with a picture').click();
    await page.locator('input[type=file]').first().setInputFiles(APPLE);
    const canvas = page.getByRole('application', { name: /^What to repaint/ });
    await drag(page, canvas, [0.2, 0.25], [0.8, 0.25]);
    const masked = await requestOf(page, () => paint(page));
    expect(masked).toMatchObject({ strength: 0.6 });
    expect(await greys(page, masked['maskImage'], [[0.5, 0.25], [0.5, 0.75], [0.95, 0.25]])).toEqual([255, 0, 0]);
    await finished(page).waitFor();
    await drag(page, canvas, [0.2, 0.75], [0.8, 0.75]);
    const more = await requestOf(page, () => paint(page));
    expect(await greys(page, more['maskImage'], [[0.5, 0.25], [0.5, 0.75]])).toEqual([255, 255]);
    await page.getByRole('button', { name: 'Undo' }).first().click();
    await page.getByRole('button', { name: 'Undo' }).first().click();
    const all = await requestOf(page, () => paint(page));
    expect(all).toHaveProperty('initImage');
    expect(all).not.toHaveProperty('maskImage');
    await canvas.focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Space');
    const byKeys = await requestOf(page, () => paint(page));
    expect(await greys(page, byKeys['maskImage'], [[0.45, 0.5], [0.1, 0.1]])).toEqual([255, 0]);
    await expect.poll(() => finished(page).count()).toBe(4);
    await leave();
  });

  test('a sketch is followed', async () => {
    const { page, leave } = await visit(stage);
    await wish(page, 'red apple', 12);
    await page.getByText('Follow a sketch').click();
    const canvas = page.getByRole('application', { name: /^Sketch/ });
    await drag(page, canvas, [0.2, 0.5], [0.8, 0.5]);
    const request = await requestOf(page, () => paint(page));
    const [net] = request['control'] as { model: string; image: string; scale: number }[];
    expect(net).toMatchObject({ model: 'emoji-sketch', scale: 1 });
    expect(await greys(page, net?.image, [[0.5, 0.5], [0.5, 0.2]])).toEqual([0, 255]);
    await finished(page).click();
    expect(await page.getByRole('dialog').locator('dl').innerText()).toContain('emoji-sketch × 1');
    await leave();
  });

  test('a dropped picture begins the next one', async () => {
    const { page, leave } = await visit(stage);
    await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(8, 8);
      canvas.getContext('2d')?.fillRect(0, 0, 8, 8);
      const data = new DataTransfer();
      data.items.add(new File([await canvas.convertToBlob()], 'dark.png', { type: 'image/png' }));
      document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    });
    await page.getByRole('application', { name: /^What to repaint/ }).waitFor();
    await leave();
  });
});

describe('for everybody', () => {
  test.each(['light', 'dark'] as const)('axe finds nothing in the form (%s)', async (colorScheme) => {
    const { page, leave } = await visit(stage, { colorScheme });
    await expectAccessible(page);
    for (const section of ['Size', 'Begin with a picture', 'Follow a sketch']) await page.getByText(section, { exact: true }).first().click();
    await expectAccessible(page);
    await leave();
  });

  test.each(['light', 'dark'] as const)('axe finds nothing in what was painted (%s)', async (colorScheme) => {
    const { page, leave } = await visit(stage, { colorScheme });
    await wish(page, 'panda', 12);
    await paint(page);
    await finished(page).click();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Copy as code' }).last().click();
    await page.getByRole('tab', { name: 'Python' }).click();
    expect(await page.getByRole('tabpanel').innerText()).toContain('stepcast.Client(');
    await expectAccessible(page);
    await leave();
  });

  test('a telephone shows it without scrolling sideways', async () => {
    const { page, leave } = await visit(stage, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    const fits = async () => expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await fits();
    for (const section of ['Size', 'Begin with a picture', 'Follow a sketch']) await page.getByText(section, { exact: true }).first().click();
    await fits();
    await wish(page, `${'a very long prompt without an end '.repeat(12)}${'x'.repeat(200)}`, 4);
    await paint(page);
    await finished(page).waitFor();
    await fits();
    await finished(page).click();
    await fits();
    await page.getByRole('button', { name: 'Copy as code' }).last().click();
    await page.getByRole('tabpanel').waitFor();
    await fits();
    await leave();
  });

  test('the switch of colours goes round, and is remembered', async () => {
    const { page, leave } = await visit(stage, { colorScheme: 'light' });
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.getByRole('button', { name: 'Colours as the system: switch to light' }).click();
    await page.getByRole('button', { name: 'Light: switch to dark' }).click();
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await paper()).toBe(dark);
    await leave();
  });

  test('the policy forbids scripts that are not the page’s', async () => {
    const { page, complaints, leave } = await visit(stage);
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.broken = true';
      document.body.append(script);
    });
    expect(await page.evaluate(() => 'broken' in globalThis)).toBe(false);
    await expect.poll(() => complaints.join()).toMatch(/Content Security Policy/);
    const answer = await page.request.get(`${stage.gateway.origin}/`);
    expect(answer.headers()['content-security-policy']).toContain("script-src 'self'");
    await leave(/Content Security Policy/);
  });

  test('without an admin port the view of the scheduler says so', async () => {
    const other = await startGateway(stage.server, false);
    const { page, leave } = await visit(stage, {}, other.origin);
    await expect.poll(() => page.locator('.timeline .quiet').innerText()).toMatch(/admin/);
    await leave(/503/);
    await other.stop();
  });
});

// The last one: it takes the server away.
test('a server that restarts: said kindly, and nothing is lost', async () => {
  const { page, leave } = await visit(stage);
  await wish(page, 'octopus', 150);
  await paint(page);
  await live(page).locator('img').waitFor();
  await stage.server.stop('SIGKILL');
  await page.getByText('Nothing is lost').waitFor();
  await page.getByText('Server away').waitFor();
  expect(await live(page).count()).toBe(1);
  expect(await page.getByLabel('Prompt').inputValue()).toBe('octopus');
  await expectAccessible(page);
  await wish(page, 'panda', 4);
  await paint(page);
  await expect.poll(() => live(page).count()).toBe(2);
  await stage.server.start();
  await expect.poll(() => finished(page).count(), { timeout: 30_000 }).toBe(2);
  await page.getByText('Ready').waitFor();
  expect(await page.getByText('Nothing is lost').count()).toBe(0);
  await leave(/Failed to load resource/);
});
