// A browser before the real gateway and the real server, and what tests do with it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { expect } from 'vitest';

import { cleanUp, type RunningGateway, startGateway, StepcastServer } from './servers';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export interface Stage {
  server: StepcastServer;
  gateway: RunningGateway;
  browser: Browser;
  close: () => Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const server = new StepcastServer();
  await server.start();
  const gateway = await startGateway(server);
  const browser = await chromium.launch({
    executablePath: process.env['STEPCAST_CHROMIUM'] ?? '/usr/bin/chromium',
    // Chromium's sandbox refuses to start for root, who runs tests in containers.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
  const close = async () => {
    await browser.close();
    await gateway.stop();
    await server.stop();
    cleanUp();
  };
  return { server, gateway, browser, close };
}

export interface Visit {
  page: Page;
  /** What the console said that it should not: errors, warnings, breaches of the policy. */
  complaints: string[];
  /** Closes, and expects no complaint. `expected`: of those that a test brings about. */
  leave: (expected?: RegExp) => Promise<void>;
}

/** A browser of its own, ready to paint. */
export async function visit(stage: Stage, options: BrowserContextOptions = {}, origin = stage.gateway.origin): Promise<Visit> {
  const context = await stage.browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('blob:')) complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(`${origin}/`);
  await page.getByText('Ready').waitFor();
  const leave = async (expected?: RegExp) => {
    await context.close();
    expect(complaints.filter((complaint) => expected?.test(complaint) !== true)).toEqual([]);
  };
  return { page, complaints, leave };
}

export const live = (page: Page): Locator => page.locator('.tile.live');
export const finished = (page: Page): Locator => page.locator('.tile > button.frame');
export const paint = (page: Page): Promise<void> => page.getByRole('button', { name: 'Paint', exact: true }).click();

export async function wish(page: Page, prompt: string, steps: number): Promise<void> {
  await page.getByLabel('Prompt').fill(prompt);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill(String(steps));
}

/** What the page asks the gateway for, while `act` goes on. */
export async function requestOf(page: Page, act: () => Promise<void>): Promise<Record<string, unknown>> {
  const asked = page.waitForRequest((request) => request.method() === 'POST' && request.url().includes('/api/session/'));
  await act();
  return (await asked).postDataJSON() as Record<string, unknown>;
}

interface Violation {
  id: string;
  nodes: { html: string; failureSummary?: string }[];
}

/** axe-core on the page as it is. Evaluated, not added as a script: the page's policy would refuse that. */
export async function expectAccessible(page: Page): Promise<void> {
  // Colours that fade in are not those that are read.
  await page.waitForTimeout(200);
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } };
    return (await axe.run()).violations;
  });
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ''}`)])).toEqual([]);
}

/** Draws a line from one place of a canvas to another, in fractions of it. */
export async function drag(page: Page, canvas: Locator, from: [number, number], to: [number, number]): Promise<void> {
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  if (box === null) throw new Error('the canvas is not there');
  const at = ([x, y]: [number, number]): [number, number] => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to), { steps: 6 });
  await page.mouse.up();
}

/** Grey values of a PNG that the page has sent, read by the browser, at places in fractions of it. */
export async function greys(page: Page, base64: unknown, places: [number, number][]): Promise<number[]> {
  return page.evaluate(async ({ text, at }) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true });
    if (context === null) return [];
    context.drawImage(bitmap, 0, 0);
    return at.map(([x, y]) => context.getImageData(Math.floor(x * bitmap.width), Math.floor(y * bitmap.height), 1, 1).data[0] ?? -1);
  }, { text: String(base64), at: places });
}

/** Watches from now on: the most pictures that were seen moving at once. A look from outside may come too late. */
export async function mostMoving(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const root = document.documentElement;
    const look = () => {
      const moving = [...document.querySelectorAll('.tile.live [role=progressbar]')].filter((bar) => Number(bar.getAttribute('aria-valuenow')) > 0);
      root.dataset['most'] = String(Math.max(Number(root.dataset['most'] ?? 0), moving.length));
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  return async () => Number(await page.locator('html').getAttribute('data-most'));
}
