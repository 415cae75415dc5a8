// Pages by the part of the URL after "#": the table, a material, a comparison.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { fetchBytes, fetchJson, readTable, type Site } from "./data";
import { h } from "./dom";
import { TableView } from "./table";
import { chooseUnit, learnUnits, link } from "./units";

const content = document.getElementById("content")!;
let leave: () => void = () => undefined;
let tableHash = "#/";
let dropped: File | null = null;
const home = h("a", {
  class: "home",
  href: "#/",
  click: (event: Event) => {
    if (document.body.classList.contains("page") && tableHash !== "#/") {
      event.preventDefault();
      location.hash = tableHash;
    }
  },
});
const own = h("a", { title: "Show a YAML file of phonopy; nothing is uploaded" }, "Your file");
const unitMenu = h("select", { id: "unit", "aria-label": "Unit of frequencies", change: () => showIn(unitMenu.value) });

async function start(): Promise<void> {
  const early = /^#?\/?($|\?|#\/($|\?))/.test(location.hash) ? fetchBytes("materials.parquet") : null;
  const site = await fetchJson<Site>("site.json");
  drawBar(site, learnUnits(site));
  let view: Promise<TableView> | null = null;
  const table = () => (view ??= (early ?? fetchBytes("materials.parquet")).then((bytes) => stagedTable(site, bytes)));
  const go = () => void route(site, table).catch(fail);
  addEventListener("hashchange", go);
  acceptFiles(go);
  go();
}

// A file dropped anywhere is shown on its own page.
function acceptFiles(go: () => void): void {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropped = event.dataTransfer?.files[0] ?? null;
    if (!dropped) return;
    if (location.hash.startsWith("#/own")) go();
    else location.hash = link("#/own");
  });
}

// What the first sight of the table needs comes first; the other columns follow behind it.
const FACETS = new Set(["outcome", "point_group", "hand", "database", "warnings", "magnetic_ordering"]);

async function stagedTable(site: Site, bytes: ArrayBuffer): Promise<TableView> {
  const early = site.columns.filter(({ name, initial }) => initial || FACETS.has(name));
  const found = await readTable(bytes, early);
  const rest = new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))
    .then(() =>
      readTable(
        bytes,
        site.columns.filter((column) => !early.includes(column)),
      ),
    )
    .then(({ columns }) => {
      for (const [name, column] of columns) found.columns.set(name, column);
    });
  return new TableView(site, found, rest);
}

async function route(site: Site, table: () => Promise<TableView>): Promise<void> {
  const [path, search = ""] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  const parameters = new URLSearchParams(search);
  const here = location.hash;
  unitMenu.value = chooseUnit(parameters.get("unit"));
  home.setAttribute("href", link("#/"));
  own.setAttribute("href", link("#/own"));
  const material = path.match(/^\/material\/([^/]+)$/);
  if (!material && !["", "/", "/compare", "/own"].includes(path))
    throw new Error(`This catalogue has no page "${path}". The link may be cut off or misspelt.`);
  if (path === "/own") {
    const { ownPage } = await import("./own");
    if (location.hash !== here) return;
    leave();
    const page = ownPage(site, dropped);
    dropped = null;
    leave = page.close;
    show(page.element, true);
  } else if (material || path === "/compare") {
    const module = await import("./pages");
    const page = material
      ? await module.materialPage(site, decoded(material[1]), parameters)
      : await module.comparePage(site, parameters);
    if (location.hash !== here) {
      page.close();
      return;
    }
    leave();
    leave = page.close;
    show(page.element, true);
  } else {
    const view = await table();
    if (search !== "") await view.complete;
    if (location.hash !== here) return;
    leave();
    show(view.element, false);
    leave = () => {
      tableHash = view.hash;
      view.hide();
    };
    view.show(parameters);
    firstTable();
  }
}

// A cut-off link may end in half a letter.
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show(element: HTMLElement, isPage: boolean): void {
  document.body.classList.toggle("page", isPage);
  if (content.firstElementChild !== element) content.replaceChildren(element);
  if (isPage) {
    scrollTo(0, 0);
    content.focus({ preventScroll: true });
  }
}

// The fragment of the address names the page, so that a plain link to the content would leave it.
document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault();
  content.focus();
});

function firstTable(): void {
  if (performance.getEntriesByName("first-table").length) return;
  requestAnimationFrame(() => setTimeout(() => performance.measure("first-table", { start: 0 })));
}

// The same page in another unit: what the link says, and what the table shows when it comes back.
function showIn(name: string): void {
  chooseUnit(name);
  const without = (hash: string) => hash.replace(/([?&])unit=[^&]*&?/, "$1").replace(/[?&]$/, "");
  tableHash = link(without(tableHash));
  location.hash = link(without(location.hash || "#/"));
}

function drawBar(site: Site, units: string[]): void {
  document.title = site.title;
  unitMenu.replaceChildren(...units.map((name) => h("option", { value: name }, site.units[name].text)));
  home.append(h("img", { src: "app/favicon.svg", alt: "", width: 20, height: 20 }), site.title);
  document
    .getElementById("bar")!
    .replaceChildren(
      home,
      h(
        "nav",
        { "aria-label": "Whole catalogue" },
        h("label", {}, "ν in ", unitMenu),
        own,
        h("a", { href: "materials.parquet", download: "materials.parquet" }, "Data"),
        h("a", { href: "CITATION.cff", title: "Citation file of the whole catalogue" }, "Cite"),
        h("a", { href: "CITATION.bib", download: "CITATION.bib" }, "BibTeX"),
        h("a", { href: "app/LICENSES.txt" }, "Licences"),
        h("span", { class: "version" }, `chiralscreen ${site.version}`),
      ),
    );
}

function fail(error: unknown): void {
  leave();
  leave = () => undefined;
  const message = error instanceof Error ? error.message : String(error);
  show(
    h(
      "div",
      { class: "sorry" },
      h("h1", {}, "This page cannot be shown"),
      h("p", {}, message),
      h("p", {}, h("a", { href: link("#/") }, "Back to the table")),
    ),
    true,
  );
}

start().catch(fail);
