// Finds subscriptions among those of all companies, takes a deletion back, and
// looks at the overview of a portal; with JavaScript and without.
import { audit, check, launch, open, report, screenshots, signIn, url } from "./browser.mjs";

const script = process.env.SCRIPT === "yes";
const company = `${url}/ui/companies/12345`;
const browser = await launch();
const looks = {
  light: { colorScheme: "light", viewport: { width: 1360, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1360, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

// picture leaves a screenshot of the page in each look; what axe finds of it
// needs its script in the page.
async function picture(name, prepare) {
  for (const [look, options] of script ? Object.entries(looks) : []) {
    const page = await open(browser, { ...options, reducedMotion: "reduce" });
    await prepare(page);
    await audit(page, `${name} (${look})`);
    await page.screenshot({ path: `${screenshots}/${name}-${look}.png`, fullPage: true });
    await page.context().close();
  }
}

const page = await open(browser, { javaScriptEnabled: script });
await signIn(page);
const names = async () => (await page.locator("#list a.row").allTextContents()).map((text) => text.trim());
const shows = async (text) => page.getByText(text).first().waitFor();

// 1. The list of all companies, narrowed by what is written and chosen.
await page.getByRole("link", { name: "All subscriptions" }).click();
await page.waitForURL(/\/ui\/subscriptions/);
check((await names()).length === 5, `the list has ${await names()}`);
await shows("Bianchi & figli");
await page.getByRole("searchbox").fill("LEDGER");
if (script) {
  await page.waitForURL(/q=LEDGER/);
} else {
  await page.getByRole("button", { name: "Filter" }).click();
}
check((await names()).join() === "Ledger of another company", `a search finds ${await names()}`);
await page.goto(`${url}/ui/subscriptions`);
await page.locator('select[name="state"]').selectOption("unverified");
if (script) {
  await page.waitForURL(/state=unverified/);
} else {
  await page.getByRole("button", { name: "Filter" }).click();
}
check((await names()).join() === "Shop that is down", `of those unverified there are ${await names()}`);
await page.goto(`${url}/ui/subscriptions?company=7`);
await page.locator("#list a.row").first().click();
await page.waitForURL(/\/ui\/companies\/7\/subscriptions\//);

// 2. A deletion, and back: from the list, and from the page of what is gone.
const one = `${company}/subscriptions/1`;
const remove = async (on) => {
  await on.goto(`${one}/delete`);
  await on.getByRole("button", { name: "Delete" }).click();
  await on.getByText("The subscription was deleted.").waitFor();
};
await remove(page);
check(!(await names()).includes("ERP, production"), "a deleted subscription is in the list");
await page.getByRole("button", { name: "Undo" }).click();
await shows("The subscription is back.");
check((await page.getByText("It was deleted.").count()) === 0, "a restored subscription is shown as deleted");
await remove(page);
await page.goto(one);
await shows("It was deleted.");
await page.getByRole("link", { name: "Its deliveries" }).click();
await page.getByRole("link", { name: /\(gone\)/ }).first().click();
await page.getByRole("button", { name: "Undo" }).click();
await shows("The subscription is back.");

// 3. How they look.
await picture("all-subscriptions", async (at) => {
  await signIn(at);
  await at.goto(`${url}/ui/subscriptions`);
});
await remove(page);
await picture("subscriptions-undo", async (at) => {
  await signIn(at);
  await at.goto(`${company}/subscriptions?deleted=1`);
});
await picture("subscription-gone", async (at) => {
  await signIn(at);
  await at.goto(one);
});
await picture("portal-overview", async (at) => {
  await at.goto(process.env.PORTAL);
  await at.goto(`${company}/overview`);
  await at.getByText("Deliveries now").waitFor();
});

// 4. A portal's overview leads on to its own pages.
const guest = await open(browser, { javaScriptEnabled: script });
await guest.goto(process.env.PORTAL);
await guest.getByRole("link", { name: "Overview" }).click();
await guest.waitForURL(/\/overview/);
await guest.getByText("Needs attention").waitFor();
check(!(await guest.content()).includes("Ledger of another company"), "the overview shows another company's");
await browser.close();
report();
