// Comes by a portal link: as a page in light, in dark and on a phone, and in a
// frame of another site.
import { audit, check, launch, open, report, screenshots, sink, url } from "./browser.mjs";

const { THEMED: themed, PLAIN: plain, WITHDRAWN: withdrawn, LISTED: listed, STRANGER: stranger } = process.env;
const company = `${url}/ui/companies/12345`;
const browser = await launch();

const looks = {
  light: { colorScheme: "light", viewport: { width: 1360, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1360, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

// 1. Every page of a portal, as the operator wishes it to look.
for (const [look, options] of Object.entries(looks)) {
  const page = await open(browser, { ...options, reducedMotion: "reduce" });
  await page.goto(themed);
  check(page.url() === `${company}/subscriptions`, `the link leads to ${page.url()}`);
  await page.goto(`${company}/deliveries`);
  const delivery = await page.locator("a.row").first().getAttribute("href");
  await page.goto(`${company}/events`);
  const event = await page.locator("a.row").first().getAttribute("href");
  await page.goto(`${url}/ui/inspect`);
  await audit(page, `portal, no bins (${look})`);
  await page.screenshot({ path: `${screenshots}/portal-inspect-none-${look}.png`, fullPage: true });
  await page.getByRole("button", { name: "New bin" }).click();
  await page.waitForURL(/\/ui\/inspect\/[A-Z0-9]+/);
  const bin = page.url().split("?")[0];
  await fetch(await page.locator(".address pre").textContent(), { method: "POST", body: "{}" });
  await page.locator(".arrivals li").first().waitFor({ state: "visible" });
  const pages = {
    inspect: `${url}/ui/inspect`, bin,
    subscriptions: `${company}/subscriptions`, subscription: `${company}/subscriptions/1`, new: `${company}/subscriptions/new?contract=native`,
    edit: `${company}/subscriptions/1/edit`, deliveries: `${company}/deliveries`, delivery: url + delivery, events: `${company}/events`, event: url + event,
    "not-found": `${url}/ui/tokens`,
  };
  for (const [name, address] of Object.entries(pages)) {
    await page.goto(address);
    if ((await page.locator("#preview").count()) > 0) {
      await page.locator("#preview:not(.htmx-request):not(:has-text('JavaScript'))").waitFor();
    }
    await audit(page, `portal ${name} (${look})`);
    check((await page.title()).endsWith("· Rossi Cloud"), `portal ${name}: the title is ${await page.title()}`);
    check(!(await page.locator(".topbar, .nav").allTextContents()).join().includes("Fattorino"), `portal ${name} shows the product's name`);
    await page.screenshot({ path: `${screenshots}/portal-${name}-${look}.png`, fullPage: true });
  }
  const drawn = await page.locator("img.logo").first().evaluate((image) => image.complete && image.naturalWidth);
  check(drawn === 96, `the logo is ${drawn} pixels wide`);
  await page.goto(withdrawn);
  await audit(page, `portal over (${look})`);
  check((await page.locator("h1").textContent()) === "This page is closed", "a withdrawn link opens something");
  await page.screenshot({ path: `${screenshots}/portal-over-${look}.png` });
  await page.context().close();
}

// framed shows a link in a frame of a site, and gives the frame.
async function framed(site, link) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1240, height: 860 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(`${site}/?show=${encodeURIComponent(link)}`);
  return { context, page, frame: page.frameLocator("iframe") };
}

// 2. In a frame of a site of the list, an integrator does everything: the cookie
// holds there, and forms are taken.
for (const link of [themed, plain]) {
  const { context, page, frame } = await framed(listed, link);
  await frame.locator("h1").waitFor();
  check((await frame.locator("h1").textContent()) === "Subscriptions", "the frame shows something else");
  await frame.getByRole("link", { name: "New subscription" }).first().click();
  await frame.getByRole("link", { name: "Native" }).click();
  await frame.locator('select[name="app"]').selectOption({ index: 1 });
  await frame.locator('input[name="name"]').fill("Made in a frame");
  await frame.locator(".choose-bin").getByRole("button", { name: "New bin" }).click(); // one click, and nothing is lost
  await frame.locator('input[name="sink"][value*="/inspect/"]').waitFor();
  check((await frame.locator('input[name="name"]').inputValue()) === "Made in a frame", "choosing a bin loses the name");
  await frame.locator('input[name="sink"]').fill(`${sink}/framed`);
  await frame.locator("summary").filter({ hasText: /^invoice/ }).first().click();
  await frame.locator('input[value="invoice.paid"]').check();
  await frame.getByRole("button", { name: "Create subscription" }).click();
  await frame.getByText("This is shown this once").waitFor();
  await frame.getByRole("link", { name: "I have kept it" }).click();
  await frame.getByRole("button", { name: "Disable" }).click();
  await frame.getByText("Sending is paused").waitFor();
  await frame.getByRole("button", { name: "Dark" }).click();
  await frame.locator('html[data-theme="dark"]').waitFor();
  await page.screenshot({ path: `${screenshots}/portal-framed-${link === themed ? "themed" : "plain"}.png` });
  const cookies = await context.cookies();
  const secret = cookies.find((cookie) => cookie.name === "fattorino_portal");
  check(secret?.httpOnly && secret.secure && secret.sameSite === "None" && Boolean(secret.partitionKey), `the cookie is ${JSON.stringify({ ...secret, value: "…" })}`);
  await frame.getByRole("button", { name: "Close" }).click();
  await frame.getByText("This page is closed").waitFor();
  await page.reload();
  await frame.getByText("Made in a frame").first().waitFor(); // the link can be opened again
  await context.close();
}

// 3. No other site's page shows it, and none shows what is no portal.
for (const [site, link, what] of [[stranger, plain, "a stranger frames a portal"], [listed, `${url}/ui/sign-in`, "a site of the list frames the page to sign in"]]) {
  const { context, page } = await framed(site, link);
  await page.waitForLoadState("networkidle");
  const texts = await Promise.all(page.frames().slice(1).map((frame) => frame.evaluate(() => document.body?.innerText ?? "").catch(() => "")));
  check(!texts.some((text) => /Subscriptions|Sign in/.test(text)), what);
  await page.screenshot({ path: `${screenshots}/portal-refused.png` });
  await context.close();
}
await browser.close();
report();
