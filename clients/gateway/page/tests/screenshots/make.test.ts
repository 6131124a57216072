// Makes docs/images/page_*.png, which the READMEs show: bash check.sh <folder of stepcast-server> screenshots
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { drag, finished, live, openStage, type Stage, visit, wish } from '../browser/stage';

const FOLDER = fileURLToPath(new URL('../../../../../docs/images/', import.meta.url));
const MOST_BYTES = 300 * 1024;
const PATIENCE = { timeout: 110_000 };

let stage: Stage;
beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  stage = await openStage();
});
afterAll(() => stage.close());

async function shoot(page: Page, name: string): Promise<void> {
  const path = `${FOLDER}page_${name}.png`;
  await page.mouse.move(0, 0);
  await page.screenshot({ path, animations: 'disabled' });
  expect(statSync(path).size).toBeLessThan(MOST_BYTES);
}

const together = (page: Page): Promise<void> => page.getByRole('button', { name: 'Paint eight together' }).click();

test.each(['light', 'dark'] as const)('eight requests share ticks (%s)', async (colorScheme) => {
  const { page, leave } = await visit(stage, { colorScheme });
  await page.getByLabel('Prompt').fill('a red apple');
  await together(page);
  // Some are done, some are not.
  await expect.poll(() => finished(page).count(), PATIENCE).toBeGreaterThanOrEqual(colorScheme === 'light' ? 2 : 4);
  await shoot(page, colorScheme);
  await leave();
});

test('a picture, looked at closely', async () => {
  const { page, leave } = await visit(stage);
  await wish(page, 'octopus', 40);
  await page.keyboard.press('Control+Enter');
  await finished(page).click();
  await page.getByText('Painted in').waitFor();
  await shoot(page, 'picture');
  await leave();
});

test('repainting a part, following a sketch', async () => {
  const { page, leave } = await visit(stage, { viewport: { width: 1440, height: 1100 } });
  await wish(page, 'a red apple', 30);
  await page.keyboard.press('Control+Enter');
  await finished(page).click();
  await page.getByRole('button', { name: 'Begin with it' }).click();
  const canvas = page.getByRole('application', { name: /^What to repaint/ });
  await drag(page, canvas, [0.3, 0.62], [0.75, 0.62]);
  await drag(page, canvas, [0.35, 0.75], [0.7, 0.75]);
  await page.getByLabel('Prompt').fill('a green pear');
  await page.keyboard.press('Control+Enter');
  await expect.poll(() => finished(page).count()).toBe(2);
  await canvas.scrollIntoViewIfNeeded();
  await shoot(page, 'repaint');
  await leave();
});

test('on a telephone', async () => {
  const { page, leave } = await visit(stage, {
    viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: 'dark',
  });
  await page.getByLabel('Prompt').fill('sunflower');
  await shoot(page, 'phone_form');
  await together(page);
  await expect.poll(() => live(page).locator('img').count()).toBeGreaterThan(2);
  await page.locator('.scheduler').evaluate((element) => element.scrollIntoView());
  await expect.poll(() => finished(page).count(), PATIENCE).toBeGreaterThanOrEqual(2);
  await shoot(page, 'phone');
  await leave();
});
