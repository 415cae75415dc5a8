// Bundles src/ into tasks/site/assets/, or into the folder that is named, with the licences of what is inside.

import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { build } from "esbuild";

const target = `${resolve(process.argv[2] ?? "../tasks/site/assets")}/`;
for (const name of await readdir(target).catch(() => [])) {
  await rm(target + name, { recursive: true });
}
const result = await build({
  entryPoints: { main: "src/main.ts" },
  outdir: target + "app",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "none",
  charset: "utf8",
  metafile: true,
  logLevel: "info",
});
await cp("src/index.html", target + "index.html");
await cp("src/favicon.svg", target + "app/favicon.svg");

const inside = new Set();
for (const file of Object.keys(result.metafile.inputs)) {
  const found = file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) inside.add(found[1]);
}
const parts = [];
for (const name of [...inside].sort()) {
  const about = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
  const files = await readdir(`node_modules/${name}`);
  const licence = files.find((file) => /^licen[cs]e/i.test(file));
  const text = licence ? await readFile(`node_modules/${name}/${licence}`, "utf8") : "";
  parts.push(`${name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
}
await writeFile(target + "app/LICENSES.txt", parts.join(`\n${"-".repeat(78)}\n\n`));

// A test compares this with the sources, so that a forgotten build is noticed.
const digest = createHash("sha256");
for (const name of (await readdir("src")).sort()) digest.update(await readFile(`src/${name}`));
digest.update(await readFile("package-lock.json"));
await writeFile(target + "app/SOURCES.sha256", `${digest.digest("hex")}\n`);
