// Looks at a report in headless Chromium: three widths, light, dark and on paper, with axe-core.
// node look.mjs REPORT.html FOLDER, from a folder where `npm install playwright-core axe-core` was
// called; needs /usr/bin/chromium.
import { readFileSync, writeFileSync } from "fs";
import { createRequire } from "module";
import { resolve } from "path";

const here = createRequire(process.cwd() + "/");
const { chromium } = here("playwright-core");
const [report, folder] = process.argv.slice(2);
const address = "file://" + resolve(report);
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: quiet });
const axe = readFileSync(here.resolve("axe-core/axe.min.js"), "utf8");
const found = [];
for (const scheme of ["light", "dark"])
  for (const width of [390, 768, 1400]) {
    const page = await browser.newPage(
      { viewport: { width, height: 900 }, colorScheme: scheme, bypassCSP: true });
    const errors = [], asked = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (said) => said.type() === "error" && errors.push(said.text()));
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(address);
    await page.screenshot({ path: `${folder}/report-${scheme}-${width}.png`, fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
    await page.addScriptTag({ content: axe });
    const { violations, passes } = await page.evaluate(() => axe.run(document));
    found.push({ scheme, width, overflow, errors, requests: asked.length,
      rules_passed: passes.length,
      faults: violations.map(({ id, impact, nodes }) => ({ id, impact, places: nodes.length })) });
    await page.close();
  }
const page = await browser.newPage({ colorScheme: "dark" });
await page.goto(address);
await page.pdf({ path: `${folder}/report.pdf`, format: "A4", printBackground: true });
await page.reload();
let marks = 0;
for (let step = 0; step < 40; step += 1) {
  await page.keyboard.press("Tab");
  marks += await page.evaluate(() => document.activeElement.matches("svg .mark[aria-label]"));
}
await browser.close();
writeFileSync(`${folder}/found.json`, JSON.stringify({ looks: found, marks_in_40_steps: marks }, null, 1));
console.log(JSON.stringify(found.map(({ scheme, width, overflow, faults }) => [scheme, width, overflow, faults])));
