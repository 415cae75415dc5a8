// The page of one's own file: read, computed and shown in this browser alone.
import type { Site } from "./data";
import { analyse, type Dispersion, mostChiral } from "./dispersion";
import { h, say } from "./dom";
import { inUnit, type Material } from "./model";
import { crystalAndModes, modeTableButton, type Page } from "./pages";

const LARGEST_FILE = 64e6; // bytes

export function ownPage(site: Site, dropped: File | null): Page {
  const closers: (() => void)[] = [];
  const result = h("div", { class: "own" });
  const status = h("p", { class: "hint", role: "status" });
  const open = (file: File) => void show(file);
  const input = h("input", {
    type: "file",
    id: "own-file",
    accept: ".yaml,.yml,.gz",
    "aria-label": "phonopy YAML file",
    change: () => input.files?.[0] && open(input.files[0]),
  });

  async function show(file: File): Promise<void> {
    closers.splice(0).forEach((close) => close());
    result.replaceChildren();
    try {
      status.textContent = `Reading ${file.name} …`;
      const { readPhonopy } = await import("./phonopy");
      const found = await readPhonopy(await readText(file), site.symbols, tellProgress);
      status.textContent = "";
      result.append(...draw(site, file.name, found, closers));
      say(`${file.name} is shown.`);
    } catch (error) {
      status.textContent = `${file.name} cannot be shown. ${error instanceof Error ? error.message : error}`;
    }
  }

  async function tellProgress(done: number): Promise<void> {
    const text = `Computing modes: ${Math.round(100 * done)} %`;
    if (text === status.textContent) return;
    status.textContent = text;
    await new Promise((painted) => setTimeout(painted));
  }

  document.title = `Your own file · ${site.title}`;
  if (dropped) open(dropped);
  return {
    element: h(
      "article",
      { class: "material" },
      h(
        "section",
        { "aria-label": "Your own file", class: "dropzone" },
        h("h1", {}, "Your own file"),
        h(
          "p",
          {},
          "Drop a YAML file of phonopy here, or choose one: band.yaml or mesh.yaml with eigenvectors, or " +
            "phonopy_params.yaml with force constants. It stays in this browser: nothing is uploaded.",
        ),
        input,
        status,
      ),
      result,
    ),
    close: () => closers.forEach((close) => close()),
  };
}

// The text of a file, which may be compressed by gzip; what unpacks to more than the limit is not read.
async function readText(file: File): Promise<string> {
  if (file.size > LARGEST_FILE)
    throw new Error(`It has ${Math.round(file.size / 1e6)} MB; at most ${LARGEST_FILE / 1e6} MB are read.`);
  if (/\.xz$/.test(file.name)) throw new Error("Browsers do not unpack xz: unpack it first, with xz --decompress.");
  if (!/\.gz$/.test(file.name)) return file.text();
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const parts: BlobPart[] = [];
  for (let size = 0; ; ) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error("It is no gzip file.");
    });
    if (done) return new Blob(parts).text();
    size += value.length;
    if (size > LARGEST_FILE) {
      await reader.cancel();
      throw new Error(`It unpacks to more than ${LARGEST_FILE / 1e6} MB.`);
    }
    parts.push(value as BlobPart);
  }
}

function draw(site: Site, name: string, found: Dispersion, closers: (() => void)[]): HTMLElement[] {
  const { bands, special, motion } = analyse(found);
  const [row, band] = mostChiral(bands);
  const material: Material = {
    material_id: name.replace(/\.ya?ml(\.gz)?$/, ""),
    potential: "",
    row: { chirality_class: "II" },
    structure: found.crystal,
    convergence: {},
    facts: {},
    links: [],
    warnings: [],
    provenance: { citation: "", licence: "", limits: [], bibtex: "", started_at: null, settings: {}, versions: {} },
    validated: { n: 0, nearest: [] },
    twins: [],
    downloads: [],
    bands,
  };
  const labels = new Map(special.map((point) => [point.label, point.row]));
  return [
    h("div", { class: "files" }, h("h2", {}, material.material_id), modeTableButton(material.material_id, bands)),
    ...crystalAndModes(
      site,
      material,
      {
        bands: inUnit(bands),
        special,
        start: [special[row].label, band],
        motion: async (label) => motion(labels.get(label)!),
        address: () => null,
      },
      closers,
    ),
    h(
      "p",
      { class: "hint" },
      "Frequencies of a file with eigenvectors are taken for THz. Modes closer than 0.001 THz count as degenerate. " +
        "Born charges are not used: the splitting of longitudinal and transverse optical modes is that of the file's " +
        "eigenvectors, and none where they follow from force constants, which are interpolated as by phonopy and not " +
        "corrected: the catalogue imposes rotational sum rules, which change sound near Γ. Symmetry and pseudo-angular momentum are not determined.",
    ),
  ];
}
