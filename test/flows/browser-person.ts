import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const REPORT_VIOLATIONS = `document.addEventListener('securitypolicyviolation', (event) => {
  console.error('CSP violation: ' + event.violatedDirective + ' ' + event.blockedURI);
});`;
const FLAGS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-gpu',
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];

/** Where screenshots go: `SCREENSHOTS`, else a temporary directory. */
export function screenshotPlace(): string {
  const place = process.env['SCREENSHOTS'] ?? mkdtempSync(join(tmpdir(), 'btz-shots-'));
  mkdirSync(place, { recursive: true });
  return place;
}

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: FLAGS });

interface StoredCredential {
  readonly credentialId: string;
  readonly isResidentCredential: boolean;
  readonly rpId?: string;
  readonly privateKey: string;
  readonly userHandle?: string;
  readonly signCount: number;
}

/** One person with a browser of their own and a security key that wanders with them from tab to tab. */
export class Person {
  readonly name: string;
  readonly context: BrowserContext;
  /** Console errors, page errors, CSP and Trusted Types violations, requests to other hosts. Must stay empty. */
  readonly troubles: string[] = [];
  /** Every address that the browser asked for or showed. */
  readonly addresses: string[] = [];
  #key: StoredCredential[] = [];
  readonly #hosts: ReadonlySet<string>;
  readonly #shots: string;
  readonly #sessions = new Map<Page, { cdp: CDPSession; authenticatorId: string }>();

  private constructor(name: string, context: BrowserContext, origins: readonly string[], shots: string) {
    this.name = name;
    this.context = context;
    this.#hosts = new Set(origins.map((origin) => new URL(origin).host));
    this.#shots = shots;
  }

  static async arrive(browser: Browser, name: string, origins: readonly string[], shots: string): Promise<Person> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const person = new Person(name, context, origins, shots);
    context.on('page', (page) => person.#listen(page));
    await context.addInitScript(REPORT_VIOLATIONS);
    return person;
  }

  #listen(page: Page): void {
    page.on('console', (message) => {
      // the browser itself reports every refused request; whether a refusal is right is asserted where it happens
      const network = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !network) this.troubles.push(`${this.name}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.troubles.push(`${this.name}: ${error.message}`));
    page.on('framenavigated', (frame) => this.addresses.push(frame.url()));
    page.on('request', (request) => {
      this.addresses.push(request.url());
      if (!this.#hosts.has(new URL(request.url()).host)) this.troubles.push(`${this.name}: asked ${request.url()}`);
    });
  }

  /**
   * Plugs the security key into a tab. With `prf` it has that extension; Chromium's virtual key cannot carry its secret to
   * another tab, so who needs it stays in one.
   */
  async plugIn(page: Page, { prf = false } = {}): Promise<Page> {
    const cdp = await this.context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
        ...(prf ? { ctap2Version: 'ctap2_1' as const, hasPrf: true } : {}),
      },
    });
    for (const credential of this.#key) await cdp.send('WebAuthn.addCredential', { authenticatorId, credential });
    this.#sessions.set(page, { cdp, authenticatorId });
    return page;
  }

  /** Takes the key out of a tab with what it learned there, and closes the tab. */
  async unplug(page: Page): Promise<void> {
    await this.keep(page);
    this.#sessions.delete(page);
    await page.close();
  }

  /** Copies what the key of this tab holds. */
  async keep(page: Page): Promise<void> {
    const { cdp, authenticatorId } = this.#sessions.get(page)!;
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId });
    this.#key = credentials as StoredCredential[];
  }

  async open(address: string, options: { readonly prf?: boolean } = {}): Promise<Page> {
    const page = await this.plugIn(await this.context.newPage(), options);
    await page.goto(address);
    return page;
  }

  /** Follows a link that opens a tab of its own, key plugged in. */
  async follow(page: Page, link: string): Promise<Page> {
    const opened = this.context.waitForEvent('page');
    await page.getByRole('link', { name: link }).click();
    return this.plugIn(await opened);
  }

  async shoot(page: Page, name: string): Promise<void> {
    // long lists: the first screenful tells enough
    const height = await page.evaluate('document.documentElement.scrollHeight');
    await page.screenshot({ path: join(this.#shots, `${name}.png`), fullPage: Number(height) < 1800 });
  }

  /** Screenshots and accessibility findings (axe, WCAG 2.2 AA) in light and in dark, over the DevTools channel. */
  async inspect(page: Page, name: string): Promise<string[]> {
    const findings: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await this.shoot(page, colorScheme === 'light' ? name : `${name}-dark`);
      findings.push(...(await axe(page)).map((finding) => `${name} (${colorScheme}): ${finding}`));
    }
    await page.emulateMedia({ colorScheme: 'light' });
    return findings;
  }
}

/** Evaluated over DevTools, which is not bound by the page's policy, so the page runs under its own policy unchanged. */
async function axe(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe: engine } = globalThis as unknown as {
      axe: {
        run: (
          options: object,
        ) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
      };
    };
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await engine.run({ runOnly: tags });
    return violations.flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html} ${node.failureSummary}`));
  });
}
