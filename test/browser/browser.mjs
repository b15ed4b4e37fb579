// What both scripts share: a browser, its watch over what pages do, and axe.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const { URL: url, ADMIN_TOKEN: adminToken, SINK: sink, SCREENSHOTS: screenshots } = process.env;

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const problems = [];

// says notes a problem; the script goes on, to find them all.
export function says(problem) {
  problems.push(problem);
}

export function check(truth, what) {
  if (!truth) {
    says(what);
  }
}

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

// open gives a page that is watched: every request off its own origin, every
// error and every dialog is a problem.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Rome", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) {
      says(`${page.url()} makes a request to ${request.url()}`);
    }
  });
  page.on("pageerror", (error) => says(`${page.url()}: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) {
      says(`${page.url()}: ${message.text()}`);
    }
  });
  page.on("dialog", (dialog) => {
    says(`${page.url()} opens a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return page;
}

export async function signIn(page) {
  await page.goto(`${url}/ui/sign-in`);
  await page.locator('input[name="secret"]').last().fill(adminToken);
  await page.getByRole("button", { name: "Sign in" }).last().click();
  await page.waitForURL(/\/ui\/companies/);
}

const everything = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
export const contrast = { type: "rule", values: ["color-contrast"] };

// audit holds a page to WCAG 2.2 AA as far as axe can tell, and to what must
// hold of every page.
export async function audit(page, name, rules = everything) {
  const found = await page.evaluate(`(() => { ${axe}; return axe.run(document, { runOnly: ${JSON.stringify(rules)} }); })()`);
  for (const violation of found.violations) {
    if (["serious", "critical"].includes(violation.impact)) {
      says(`${name}: ${violation.id} (${violation.impact}): ${violation.nodes.map((n) => `${n.target}: ${n.failureSummary}`).join(" | ")}`);
    }
  }
  const facts = await page.evaluate(() => ({
    hostile: globalThis.hostile,
    inline: [...document.querySelectorAll("script:not([src]), style, [style], [onclick], [onerror], [onload]")].filter((e) => !e.closest(".uplot")).map((e) => e.outerHTML.slice(0, 120)),
    dangerous: [...document.querySelectorAll("[href], [src], [action]")].filter((e) => /^\s*javascript:/i.test(e.getAttribute("href") ?? e.getAttribute("src") ?? e.getAttribute("action"))).map((e) => e.outerHTML.slice(0, 120)),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    lost: document.body.innerText.match(/\b(?:nav|column|field|state|delivery|option|contract|role|error)\.[a-z_.]+\b/g)?.filter((word) => !word.startsWith("field.name") && ![...document.querySelectorAll("code")].some((code) => code.textContent.includes(word))) ?? [],
  }));
  check(!facts.hostile, `${name}: something hostile has come to life`);
  check(facts.inline.length === 0, `${name}: there is inline script or style: ${facts.inline}`);
  check(facts.dangerous.length === 0, `${name}: there is a dangerous link: ${facts.dangerous}`);
  check(facts.wide <= 0, `${name}: it is ${facts.wide} px wider than the screen`);
  check(facts.lost.length === 0, `${name}: there are texts without translation: ${facts.lost}`);
}

export function report() {
  if (problems.length > 0) {
    console.log(problems.join("\n"));
    process.exit(1);
  }
}
