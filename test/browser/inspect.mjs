// Plays the inspector: a bin is made, a subscription is made to it and is
// verified by it, a test arrives live, and its signature is good.
import { createHmac } from "node:crypto";
import { audit, check, contrast, launch, open, report, screenshots, signIn, url } from "./browser.mjs";

const browser = await launch();
const page = await open(browser, { viewport: { width: 1360, height: 900 }, reducedMotion: "reduce" });
const main = page.locator("main");

async function shows(text, what, within = main) {
  try {
    await within.getByText(text).first().waitFor({ state: "visible" });
  } catch {
    check(false, `${what}: ${page.url()} does not show ${text}; it shows: ${(await main.innerText()).slice(0, 900)}`);
  }
}

async function press(name) {
  await main.getByRole("button", { name, exact: true }).first().click();
}

// shoot keeps a page as it is seen in light, in dark and on a phone, and holds
// it to what holds of every page.
async function shoot(name) {
  for (const [look, scheme, width, height] of [["light", "light", 1360, 900], ["dark", "dark", 1360, 900], ["phone", "light", 390, 844]]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height });
    await audit(page, `${name} (${look})`, look === "dark" ? contrast : undefined);
    await page.screenshot({ path: `${screenshots}/${name}-${look}.png`, fullPage: true, caret: "initial" });
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 1360, height: 900 });
}

await signIn(page);

// 1. A bin in one click, waiting.
await page.goto(`${url}/ui/companies/12345/subscriptions`);
await page.locator(".nav").getByRole("link", { name: "Inspector" }).click();
await shows("No bins yet", "the list of bins");
await shoot("inspector-none");
await main.locator('input[name="name"]').fill("ERP, trial");
await press("New bin");
await shows("Waiting for the first request", "a new bin");
const bin = page.url().split("?")[0];
const address = await main.locator(".address pre").textContent();
check(address.startsWith(`${url}/inspect/`), `the address is ${address}`);
await page.goto(bin);
await shoot("inspector-empty");

// 2. A subscription to it, made in another window while this one looks on: the
// challenge arrives by itself, and is answered.
const other = await page.context().newPage();
await other.goto(bin);
await other.getByRole("link", { name: "Subscribe this bin" }).click();
await other.getByRole("link", { name: "Native" }).click();
check((await other.locator('input[name="sink"]').inputValue()) === address, `the sink is ${await other.locator('input[name="sink"]').inputValue()}`);
await other.locator('select[name="app"]').selectOption({ index: 1 });
await other.locator("summary").filter({ hasText: /^invoice/ }).first().click();
await other.locator('input[value="invoice.paid"]').check();
await other.locator('input[name="name"]').press("Enter"); // which creates it, and chooses no bin
const secret = await other.locator("main pre").first().textContent();
check(secret.startsWith("whsec_"), "there is no secret");
await shows("The bin has proved itself", "the challenge, live");
await shows("The sender asks whether", "the challenge, live");
await shoot("inspector-challenge");
await other.getByRole("link", { name: "I have kept it" }).click();
await other.getByText("Everything is in order").first().waitFor({ state: "visible" });

// 3. A test arrives: as this service knows the subscription that sent it, its
// signature is checked, step by step; and the secret is nowhere.
await other.getByRole("button", { name: "Send test" }).click();
await shows("Signature valid", "a test", page.locator("#detail"));
await shows("ERP, trial", "a test says which subscription sent it", page.locator("h1"));
await main.locator("summary").filter({ hasText: "Signature check" }).click();
await shows("The comparison", "the steps of the check", page.locator("#detail"));
check(!(await page.content()).includes(secret.slice("whsec_".length)), "the page shows the secret");
await shoot("inspector-trace");
await other.goBack();
await other.getByRole("button", { name: "Send test" }).click();
await page.locator(".arrivals li").nth(2).waitFor({ state: "visible" });
await shows("#3", "the next test, live", page.locator("#detail"));
await shows("Signature valid", "the next test, live", page.locator("#detail"));
check((await page.locator(".arrivals li").first().innerText()).includes("Signature valid"), "the row of the next test says nothing of its signature");

// Of another service the secret is not known: it is entered for one check, and
// then for the bin.
const theirs = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const stamp = String(Math.floor(Date.now() / 1000));
const order = '{"type":"order.paid","data":{"id":7}}';
const mac = createHmac("sha256", Buffer.from(theirs.slice("whsec_".length), "base64")).update(`msg_2.${stamp}.${order}`).digest("base64");
await fetch(`${address}/theirs`, { method: "POST", body: order, headers: { "webhook-id": "msg_2", "webhook-timestamp": stamp, "webhook-signature": `v1,${mac}`, "Content-Type": "application/json" } });
await shows("Signature not checked", "what another service sent", page.locator("#detail"));
await shoot("inspector-foreign");
await main.locator('textarea[name="check"]').fill(theirs);
await fetch(`${address}/other`, { method: "POST" });
await page.locator(".arrivals li").nth(4).waitFor({ state: "visible" });
check((await main.locator('textarea[name="check"]').inputValue()) === theirs, "what comes in takes away what someone writes");
await press("Check");
await shows("entered for this check", "a key for one check", page.locator("#detail"));
check(!(await page.content()).includes(theirs.slice("whsec_".length)), "the page shows the key that was entered");
await shoot("inspector-checked");
await page.goto(bin);
await page.locator(".arrivals a").nth(1).click();
await shows("Signature not checked", "the key is not kept", page.locator("#detail"));
await main.locator("summary").filter({ hasText: "Keys to check" }).click();
await main.locator('input[name="key"]').fill(theirs);
await press("Add key");
await page.locator(".arrivals a").nth(1).click();
await shows("Signature valid", "with a key of the bin", page.locator("#detail"));
await page.goto(bin);

// 4. What is forged is told.
const forged = await fetch(address, {
  method: "POST", body: '{"type":"invoice.paid","data":{}}',
  headers: { "webhook-id": "msg_1", "webhook-timestamp": String(Math.floor(Date.now() / 1000)), "webhook-signature": "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "Content-Type": "application/json" },
});
check(forged.status === 200, `a forged notification is answered with ${forged.status}`);
await shows("Signature invalid", "a forged notification", page.locator("#detail"));
await fetch(`${address}/more?x=1&y=%3Cb%3E`, { method: "PUT", body: "<script>window.hostile=1</script>" });
await shows("It is of no contract that is known here.", "a request of no contract");
await page.locator(".arrivals a").nth(3).click();
await shows("Signature valid", "the request that was chosen", page.locator("#detail"));
check((await page.locator('.arrivals a[aria-current="true"]').count()) === 1, "the request that was chosen is not marked");
await shoot("inspector");
await page.locator(".arrivals a").nth(1).click();
await shows("It is of none of the keys", "the forged one, chosen", page.locator("#detail"));
await shoot("inspector-forged");
await main.getByRole("link", { name: "Show the newest" }).click();

// 5. The first two fail, and then it answers as it is set.
await main.locator("summary").filter({ hasText: "How it answers" }).click();
await main.locator('input[name="fail"]').fill("2");
await main.locator('input[name="status"]').fill("202");
await press("Save");
await shows("From now on the bin answers so.", "how it answers");
const statuses = [];
for (let i = 0; i < 3; i++) {
  statuses.push((await fetch(address, { method: "POST" })).status);
}
check(statuses.join() === "500,500,202", `it answers ${statuses}`);
await shows("#10", "the last of them, live", page.locator("#detail"));
await page.goto(bin);
await main.locator("summary").filter({ hasText: "How it answers" }).click();
await shoot("inspector-answers");

// 6. The list, and the end.
await main.getByRole("link", { name: "Inspector" }).click();
await shows("ERP, trial", "the list of bins");
await shoot("inspector-list");
await page.goto(bin);
await press("Clear");
await shows("The bin is empty.", "a cleared bin");
await main.locator("summary").filter({ hasText: "Delete" }).click();
await shoot("inspector-delete");
await press("Delete");
await shows("The bin was deleted", "a deleted bin");
check((await fetch(address)).status === 404, "a deleted bin still answers");

await browser.close();
report();
