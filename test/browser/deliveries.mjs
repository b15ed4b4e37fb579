// Follows deliveries as they come, checks a signature step by step, sends again
// what failed, one and all, and finds who did it in the audit. At each stop the
// page is looked at in light, in dark and at the width of a phone.
import { audit, check, contrast, launch, open, report, screenshots, signIn, sink, url, adminToken } from "./browser.mjs";

const { SECRET: secret, PORTAL: portal } = process.env;
const company = `${url}/ui/companies/12345`;
const looks = {
  light: { scheme: "light", width: 1360 },
  dark: { scheme: "dark", width: 1360 },
  tablet: { scheme: "light", width: 1024 },
  phone: { scheme: "light", width: 390 },
};
const browser = await launch();
const page = await open(browser, { viewport: { width: 1360, height: 900 }, reducedMotion: "reduce" });
const main = page.locator("main");
const rows = main.locator("tbody tr");

async function shows(where, text, what) {
  try {
    await where.getByText(text).first().waitFor({ state: "visible" });
  } catch {
    check(false, `${what}: ${page.url()} does not show ${text}; it shows: ${(await where.innerText()).slice(0, 900)}`);
  }
}

// stop looks at the page as it is, in every way.
async function stop(name, of = page) {
  for (const [look, { scheme, width }] of Object.entries(looks)) {
    await of.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await of.setViewportSize({ width, height: 900 });
    await audit(of, `${name} (${look})`, look === "dark" ? contrast : undefined);
    await of.screenshot({ path: `${screenshots}/flow-${name}-${look}.png`, fullPage: true, caret: "initial" });
  }
  await of.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await of.setViewportSize({ width: 1360, height: 900 });
}

async function publish(id) {
  const answer = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/cloudevents+json" },
    body: JSON.stringify({ specversion: "1.0", id: String(id), source: "/browser", type: "invoice.paid", subject: `invoice/${id}`, companyid: "12345", data: { id } }),
  });
  check(answer.status === 202, `an event is answered with ${answer.status}`);
}

const sinkAnswers = (status) => fetch(`${sink}/answers?status=${status}`);
const row = (entity) => rows.filter({ hasText: entity });

await signIn(page);

// 1. What is new comes by itself, from an empty list on, within the filter.
await page.goto(`${company}/deliveries`);
await shows(main, "No deliveries yet", "an empty list");
await shows(main, "appear here by themselves", "an empty list");
await sinkAnswers(415);
await publish(1);
await shows(row("invoice/1"), "Given up", "a new delivery");
check(!(await main.getByText("No deliveries yet").isVisible()), "the list is said to be empty, and is not");
await main.locator('select[name="state"]').selectOption("discarded");
await page.waitForURL(/state=discarded/);
await publish(2);
await shows(row("invoice/2"), "Given up", "a new delivery within the filter");
check((await row("invoice/1").count()) === 1, "the earlier one has gone");
await stop("live-tail");

// 2. Paused, it stays as it is.
await main.getByRole("button", { name: "Pause" }).click();
await shows(main, "Paused: the list stays as it is.", "the pause");
await publish(3);
const other = await open(browser);
await signIn(other);
await other.goto(`${company}/deliveries?entity=invoice/3`);
await shows(other.locator("tbody"), "Given up", "the list in another window");
await other.context().close();
check((await rows.count()) === 2, `a list that is paused has ${await rows.count()} rows`);
await main.getByRole("button", { name: "Go on" }).click();
await shows(row("invoice/3"), "Given up", "a list that goes on");

// 3. The signature of what was sent, step by step, and the code of a receiver.
await row("invoice/3").locator("a.row").click();
await shows(main, "415 Unsupported Media Type", "the delivery");
await main.locator("details.trace > summary").click();
await shows(main.locator("details.trace > summary"), "Signature valid", "the check of the signature");
for (const step of ["The header fields", "The time", "What is signed", "The secret", "HMAC-SHA256", "The comparison"]) {
  await shows(main.locator(".steps"), step, "the check of the signature");
}
const signed = (await main.locator(".headers").first().innerText()).match(/webhook-signature:?\s*(\S+)/)[1];
check((await main.locator(".steps").innerText()).split(signed).length > 3, "the signature is not computed and compared");
check((await main.locator(".steps .verdict").count()) > 0 && (await main.locator(".steps .invalid, .steps .unchecked").count()) === 0, "a step is not good");
await main.locator("summary", { hasText: "JavaScript" }).click();
await shows(main, "timingSafeEqual", "the code");
check(!(await page.content()).includes(secret.replace("whsec_", "")), "the page shows the secret");
await stop("signature");

// 4. One is sent again, and its page follows it.
await sinkAnswers(200);
await main.getByRole("button", { name: "Send again", exact: true }).click();
await shows(main, "The delivery is on its way again.", "a delivery sent again");
await shows(main, "The sink has taken it.", "a delivery sent again");
await shows(main, "Attempt 2", "a delivery sent again");
await stop("resent");

// 5. The page of its event says who heard of it.
await main.getByRole("link", { name: /^seq/ }).click();
await shows(main.locator("tbody").first(), "Delivered", "the page of the event");
await shows(main, "Warehouse, production", "the page of the event");
await stop("event");

// 6. All that failed is sent again, and the list shows it as it happens.
await page.goto(`${company}/deliveries`);
await main.getByRole("link", { name: "Send failed ones again…" }).click();
await shows(main, "Failed deliveries that will be sent again: 2", "the count");
await stop("resend-all");
const watcher = await open(browser, { viewport: { width: 1360, height: 900 } });
await signIn(watcher);
await watcher.goto(`${company}/deliveries?state=discarded`);
await watcher.locator("tbody tr").nth(1).waitFor();
await main.getByRole("button", { name: "Send them all again" }).click();
await shows(main, "Done", "the run");
await shows(main, "2 / 2", "the run");
await stop("resend-all-done");
await shows(watcher.locator("main"), "Nothing found", "the list of what failed");
await watcher.context().close();

// 7. The audit knows who did it.
await page.goto(`${url}/ui/audit?q=resend`);
await shows(main.locator("tbody"), "delivery.resend", "the audit");
await stop("audit");

// 8. Who comes by a portal link has the same of what is theirs.
const guest = await open(browser, { viewport: { width: 1360, height: 900 } });
await guest.goto(portal);
await guest.goto(`${company}/deliveries`);
await publish(4);
await shows(guest.locator("tbody tr").filter({ hasText: "invoice/4" }), "Delivered", "the portal's list");
await guest.locator("tbody tr").filter({ hasText: "invoice/4" }).locator("a.row").click();
await guest.locator("details.trace > summary").click();
await shows(guest.locator("details.trace > summary"), "Signature valid", "the portal's check of the signature");
check(!(await guest.content()).includes(secret.replace("whsec_", "")), "the portal shows the secret");
await stop("portal-signature", guest);

// 9. In every language the steps have their words.
for (const [language, words] of [["it", "Controllo della firma"], ["es", "Comprobación de la firma"], ["fr", "Contrôle de la signature"]]) {
  await guest.locator(".nav").getByRole("button", { name: new RegExp(`^${language}:`) }).click();
  await guest.locator("details.trace > summary").click();
  await shows(guest.locator("details.trace > summary"), words, `the check in ${language}`);
  await guest.screenshot({ path: `${screenshots}/flow-signature-${language}.png`, fullPage: true });
}
await browser.close();
report();
