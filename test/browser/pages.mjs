// Visits every page in light, in dark and on a phone, and in every language.
import { audit, check, contrast, launch, open, report, screenshots, signIn, url } from "./browser.mjs";

const company = `${url}/ui/companies/12345`;
const browser = await launch();

// pages gives every page there is to see, by the name of its screenshot.
async function pages(page) {
  await page.goto(`${company}/deliveries`);
  const deliveries = await page.locator("a.row").evaluateAll((links) => links.map((a) => [a.textContent, a.href]));
  const of = (text) => deliveries.find(([name]) => name.includes(text))[1];
  await page.goto(`${company}/events`);
  const events = await page.locator("a.row").evaluateAll((links) => links.map((a) => [a.textContent, a.href]));
  return {
    overview: `${company}/overview`,
    "overview-month": `${company}/overview?range=30d`,
    subscriptions: `${company}/subscriptions`,
    "subscriptions-filtered": `${company}/subscriptions?q=erp&state=active`,
    "subscriptions-none": `${company}/subscriptions?q=nothing+like+this`,
    subscription: `${company}/subscriptions/1`,
    "subscription-hostile": `${company}/subscriptions/3`,
    "subscription-unverified": `${company}/subscriptions/4`,
    "subscription-new": `${company}/subscriptions/new`,
    "subscription-new-native": `${company}/subscriptions/new?contract=native`,
    "subscription-new-fic": `${company}/subscriptions/new?contract=fic`,
    "subscription-edit": `${company}/subscriptions/1/edit`,
    "subscription-edit-hostile": `${company}/subscriptions/3/edit`,
    "subscription-delete": `${company}/subscriptions/1/delete`,
    deliveries: `${company}/deliveries`,
    "deliveries-filtered": `${company}/deliveries?state=discarded&type=invoice.paid`,
    "deliveries-resend": `${company}/deliveries/resend`,
    delivery: of("invoice.paid"),
    "delivery-hostile": of("javascript:"),
    events: `${company}/events`,
    event: events.find(([name]) => name.includes("invoice.paid"))[1],
    "event-hostile": events.find(([name]) => name.includes("javascript:"))[1],
    companies: `${url}/ui/companies`,
    apps: `${url}/ui/apps`,
    tokens: `${url}/ui/tokens`,
    catalogs: `${url}/ui/catalogs?contract=fic`,
    keys: `${url}/ui/keys`,
    users: `${url}/ui/users`,
    audit: `${url}/ui/audit`,
    "audit-filtered": `${url}/ui/audit?q=subscription`,
    settings: `${url}/ui/settings`,
    "not-found": `${url}/ui/nothing/here`,
  };
}

async function look(page, name, address, look) {
  await page.goto(address);
  if ((await page.locator("#preview").count()) > 0) {
    await page.locator("#preview:not(.htmx-request):not(:has-text('JavaScript'))").waitFor();
  }
  await audit(page, `${name} (${look})`, look === "dark" ? contrast : undefined); // the rest is as in light
  await page.screenshot({ path: `${screenshots}/${name}-${look}.png`, fullPage: true });
}

const looks = {
  light: { colorScheme: "light", viewport: { width: 1360, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1360, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};
for (const [name, options] of Object.entries(looks)) {
  const page = await open(browser, { ...options, reducedMotion: "reduce" });
  await look(page, "sign-in", `${url}/ui/sign-in`, name);
  await signIn(page);
  const all = Object.entries(await pages(page));
  for (const [at, address] of all) {
    await look(page, at, address, name);
  }
  if (name === "phone") {
    await page.goto(`${company}/subscriptions`);
    await page.getByRole("button", { name: "Open the menu" }).click();
    await page.getByRole("link", { name: "Deliveries" }).waitFor({ state: "visible" });
    await audit(page, "menu (phone)");
    await page.screenshot({ path: `${screenshots}/menu-phone.png` });
  }
  await page.context().close();
}

for (const [locale, title] of [["it-IT", "Sottoscrizioni"], ["es-ES", "Suscripciones"], ["fr-FR", "Abonnements"]]) {
  const page = await open(browser, { locale, viewport: { width: 1360, height: 900 } });
  await page.goto(`${url}/ui/sign-in`);
  await page.locator('input[name="secret"]').last().fill(process.env.ADMIN_TOKEN);
  await page.locator("form[action$=sign-in] button").last().click();
  await look(page, `subscriptions-${locale.slice(0, 2)}`, `${company}/subscriptions`, "light");
  check((await page.locator("h1").textContent()) === title, `in ${locale} the title is ${await page.locator("h1").textContent()}`);
  await look(page, `form-${locale.slice(0, 2)}`, `${company}/subscriptions/new?contract=native`, "light");
  await page.context().close();
}
await browser.close();
report();
