// Signs in at an OpenID provider, sees who one is, and signs out.
import { audit, check, contrast, launch, open, report, says, screenshots, url } from "./browser.mjs";

const issuer = process.env.ISSUER;
const browser = await launch();

// visit gives a page that may leave for the issuer, and for nowhere else.
async function visit(options) {
  const page = await open(browser, { reducedMotion: "reduce", ...options });
  page.removeAllListeners("request");
  page.on("request", (request) => {
    if (![new URL(url).origin, issuer].includes(new URL(request.url()).origin)) {
      says(`${page.url()} makes a request to ${request.url()}`);
    }
  });
  return page;
}

const looks = {
  light: { colorScheme: "light", viewport: { width: 1360, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1360, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};
for (const [look, options] of Object.entries(looks)) {
  const page = await visit(options);
  await page.goto(`${url}/ui/sign-in`);
  await audit(page, `sign-in-openid (${look})`, look === "dark" ? contrast : undefined);
  await page.screenshot({ path: `${screenshots}/sign-in-openid-${look}.png`, fullPage: true });
  await page.context().close();
}

for (const [locale, button] of [["en-GB", "Single sign-on"], ["it-IT", "Accesso unico (SSO)"], ["es-ES", "Inicio de sesión único (SSO)"], ["fr-FR", "Authentification unique (SSO)"]]) {
  for (const javaScriptEnabled of [true, false]) {
    const page = await visit({ locale, javaScriptEnabled, viewport: { width: 1360, height: 900 } });
    await page.goto(`${url}/ui/apps`);
    await page.getByRole("link", { name: button, exact: true }).click();
    await page.waitForURL(`${url}/ui/apps`);
    check((await page.locator("body").innerText()).includes("anna"), `in ${locale} the page does not say who is signed in`);
    check((await page.locator('a[href="/ui/password"]').count()) === 0, `in ${locale} a password is offered to who has none`);
    const cookies = await page.context().cookies();
    const session = cookies.find((c) => c.name === "fattorino_session");
    check(session?.httpOnly && session.sameSite === "Lax", `the cookie of the session is ${JSON.stringify({ ...session, value: "" })}`);
    check(!cookies.some((c) => c.name === "fattorino_openid"), "the cookie of the attempt stays");
    await page.locator('form[action="/ui/sign-out"] button').click();
    await page.waitForURL(/\/ui\/sign-in\?signed_out$/);
    const there = await page.locator('.notice a[rel="noreferrer"]').getAttribute("href");
    check(there.includes("/end?client_id="), `the issuer's page to sign out is said to be ${there}`);
    if (javaScriptEnabled) {
      await audit(page, `signed out (${locale})`);
      await page.screenshot({ path: `${screenshots}/signed-out-openid-${locale}.png` });
    }
    await page.goto(`${url}/ui/apps`);
    check(page.url().includes("/ui/sign-in"), `signed out, ${page.url()} is still shown`);
    await page.context().close();
  }
}

// A callback that nobody asked for says what to do.
const page = await visit({ viewport: { width: 1360, height: 900 } });
await page.goto(`${url}/ui/sign-in/oidc/callback?code=x&state=y`);
await page.getByRole("alert").waitFor();
await audit(page, "sign-in-openid-lost");
await page.screenshot({ path: `${screenshots}/sign-in-openid-lost.png`, fullPage: true });
await browser.close();
report();
