// The page of a material, and the comparison of two.

import { animate } from "./apng";
import { type BandChart, bandChart, describe, samePath } from "./bands";
import { badge, materialLink } from "./cells";
import { certainty } from "./certainty";
import type { Site } from "./data";
import { fetchJson, Missing } from "./data";
import { h, save, say } from "./dom";
import { quoted } from "./download";
import { columnName, explained, formula, number, spaceGroup, unit, value } from "./format";
import { lightSections } from "./lines";
import {
  type Bands,
  folder,
  inUnit,
  loadMaterial,
  type Material,
  numbersOf,
  type Special,
  unpack,
  type Vector,
} from "./model";
import { CrystalView } from "./scene";
import { spectrum } from "./spectrum";
import { type SphereView, sphereView } from "./sphere";
import { link, scale, scaled } from "./units";

// Pictures of one period in a movie.
const FRAMES = 40;

export interface Page {
  element: HTMLElement;
  close(): void;
}

async function find(site: Site, id: string, potential: string | null): Promise<Material> {
  const names = potential !== null && potential in site.files ? [potential] : Object.keys(site.files);
  for (const name of names) {
    try {
      return await loadMaterial(id, site.files[name]);
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
    }
  }
  throw new Missing(
    `There is no material "${id}"${names.length === 1 && potential ? ` with the potential ${potential}` : ""} in this catalogue. Look for it in the table.`,
  );
}

export async function materialPage(site: Site, id: string, parameters: URLSearchParams): Promise<Page> {
  const material = await find(site, id, parameters.get("potential"));
  const closers: (() => void)[] = [];
  const sections: HTMLElement[] = [heading(site, material)];
  if (material.warnings.length) {
    sections.push(
      h(
        "section",
        { class: "warnings", "aria-label": "Warnings" },
        h("ul", {}, ...material.warnings.map((text) => h("li", {}, text))),
      ),
    );
  }
  sections.push(...pictures(site, material, parameters, closers));
  const light = lightSections([material], closers);
  if (light) sections.push(light);
  sections.push(
    h(
      "div",
      { class: "columns" },
      ...(material.row.stable === undefined ? [] : [tensor(material), splittings(site, material)]),
      ...convergence(site, material),
      laboratory(material),
    ),
    certainty(material),
    provenance(site, material),
    everything(site, material),
  );
  document.title = `${material.row.formula ?? id} · ${id} · ${site.title}`;
  return {
    element: h("article", { class: "material" }, ...sections),
    close: () => closers.forEach((close) => close()),
  };
}

function heading(site: Site, material: Material): HTMLElement {
  const { row } = material;
  const facts: [string, string, string][] = [
    "score",
    "mean_optical_angular_momentum",
    "mean_optical_helicity",
    "largest_circular_splitting",
    "min_frequency_commensurate",
  ]
    .filter((name) => fact(row, name) !== null)
    .map((name) => {
      const column = site.columns.find((other) => other.name === name)!;
      return [
        column.title,
        `${number(fact(row, name)! * scale(column.unit))} ${unit(column.unit)}`,
        explained(name, column.description),
      ];
    });
  const symmetry = row.space_group_symbol
    ? h(
        "p",
        { class: "symmetry" },
        spaceGroup(String(row.space_group_symbol)),
        ` (${value(row.space_group_number)}), point group `,
        spaceGroup(String(row.point_group)),
        `, class ${value(row.chirality_class)}`,
        row.helicity_wave === "none" ? "" : `, ${value(row.helicity_wave)} wave`,
        row.hand ? `, ${String(row.hand)}-handed` : "",
        row.stable === undefined ? "" : row.stable ? ", stable" : ", unstable",
        row.shortlist_reason ? h("span", {}, " ", badge(row.evidence)) : "",
      )
    : null;
  return h(
    "header",
    { class: "heading" },
    h(
      "div",
      {},
      h(
        "h1",
        {},
        row.formula ? formula(String(row.formula)) : material.material_id,
        " ",
        h("span", { class: "id" }, material.material_id),
      ),
      symmetry,
      typeof row.explanation === "string" ? h("p", { class: "hint" }, row.explanation) : null,
    ),
    h(
      "dl",
      { class: "facts" },
      ...facts.map(([name, content, title]) => h("div", { title }, h("dt", {}, name), h("dd", {}, content))),
    ),
    switcher(material),
    downloads(material),
  );
}

// Facts that are the largest size in a list of the catalogue.
const LISTS: Record<string, string> = {
  largest_circular_splitting: "circular_splitting",
  largest_splitting: "splitting_linear",
};

function fact(row: Record<string, unknown>, name: string): number | null {
  if (name in LISTS) {
    const sizes = numbersOf(row, LISTS[name]).filter(Number.isFinite).map(Math.abs);
    return sizes.length ? Math.max(...sizes) : null;
  }
  return typeof row[name] === "number" ? (row[name] as number) : null;
}

function switcher(material: Material): HTMLElement {
  const here = `${material.material_id}@${material.potential}`;
  const others = material.twins.filter(([id, potential]) => `${id}@${potential}` !== here);
  return h(
    "nav",
    { class: "switch", "aria-label": "Choice of the potential" },
    h("span", {}, "Potential"),
    ...material.twins.map(([id, potential]) => {
      const current = `${id}@${potential}` === here;
      return h(
        "a",
        {
          href: materialLink(id, potential),
          "aria-current": current ? "page" : null,
          title: id === material.material_id ? null : `the same structure under the name ${id}`,
        },
        potential,
      );
    }),
    ...others.slice(0, 1).map(([id, potential]) =>
      h(
        "a",
        {
          class: "compare",
          href: link(`#/compare?a=${encodeURIComponent(here)}&b=${encodeURIComponent(`${id}@${potential}`)}`),
        },
        "Compare",
      ),
    ),
  );
}

function downloads(material: Material): HTMLElement {
  const files = material.downloads.map(([title, name]) =>
    h(
      "a",
      { href: folder(material.material_id) + encodeURIComponent(name), download: `${material.material_id}-${name}` },
      title,
    ),
  );
  return h(
    "nav",
    { class: "files", "aria-label": "Downloads" },
    h("span", {}, "Download"),
    ...files,
    material.bands && modeTableButton(material.material_id, material.bands),
  );
}

export function modeTableButton(name: string, bands: Bands): HTMLElement {
  const click = () => save(`${name}-modes.csv`, modeTable(bands), "text/csv");
  return h("button", { type: "button", class: "link", click }, "Mode table (CSV)");
}

function modeTable(bands: Bands): string {
  const lines = [
    "q_label,q_a,q_b,q_c,segment,path_distance,band,degenerate_set,frequency,l_x,l_y,l_z,helicity,cycloidicity,pam_raw,pam_integer,pam_order,pam_screw",
  ];
  bands.frequencies.forEach((row, q) =>
    row.forEach((frequency, band) =>
      lines.push(
        [
          quoted(bands.labels[q]),
          ...bands.q_points[q],
          bands.segments[q],
          bands.distances[q],
          band,
          bands.sets[q][band],
          frequency,
          ...bands.momentum[q][band],
          bands.helicity[q][band],
          bands.cycloidicity[q][band],
          bands.pam_raw[q][band] ?? "",
          bands.pam[q][band] ?? "",
          bands.pam_order[q] || "",
          bands.pam_order[q] ? bands.pam_screw[q] : "",
        ].join(","),
      ),
    ),
  );
  return `${lines.join("\n")}\n`;
}

function looksOf(site: Site): (atomicNumber: number) => [string, number] {
  return (z) => site.looks[z - 1];
}

function crystal(
  site: Site,
  material: Material,
  closers: (() => void)[],
): { view: CrystalView | null; element: HTMLElement } {
  if (!material.structure) return { view: null, element: h("p", { class: "hint" }, "There is no structure.") };
  try {
    const view = new CrystalView(material.structure, looksOf(site));
    view.setRepeats(repeatsOf(startingCells(material)));
    closers.push(() => view.close());
    return { view, element: h("div", {}, view.element, viewTools(view, material)) };
  } catch {
    return {
      view: null,
      element: h("p", { class: "hint" }, "The structure needs WebGL, which this browser does not offer."),
    };
  }
}

function viewTools(view: CrystalView, material: Material): HTMLElement {
  const along = ["a", "b", "c"].map((name, axis) =>
    h("button", { type: "button", "aria-label": `View along ${name}`, click: () => view.lookAlong(axis) }, name),
  );
  const still = h(
    "button",
    {
      type: "button",
      click: async () => save(`${material.material_id}.png`, (await view.picture())[0] as BlobPart, "image/png"),
    },
    "Still (PNG)",
  );
  return h("div", { class: "tools views" }, h("span", {}, "view along"), ...along, still);
}

function startingCells(material: Material): string {
  const n = material.structure?.numbers.length ?? 0;
  return n <= 4 ? "2×2×2" : n <= 8 ? "2×2×1" : "1×1×1";
}

const repeatsOf = (cells: string) => cells.split("×").map(Number) as Vector;

function elementKey(site: Site, material: Material): HTMLElement {
  const numbers = new Set(material.structure?.numbers ?? []);
  return h(
    "ul",
    { class: "key", "aria-label": "Elements" },
    ...[...numbers].map((z) => {
      const dot = h("i");
      dot.style.background = looksOf(site)(z)[0];
      return h("li", {}, dot, site.symbols[z - 1]);
    }),
  );
}

function pictures(site: Site, material: Material, parameters: URLSearchParams, closers: (() => void)[]): HTMLElement[] {
  const { special } = material;
  const bands = material.bands && inUnit(material.bands);
  const density = h(
    "section",
    { "aria-label": "Helicity density of states" },
    h("h2", {}, "Helicity density of states"),
    spectrum([material], closers),
  );
  if (!bands || !special) {
    const { element } = crystal(site, material, closers);
    return [
      h(
        "div",
        { class: "pictures" },
        h("section", { "aria-label": "Structure" }, h("h2", {}, "Structure"), element, elementKey(site, material)),
        material.row.helicity_dos ? density : "",
      ),
    ];
  }
  const modes = storedModes(site, material, bands, special, parameters);
  return crystalAndModes(site, material, modes, closers, density);
}

// Modes of the catalogue: displacements are loaded when a first one is played.
function storedModes(
  site: Site,
  material: Material,
  bands: Bands,
  special: Special[],
  parameters: URLSearchParams,
): Modes {
  const point = special.find(({ label }) => label === parameters.get("q")) ?? special[0];
  const asked = Number(parameters.get("band")) - 1;
  const valid = asked >= 0 && asked < bands.frequencies[0].length;
  const path = folder(material.material_id) + encodeURIComponent(site.files[material.potential]);
  let displacements: Promise<Record<string, string>> | null = null;
  return {
    bands,
    special,
    start: [point.label, valid ? asked : firstCircular(point)],
    motion: async (label) => {
      displacements ??= fetchJson(`${path}.modes.json`);
      return unpack((await displacements)[label]);
    },
    address: (q, band) => {
      const said = new URLSearchParams({ potential: material.potential, q, band: String(band + 1) });
      return link(`#/material/${encodeURIComponent(material.material_id)}?${said}`);
    },
  };
}

function firstCircular({ circulation }: Special): number {
  const sizes = circulation.map(Math.abs);
  const found = sizes.findIndex((size, band) => band > 2 && size > 0.3);
  return found < 0 ? Math.min(3, sizes.length - 1) : found;
}

// What a player plays: the bands as drawn, and the modes whose motion is known.
export interface Modes {
  bands: Bands;
  special: Special[];
  // Name of the q-point and band shown at first.
  start: [string, number];
  // Displacements of all bands at a q-point; order: band, atom, component, real and imaginary part.
  motion(label: string): Promise<Float32Array>;
  // Link to a mode, where it has one.
  address(label: string, band: number): string | null;
}

export function crystalAndModes(
  site: Site,
  material: Material,
  modes: Modes,
  closers: (() => void)[],
  density: HTMLElement | null = null,
): HTMLElement[] {
  const { view, element } = crystal(site, material, closers);
  const player = new Player(site, material, modes, view);
  closers.push(() => player.close());
  return [
    h(
      "div",
      { class: "pictures" },
      h(
        "section",
        { "aria-label": "Structure" },
        h("h2", {}, "Structure and motion"),
        element,
        elementKey(site, material),
        player.controls,
      ),
      h("section", { "aria-label": "Bands" }, h("h2", {}, "Bands"), player.chart.element),
    ),
    h(
      "div",
      { class: "pictures" },
      h("section", { "aria-label": "Modes" }, player.list),
      density &&
        h(
          "section",
          { "aria-label": "Helicity" },
          h("h2", {}, "Helicity over directions of q"),
          player.sphere?.element ?? h("p", { class: "hint" }, "The picture needs WebGL."),
          density,
        ),
    ),
  ];
}

// The chosen mode: it moves the crystal, is marked in the bands, and colours the sphere.
class Player {
  readonly chart: BandChart;
  readonly sphere: SphereView | null;
  readonly controls: HTMLElement;
  readonly list: HTMLElement;
  private readonly body = h("tbody");
  private readonly caption = h("p", { class: "hint", role: "status" });
  private readonly button = h(
    "button",
    { type: "button", class: "primary", id: "play", click: () => void this.toggle() },
    "Play",
  );
  private readonly select: HTMLSelectElement;
  private readonly bands: Bands;
  private readonly special: Special[];
  private point: Special;
  private band: number;

  constructor(
    private readonly site: Site,
    private readonly material: Material,
    private readonly modes: Modes,
    private readonly view: CrystalView | null,
  ) {
    const { bands, special, start } = modes;
    [this.bands, this.special] = [bands, special];
    this.chart = bandChart(bands, { choose: (row, band) => this.nearest(row, band) });
    this.sphere = this.makeSphere();
    this.point = special.find(({ label }) => label === start[0])!;
    this.band = start[1];
    this.select = h(
      "select",
      {
        id: "point",
        "aria-label": "q-point",
        change: () => {
          this.choose(this.select.value, this.band);
        },
      },
      ...special.map(({ label }) => h("option", { value: label }, label)),
    );
    this.controls = this.makeControls();
    this.list = h(
      "div",
      {},
      h("div", { class: "tools" }, h("h2", {}, "Modes at "), this.select),
      this.makeTable(),
      h(
        "p",
        { class: "hint" },
        "l and h are means of the degenerate set; PAM and l·n belong to the motion shown, whose partners circle about one axis n.",
      ),
    );
    this.apply(false);
  }

  close(): void {
    this.chart.close();
    this.sphere?.close();
  }

  private makeSphere(): SphereView | null {
    try {
      return this.material.sphere ? sphereView(this.material.sphere) : null;
    } catch {
      return null;
    }
  }

  private makeControls(): HTMLElement {
    const { view } = this;
    const slider = (title: string, min: number, max: number, start: number, set: (value: number) => void) => {
      const input = h("input", {
        type: "range",
        min,
        max,
        step: 0.05,
        value: start,
        "aria-label": title,
        input: () => set(input.valueAsNumber),
      });
      return h("label", { class: "slider" }, title, input);
    };
    const cells = h(
      "select",
      { "aria-label": "Cells shown", change: () => view?.setRepeats(repeatsOf(cells.value)) },
      ...["1×1×1", "2×2×1", "2×2×2", "1×1×3", "3×3×1", "3×3×3"].map((name) => h("option", {}, name)),
    );
    cells.value = startingCells(this.material);
    if (!view) this.button.disabled = true;
    return h(
      "div",
      { class: "player" },
      h(
        "div",
        { class: "tools" },
        this.button,
        slider("size", 0.1, 1.2, 0.5, (size) => view?.setAmplitude(size)),
        slider("speed", 0.1, 2, 1, (speed) => view?.setSpeed(speed)),
        h("label", {}, "cells ", cells),
        this.makeMirror(),
        this.makeMovie(),
      ),
      this.caption,
    );
  }

  // Only a chiral crystal differs from its mirror image.
  private makeMirror(): HTMLElement | null {
    const { row } = this.material;
    if (!this.view || row.chirality_class !== "II") return null;
    const box = h("input", { type: "checkbox", id: "mirror", change: () => this.view?.setMirrored(box.checked) });
    return h("label", {}, box, " both hands, the mirror image on the right");
  }

  private makeMovie(): HTMLElement | null {
    const { view } = this;
    if (!view) return null;
    const name = () => `${this.material.material_id}-${this.point.label}-band-${this.band + 1}.png`;
    const button = h(
      "button",
      {
        type: "button",
        title: "One period as an animated PNG, which browsers play in a loop",
        click: async () => {
          button.disabled = true;
          await this.load();
          save(name(), animate(await view.picture(FRAMES), 2000 / FRAMES), "image/png");
          button.disabled = false;
        },
      },
      "Movie (PNG)",
    );
    return button;
  }

  private makeTable(): HTMLElement {
    const head: [string, string][] = [
      ["band", "Band, counted from 1"],
      ["ν", "frequency"],
      ["l_x", "l_x"],
      ["l_y", "l_y"],
      ["l_z", "l_z"],
      ["h", "helicity"],
      ["PAM", "Pseudo-angular momentum of the motion shown, about its axis"],
      ["l·n", "Angular momentum of the motion shown, along its axis n"],
      ["Raman", "Channels of circular back-scattering that see the mode"],
    ];
    const title = (name: string) => (name in this.site.modes ? explained(name, this.site.modes[name][1]) : name);
    const units: Record<string, string> = { ν: unit("THz"), l_x: "ħ", l_y: "ħ", l_z: "ħ", h: "ħ", l·n: "ħ" };
    return h(
      "div",
      { class: "modes", tabindex: 0, role: "region", "aria-label": "List of modes" },
      h(
        "table",
        { class: "list" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...head.map(([name, about]) =>
              h(
                "th",
                { scope: "col", title: title(about) },
                subscript(name),
                units[name] ? h("small", {}, ` ${units[name]}`) : null,
              ),
            ),
          ),
        ),
        this.body,
      ),
    );
  }

  private nearest(row: number, band: number): void {
    const at = this.bands.distances[row];
    const best = this.special.reduce((a, b) => (this.distance(b, at) < this.distance(a, at) ? b : a));
    this.choose(best.label, band);
    void this.start();
  }

  // A name may stand at several places of the path, or at none.
  private distance({ label, row }: Special, at: number): number {
    return Math.min(
      Math.abs(this.bands.distances[row] - at),
      ...this.bands.labels.flatMap((name, i) => (name === label ? [Math.abs(this.bands.distances[i] - at)] : [])),
    );
  }

  private choose(label: string, band: number): void {
    this.point = this.special.find((other) => other.label === label)!;
    this.band = band;
    this.apply(true);
  }

  private apply(publish: boolean): void {
    const { row, label, circulation, channels, pam, axis } = this.point;
    const { bands } = this;
    this.select.value = label;
    this.body.replaceChildren(
      ...bands.frequencies[row].map((frequency, band) => {
        const chosen = band === this.band;
        const pick = h(
          "button",
          {
            type: "button",
            "aria-pressed": chosen,
            "aria-label": `Animate band ${band + 1}`,
            "data-band": band + 1,
            click: () => {
              this.choose(label, band);
              void this.start();
            },
          },
          String(band + 1),
        );
        const first = band === 0 || bands.sets[row][band] !== bands.sets[row][band - 1];
        return h(
          "tr",
          { class: `${chosen ? "active" : ""} ${first ? "first" : ""}` },
          h("td", {}, pick),
          h("td", {}, number(frequency, 4)),
          ...bands.momentum[row][band].map((part) => h("td", {}, number(part))),
          h("td", {}, number(bands.helicity[row][band])),
          h("td", {}, number(pam[band])),
          h("td", {}, number(circulation[band], 2)),
          h("td", {}, channels[band] || "–"),
        );
      }),
    );
    this.body.querySelector("tr.active")?.scrollIntoView({ block: "nearest" });
    this.chart.mark(row, this.band);
    this.sphere?.show(this.band);
    this.caption.textContent = `${label}, band ${this.band + 1}: ${number(bands.frequencies[row][this.band], 4)} ${unit("THz")}, axis n = (${axis.map((part) => number(Number(part.toFixed(3)))).join(", ")})`;
    if (publish) {
      const address = this.modes.address(label, this.band);
      if (address !== null) history.replaceState(null, "", address);
      say(
        describe(bands, row, this.band)
          .map((part) => part.textContent)
          .join(", "),
      );
      if (this.view?.playing) void this.start();
    }
  }

  private async toggle(): Promise<void> {
    if (this.view?.playing) {
      this.view.play(false);
      this.button.textContent = "Play";
    } else await this.start();
  }

  private async start(): Promise<void> {
    if (!this.view) return;
    await this.load();
    this.view.play(true);
    this.button.textContent = "Pause";
  }

  private async load(): Promise<void> {
    const displacements = await this.modes.motion(this.point.label);
    this.view?.show({
      q: this.bands.q_points[this.point.row],
      displacements,
      band: this.band,
      sign: this.point.circulation[this.band],
    });
  }
}

function subscript(name: string): Node | string {
  const [head, tail] = name.split("_");
  return tail ? h("span", {}, head, h("sub", {}, tail)) : name;
}

function tensor(material: Material): HTMLElement {
  const [kelvin, flat] = [numbersOf(material.row, "temperatures"), numbersOf(material.row, "tensor")];
  if (!kelvin.length || flat.length !== 9 * kelvin.length)
    return h("section", {}, h("h2", {}, "Response tensor"), h("p", { class: "hint" }, "Not computed."));
  const body = h("tbody");
  const note = h("p", { class: "hint" });
  const select = h(
    "select",
    { id: "kelvin", "aria-label": "Temperature", change: () => draw(select.selectedIndex) },
    ...kelvin.map((t) => h("option", {}, `${t} K`)),
  );
  function draw(index: number): void {
    const part = flat.slice(9 * index, 9 * index + 9);
    const largest = Math.max(...part.map(Math.abs)) || 1;
    body.replaceChildren(
      ...[0, 1, 2].map((i) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, subscript(`l_${"xyz"[i]}`)),
          ...[0, 1, 2].map((j) => {
            const cell = h("td", {}, Math.abs(part[3 * i + j]) < 1e-9 * largest ? "0" : number(part[3 * i + j]));
            cell.style.setProperty("--share", String(Math.round((45 * Math.abs(part[3 * i + j])) / largest)));
            cell.className = part[3 * i + j] < 0 ? "left" : "right";
            return cell;
          }),
        ),
      ),
    );
    const share = numbersOf(material.row, "tensor_largest_share")[index];
    note.textContent = `J s m⁻² K⁻¹ per s of relaxation time; rows: angular momentum, columns: gradient. Largest share of one star of q: ${number(share)}.`;
  }
  const nearest = kelvin.reduce((best, t, i) => (Math.abs(t - 300) < Math.abs(kelvin[best] - 300) ? i : best), 0);
  select.selectedIndex = nearest;
  draw(nearest);
  return h(
    "section",
    { "aria-label": "Response tensor" },
    h("div", { class: "tools" }, h("h2", {}, "Response tensor at "), select),
    h(
      "table",
      { class: "matrix" },
      h("thead", {}, h("tr", {}, h("td"), ...["x", "y", "z"].map((name) => h("th", { scope: "col" }, `∂T/∂${name}`)))),
      body,
    ),
    note,
    h("p", { class: "hint" }, `Allowed by symmetry: ${value(material.row.tensor_components)}.`),
  );
}

function splittings(site: Site, material: Material): HTMLElement {
  const { row } = material;
  const orders = numbersOf(row, "axis_orders");
  const channel = Array.isArray(row.raman_channels) ? row.raman_channels.map(String) : [];
  const axes = orders.map((order, i) => {
    const direction = numbersOf(row, "axis_directions").slice(3 * i, 3 * i + 3);
    const screw = numbersOf(row, "axis_screws")[i];
    const modes = numbersOf(row, "raman_axes").flatMap((axis, k) =>
      axis === i ? [`${number(numbersOf(row, "raman_frequencies")[k] * scale("THz"))} (${channel[k]})`] : [],
    );
    return h(
      "div",
      { class: "axis" },
      h(
        "h3",
        {},
        `Axis ${order}`,
        screw ? h("sub", {}, String(screw)) : null,
        ` along (${direction.map((part) => number(Number(part.toFixed(3)))).join(", ")})`,
      ),
      numbersOf(row, "splitting_max").length
        ? pairs(
            [
              ["Circular splitting", "circular_splitting"],
              ["Linear splitting", "splitting_linear"],
              ["Acoustic splitting", "splitting_acoustic"],
              ["Largest splitting", "splitting_max"],
            ].map(([title, name]) => {
              const [dimension, description] = site.descriptions[name];
              return [title, quantity(numbersOf(row, name)[i], dimension), explained(name, description)];
            }),
          )
        : h("p", { class: "hint" }, "The crystal is not chiral: opposite hands do not split."),
      modes.length
        ? h(
            "details",
            {},
            h("summary", {}, `${modes.length} modes seen by circular Raman (${unit("THz")})`),
            h("p", { class: "hint" }, modes.join(", ")),
          )
        : null,
    );
  });
  return h(
    "section",
    { "aria-label": "Axes" },
    h("h2", {}, "Opposite hands along axes"),
    ...(axes.length
      ? [...axes, h("p", { class: "hint" }, "Splittings are differences of frequency, per k in Å⁻¹ with 2π.")]
      : [h("p", { class: "hint" }, "No axis of order 3, 4 or 6.")]),
  );
}

const quantity = (found: number, dimension: string) =>
  Number.isFinite(found) ? `${number(found * scale(dimension))} ${unit(dimension)}` : "–";

function pairs(content: [string | Node, string | Node, string?][]): HTMLElement {
  return h(
    "dl",
    { class: "pairs" },
    ...content.map(([name, text, title]) => h("div", { title }, h("dt", {}, name), h("dd", {}, text))),
  );
}

function described(site: Site, row: Record<string, unknown>): HTMLElement {
  return pairs(
    Object.entries(row).map(([name, content]) => {
      const [dimension, description] = site.descriptions[name] ?? ["", ""];
      const text = `${value(scaled(content, dimension))} ${unit(dimension)}`.trim();
      return [columnName(name), text, explained(name, description)];
    }),
  );
}

function convergence(site: Site, material: Material): HTMLElement[] {
  const titles: Record<string, string> = {
    relaxations: "Relaxation",
    phonons: "Force constants",
    chirality: "Sampling of the zone",
  };
  return Object.entries(material.convergence)
    .filter(([, row]) => Object.keys(row).length)
    .map(([table, row]) =>
      h("section", { "aria-label": titles[table] }, h("h2", {}, titles[table]), described(site, row)),
    );
}

function laboratory(material: Material): HTMLElement {
  const { facts, row } = material;
  const shortlist = row.shortlist_reason ? `${row.shortlisted ? "yes" : "no"}: ${row.shortlist_reason}` : "–";
  return h(
    "section",
    { "aria-label": "For the laboratory" },
    h("h2", {}, "For the laboratory"),
    pairs([
      ["Shortlist", shortlist],
      ...Object.entries(facts).map(([name, text]): [string, string] => [name[0].toUpperCase() + name.slice(1), text]),
    ]),
  );
}

function provenance(site: Site, material: Material): HTMLElement {
  const { row, provenance: from } = material;
  return h(
    "div",
    { class: "columns" },
    h(
      "section",
      { "aria-label": "Potential" },
      h("h2", {}, "Potential and its limits"),
      h("p", {}, h("strong", {}, material.potential), from.licence ? ` (${from.licence})` : ""),
      h("ul", {}, ...from.limits.map((text) => h("li", {}, text))),
      from.citation ? h("p", { class: "hint" }, from.citation) : null,
      row.checkpoint_digest ? h("p", { class: "hint code" }, String(row.checkpoint_digest)) : null,
    ),
    h(
      "section",
      { "aria-label": "Provenance" },
      h("h2", {}, "Provenance"),
      pairs([
        ["Record", `${value(row.source)} / ${value(row.source_record)}`],
        ["Database", value(row.database)],
        ["Licence of the structure", value(row.licence)],
        ...material.links.map(({ title, name, address }): [string, Node] => [
          title,
          h("a", { href: address, rel: "noreferrer" }, name),
        ]),
        ["Run", value(row.run_id)],
        ["Started", value(from.started_at)],
        ["Digest of the structure", h("span", { class: "code" }, value(row.structure_hash))],
        [
          "Programs",
          Object.entries(from.versions)
            .map(([name, version]) => `${name} ${version}`)
            .join(", ") || "–",
        ],
      ]),
      h("details", {}, h("summary", {}, "Settings of the run"), h("pre", {}, JSON.stringify(from.settings, null, 2))),
      h("details", {}, h("summary", {}, "BibTeX"), h("pre", { class: "bibtex" }, from.bibtex)),
      h("p", { class: "hint" }, site.title, ", chiralscreen ", site.version),
    ),
  );
}

function everything(site: Site, material: Material): HTMLElement {
  const long = new Set([
    "helicity_dos",
    "helicity_dos_absolute",
    "helicity_harmonics",
    "tensor_windows",
    "window_edges",
  ]);
  const row = Object.fromEntries(Object.entries(material.row).filter(([name]) => !long.has(name)));
  return h("details", { class: "everything" }, h("summary", {}, "All stored numbers"), described(site, row));
}

export async function comparePage(site: Site, parameters: URLSearchParams): Promise<Page> {
  const names = ["a", "b"].map((key) => parameters.get(key) ?? "");
  if (names.some((name) => !name.includes("@")))
    throw new Error("A comparison needs two crystals: choose two rows of the table.");
  const [a, b] = await Promise.all(
    names.map((name) => find(site, name.slice(0, name.indexOf("@")), name.slice(name.indexOf("@") + 1))),
  );
  const closers: (() => void)[] = [];
  const sections: HTMLElement[] = [
    h(
      "header",
      { class: "heading" },
      h("h1", {}, "Comparison"),
      h("ul", { class: "versus" }, versus(a, "right"), versus(b, "left")),
    ),
  ];
  const [ours, theirs] = [a, b].map(({ bands }) => bands && inUnit(bands));
  if (ours && theirs) {
    const element = h("section", { "aria-label": "Bands" }, h("h2", {}, "Bands"));
    if (samePath(ours, theirs)) {
      const chart = bandChart(ours, { other: theirs });
      closers.push(() => chart.close());
      element.append(chart.element);
    } else {
      element.append(h("p", { class: "hint" }, "The standard paths differ; the bands stand side by side."));
      const side = h("div", { class: "pictures" });
      for (const bands of [ours, theirs]) {
        const chart = bandChart(bands);
        closers.push(() => chart.close());
        side.append(chart.element);
      }
      element.append(side);
    }
    sections.push(
      element,
      h(
        "section",
        { "aria-label": "Helicity density of states" },
        h("h2", {}, "Helicity density of states"),
        spectrum([a, b], closers),
      ),
    );
  }
  const light = lightSections([a, b], closers);
  if (light) sections.push(light);
  sections.push(
    numbersOfBoth(site, a, b),
    h(
      "div",
      { class: "pictures" },
      ...[a, b].map((one) =>
        h(
          "section",
          { "aria-label": `Structure of ${one.material_id}, ${one.potential}` },
          h("h2", {}, one.material_id, " ", h("small", {}, one.potential)),
          crystal(site, one, closers).element,
          elementKey(site, one),
        ),
      ),
    ),
  );
  document.title = `${a.material_id} and ${b.material_id} · ${site.title}`;
  return {
    element: h("article", { class: "material" }, ...sections),
    close: () => closers.forEach((close) => close()),
  };
}

function versus(material: Material, side: string): HTMLElement {
  return h(
    "li",
    { class: side },
    h(
      "a",
      { href: materialLink(material.material_id, material.potential) },
      material.row.formula ? formula(String(material.row.formula)) : "",
      " ",
      material.material_id,
    ),
    h("span", {}, material.potential),
  );
}

function shownAs(name: string, content: unknown): Node | string {
  if (typeof content === "string" && (name === "space_group_symbol" || name === "point_group"))
    return spaceGroup(content);
  return typeof content === "string" && name === "formula" ? formula(content) : value(content);
}

function numbersOfBoth(site: Site, a: Material, b: Material): HTMLElement {
  const skip = new Set(["material_id", "reason", "outcome", "potential", "elements"]);
  const rows = site.columns
    .filter(({ name }) => !skip.has(name))
    .flatMap((column) => {
      const [left, right] = [a, b].map(({ row }) =>
        scaled(column.name in LISTS ? fact(row, column.name) : row[column.name], column.unit),
      );
      if ((left ?? null) === null && (right ?? null) === null) return [];
      const numeric = typeof left === "number" && typeof right === "number" && column.kind === "number";
      const share = numeric && left !== 0 ? ` (${number((100 * (right - left)) / Math.abs(left), 2)} %)` : "";
      const differs = JSON.stringify(left) !== JSON.stringify(right);
      return [
        h(
          "tr",
          { class: differs ? "differs" : null, title: explained(column.name, column.description) },
          h("th", { scope: "row" }, column.title, column.unit ? h("small", {}, ` ${unit(column.unit)}`) : null),
          h("td", {}, shownAs(column.name, left)),
          h("td", {}, shownAs(column.name, right)),
          h("td", {}, numeric && differs ? number(right - left) + share : ""),
        ),
      ];
    });
  return h(
    "section",
    { "aria-label": "Numbers" },
    h("h2", {}, "Numbers"),
    h(
      "div",
      { class: "modes all", tabindex: 0, role: "region", "aria-label": "Numbers of both" },
      h(
        "table",
        { class: "list wide" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["quantity", `${a.material_id} ${a.potential}`, `${b.material_id} ${b.potential}`, "difference"].map(
              (name) => h("th", { scope: "col" }, name),
            ),
          ),
        ),
        h("tbody", {}, ...rows),
      ),
    ),
  );
}
