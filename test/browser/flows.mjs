// Plays what people do, with a browser that runs scripts or with one that does
// not (SCRIPT=no).
import { check, launch, open, report, sink, url, adminToken } from "./browser.mjs";

const scripted = process.env.SCRIPT === "yes";
const browser = await launch();
const options = { javaScriptEnabled: scripted, viewport: { width: 1360, height: 900 } };
const page = await open(browser, options);
const main = page.locator("main");

// says that the page shows a text.
async function shows(text, what) {
  try {
    await main.getByText(text).first().waitFor({ state: "visible" });
  } catch {
    check(false, `${what}: ${page.url()} does not show ${text}; it shows: ${(await main.innerText()).slice(0, 600)}`);
  }
}

async function press(name, within = main) {
  await within.getByRole("button", { name, exact: true }).first().click();
}

async function publish(id) {
  const answer = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/cloudevents+json" },
    body: JSON.stringify({ specversion: "1.0", id, source: "/browser", type: "invoice.created", companyid: "12345", data: {} }),
  });
  check(answer.status === 202, `an event is answered with ${answer.status}`);
}

// 1. Nobody sees anything; a wrong token opens nothing; the right one leads on
// to the page that was asked for.
await page.goto(`${url}/ui/settings`);
check(page.url().endsWith("/ui/sign-in?next=%2Fui%2Fsettings"), `a stranger is at ${page.url()}`);
await page.locator('input[name="secret"]').fill("wrong");
await press("Sign in");
await shows("That did not fit", "a wrong token");
await page.locator('input[name="secret"]').fill(adminToken);
await press("Sign in");
check(page.url() === `${url}/ui/settings`, `who has signed in is at ${page.url()}`);
await shows("retention", "the settings");
check(!(await page.content()).includes(adminToken), "the settings show the admin token");

// 2. A company, and an app.
await page.goto(`${url}/ui/`);
await shows("No companies yet", "the first page");
await main.locator('input[name="id"]').fill("12345");
await main.locator('input[name="name"]').fill("Rossi & figli");
await press("Save");
await shows("The company was saved.", "a new company");
await main.getByRole("link", { name: "12345" }).click();
await shows("No subscriptions yet", "a new company's subscriptions");
await main.getByRole("link", { name: "New subscription" }).click();
await shows("First add an app", "a subscription without an app");
await main.getByRole("link", { name: "Apps" }).click();
await main.locator('input[name="name"]').fill("Warehouse");
await press("Add an app");
await shows("The app was added.", "a new app");

// 3. A subscription: what is wrong is said in its place, and nothing that was
// written is lost.
await page.goto(`${url}/ui/companies/12345/subscriptions/new`);
await main.getByRole("link", { name: "Native" }).click();
await main.locator('select[name="app"]').selectOption({ label: "Warehouse" });
await main.locator('input[name="sink"]').fill(`${sink}/erp?token=topsecret`);
await main.locator('input[name="name"]').fill("ERP");
if (scripted) {
  await main.locator("input[data-filter]").fill("invoice paid");
  const shown = await main.locator("#tree li:visible").allTextContents();
  check(shown.length > 0 && shown.every((text) => /invoice/.test(text) && /paid/.test(text)), `the search for a type finds ${shown}`);
}
if (!(await main.locator('input[value="invoice.paid"]').isVisible())) {
  await main.locator("summary").filter({ hasText: /^invoice/ }).first().click();
}
await main.locator('input[value="invoice.paid"]').check();
if (scripted) {
  await shows("webhook-signature", "the preview");
  await shows("2026/42", "the preview");
  await main.getByLabel("Structured").check();
  await shows("specversion", "the preview of another format");
}
await main.locator("summary").filter({ hasText: "Filters" }).click();
await main.locator('textarea[name="filters"]').fill('[{"nonsense": 1}]');
await press("Create subscription");
await shows("The fields in question say what.", "a filter that is none");
check((await main.locator('input[name="name"]').inputValue()) === "ERP", "what was written is lost");
check(await main.locator('input[value="invoice.paid"]').isChecked(), "what was ticked is lost");
await main.locator('textarea[name="filters"]').fill("");
await press("Create subscription");
await shows("This is shown this once", "a new subscription");
const secret = await main.locator("pre").first().textContent();
check(secret.startsWith("whsec_"), `the secret is ${secret.slice(0, 6)}…`);
await main.getByRole("link", { name: "I have kept it" }).click();
await shows("Everything is in order", "a verified subscription");
check(!(await page.content()).includes("topsecret"), "the page shows the query of the sink");
check(!(await page.content()).includes(secret), "the page shows the secret");
const subscription = page.url();

// 4. A test: its page shows what becomes of it.
await press("Send test");
await shows("A test is on its way.", "a test");

for (let tries = 0; tries < 60 && !(await main.getByText("200 OK").first().isVisible()); tries++) {
  if (scripted) {
    await main.getByText("200 OK").first().waitFor({ state: "visible", timeout: 5_000 }).catch(() => {});
  } else {
    await page.reload();
  }
}
await shows("The sink has taken it.", "a test that arrived");
await main.locator("summary").filter({ hasText: "curl" }).click();
await shows(/curl -X 'POST'/, "the command for curl");
check(!(await page.content()).includes("topsecret"), "the delivery shows the query of the sink");
await press("Send again");
await shows("The delivery is on its way again.", "a delivery sent again");

// 5. Disable, enable, edit, rotate.
await page.goto(subscription);
await press("Disable");
await shows("Sending is paused", "a disabled subscription");
await press("Enable");
await shows("Everything is in order", "an enabled subscription");
await main.getByRole("link", { name: "Edit" }).click();
await main.locator('input[name="name"]').fill("ERP, production");
await press("Save");
await shows("The subscription was changed.", "an edited subscription");
await shows("ERP, production", "an edited subscription");
await main.locator('input[name="overlap"]').fill("1");
await press("Make a new secret");
await shows("The new signing secret", "a rotated secret");
check((await main.locator("pre").first().textContent()) !== secret, "the new secret is the old one");

// 6. The list finds it, and does not.
await page.goto(`${url}/ui/companies/12345/subscriptions`);
await main.locator('input[name="q"]').fill("production");
await press("Filter");
await shows("ERP, production", "a search");
await main.locator('input[name="q"]').fill("something else");
await press("Filter");
await shows("Nothing found", "a search for nothing");

// 7. The list of events renews itself.
await page.goto(`${url}/ui/companies/12345/events`);
await shows("No events yet", "the events of a new company");
await publish("first");
await page.reload();
await shows("/browser", "the first event");
await publish("second");
if (!scripted) {
  await page.reload();
}
await shows("second", "a new event");

// 8. Tokens: shown once, revoked.
await page.goto(`${url}/ui/tokens`);
await main.getByLabel("publish").check();
await press("Make a token");
const token = await main.locator("pre").first().textContent();
check(token.startsWith("fattorino_publish_"), `the token is ${token.slice(0, 18)}…`);
await main.getByRole("link", { name: "I have kept it" }).click();
check(!(await page.content()).includes(token), "the list shows the token");
await main.locator("summary").filter({ hasText: "Revoke" }).click();
await main.getByRole("button", { name: /^Revoke/ }).click();
await shows("The token is out of force.", "a revoked token");

// 9. Users: a viewer sees, and does not touch.
await page.goto(`${url}/ui/users`);
await main.locator('form[action$="/users"] input[name="name"]').fill("anna");
await main.locator('form[action$="/users"] input[name="password"]').fill("correct horse battery");
await press("Add a user");
await shows("The user was added.", "a new user");
const other = await open(browser, options);
await other.goto(`${url}/ui/sign-in`);
await other.locator('input[name="name"]').fill("anna");
await other.locator('input[name="secret"]').first().fill("correct horse battery");
await other.getByRole("button", { name: "Sign in" }).first().click();
await other.goto(subscription);
check((await other.locator("h1").textContent()) === "ERP, production", "a viewer does not see a subscription");
check((await other.getByRole("link", { name: "Edit" }).count()) === 0, "a viewer is offered to edit");
await other.goto(`${subscription}/edit`);
check((await other.locator("main").innerText()).includes("needs the role “Operator”"), "a viewer may edit");
await page.locator('.person select[name="role"]').selectOption("operator");
await press("Save");
await shows("The user was changed.", "a changed user");
await other.goto(`${subscription}/edit`);
check((await other.locator('input[name="sink"]').count()) === 1, "an operator may not edit");
await main.locator("summary").filter({ hasText: "Delete anna" }).click();
await press("Delete anna");
await shows("The user was deleted", "a deleted user");
await other.goto(subscription);
check(other.url().includes("/ui/sign-in"), "a deleted user is still signed in");

// 10. Delete, language, theme, sign out.
await page.goto(subscription);
await main.getByRole("link", { name: "Delete" }).click();
await press("Delete");
await shows("The subscription was deleted.", "a deleted subscription");
await shows("No subscriptions yet", "a deleted subscription");
await page.locator(".nav").getByRole("button", { name: "it: Italiano" }).click();
check((await page.locator("h1").textContent()) === "Sottoscrizioni", "the language does not change");
await page.locator(".nav").getByRole("button", { name: "Scuro" }).click();
check((await page.locator("html").getAttribute("data-theme")) === "dark", "the theme does not change");
await page.locator(".nav").getByRole("button", { name: "Esci" }).click();
await page.goto(`${url}/ui/apps`);
check(page.url().includes("/ui/sign-in"), "who has signed out is still signed in");

await browser.close();
report();
