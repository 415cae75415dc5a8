// How sure the numbers of a crystal are, in words.
import { h } from "./dom";
import { formula, number, spaceGroup, unit, value } from "./format";
import { type Material, numbersOf } from "./model";
import { scale } from "./units";

type Row = Record<string, unknown>;

const size = (row: Row, name: string): number | null => {
  const found = row[name];
  return typeof found === "number" && Number.isFinite(found) ? found : null;
};
const percent = (share: number) => `${number(Number((100 * share).toPrecision(2)), 2)} %`;
const terahertz = (frequency: number) => `${number(frequency * scale("THz"), 2)} ${unit("THz")}`;

// The value of a list at the temperature nearest 300 K.
function atRoomTemperature(row: Row, name: string): number | null {
  const kelvin = numbersOf(row, "temperatures");
  if (!kelvin.length) return null;
  const nearest = kelvin.reduce((best, t, i) => (Math.abs(t - 300) < Math.abs(kelvin[best] - 300) ? i : best), 0);
  const found = numbersOf(row, name)[nearest];
  return Number.isFinite(found) ? found : null;
}

function largest(row: Row, name: string): number | null {
  const sizes = numbersOf(row, name).filter(Number.isFinite).map(Math.abs);
  return sizes.length ? Math.max(...sizes) : null;
}

export function errorBars(row: Row): string[] {
  return [frequencies(row), ...dependences(row), charges(row), volume(row)].filter((text) => text !== null);
}

function frequencies(row: Row): string {
  const [usual, rare] = [size(row, "frequency_bar_68"), size(row, "frequency_bar_90")];
  if (usual === null || rare === null)
    return "No second potential was compared, so the frequencies have no error bar of their own.";
  return (
    `Frequencies (mean over the modes) are off by up to ${terahertz(usual)} in 68 of 100 crystals like this one, ` +
    `by up to ${terahertz(rare)} in 90; judged from the difference to ${value(row.other_potential)}.`
  );
}

function dependences(row: Row): (string | null)[] {
  const told: [string, number | null, number | null][] = [
    ["The mean helicity", size(row, "helicity_spread"), size(row, "helicity_disagreement")],
    ["The response tensor at 300 K", atRoomTemperature(row, "tensor_spread"), size(row, "tensor_disagreement")],
    ["The linear splitting", largest(row, "splitting_spread"), size(row, "splitting_disagreement")],
  ];
  return told.map(([name, division, potential]) => {
    const parts = [
      division === null ? null : `${percent(division)} with another division of force constants among periodic images`,
      potential === null ? null : `${percent(potential)} with ${value(row.other_potential)}`,
    ].filter((part) => part !== null);
    return parts.length ? `${name} changes by ${parts.join(", and by ")}.` : null;
  });
}

function charges(row: Row): string | null {
  const [born, dielectric] = [size(row, "charge_uncertainty"), size(row, "dielectric_uncertainty")];
  if (row.nac_source !== "predicted" || born === null || dielectric === null) return null;
  return (
    `Born charges are predicted: a component is off by up to ${number(born, 2)} e and the dielectric tensor by up to ` +
    `${percent(dielectric)} in 68 of 100 crystals; the least known element was learned from ${value(row.charge_crystals)} crystals.`
  );
}

function volume(row: Row): string | null {
  const change = size(row, "measured_volume_change");
  if (change === null) return null;
  return `The relaxed volume is ${percent(Math.abs(change))} ${change < 0 ? "smaller" : "larger"} than the measured one.`;
}

const list = (texts: string[]) => h("ul", {}, ...texts.map((text) => h("li", {}, text)));

export function certainty(material: Material): HTMLElement {
  const { row } = material;
  if (row.stable === undefined) return h("div");
  return h(
    "div",
    { class: "columns" },
    h("section", { "aria-label": "Error bars" }, h("h2", {}, "How sure the numbers are"), list(errorBars(row))),
    validated(material),
  );
}

const verdict = (agrees: boolean | null) => (agrees === null ? "–" : agrees ? "right" : "wrong");

function validated({ potential, validated: { n, nearest } }: Material): HTMLElement {
  const title = h("h2", {}, "Validated crystals like it");
  if (!nearest.length)
    return h(
      "section",
      { "aria-label": "Validated crystals" },
      title,
      h(
        "p",
        { class: "hint" },
        n
          ? `None of the ${n} crystals validated with ${potential} has the same most electronegative element.`
          : `No crystal was validated with ${potential}.`,
      ),
    );
  return h(
    "section",
    { "aria-label": "Validated crystals" },
    title,
    h(
      "div",
      { class: "modes all", tabindex: 0, role: "region", "aria-label": "Table of validated crystals" },
      h(
        "table",
        { class: "list" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "crystal"),
            h("th", { scope: "col", title: "Whether stable or not is what the reference says" }, "stability"),
            h("th", { scope: "col", title: "Sign of the largest helicity of a mode that stands alone" }, "sign of h"),
            h(
              "th",
              { scope: "col", title: "Mean absolute error of the frequencies" },
              "error ",
              h("small", {}, unit("THz")),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          ...nearest.map((crystal) =>
            h(
              "tr",
              { title: `against ${crystal.reference}` },
              h("th", { scope: "row" }, formula(crystal.formula), " ", spaceGroup(crystal.symbol)),
              h("td", {}, verdict(crystal.stability_agrees)),
              h("td", {}, verdict(crystal.leading_sign_agrees)),
              h("td", {}, crystal.frequency_mae === null ? "–" : number(crystal.frequency_mae * scale("THz"), 2)),
            ),
          ),
        ),
      ),
    ),
    h(
      "p",
      { class: "hint" },
      `The nearest of ${n} crystals compared with DFT for this potential: the same most electronegative element, then the ` +
        "same formula, most elements in common, the same space group. They suggest an error and do not bound it.",
    ),
  );
}
