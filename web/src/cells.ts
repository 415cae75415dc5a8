// How a cell of the table reads.

import type { ColumnInfo, Table } from "./data";
import { num, text } from "./data";
import { h, svg } from "./dom";
import { formula, number, spaceGroup } from "./format";
import { link, scale } from "./units";

// Rounding noise of numbers that symmetry makes zero.
const NOISE = 1e-12;

export function materialLink(id: string, potential: string): string {
  return link(`#/material/${encodeURIComponent(id)}?potential=${encodeURIComponent(potential)}`);
}

export function cell(table: Table, column: ColumnInfo, row: number): Node | string {
  const { name, kind } = column;
  if (!table.columns.has(name)) return "";
  if (kind === "flag") {
    const flag = num(table, name, row);
    if (Number.isNaN(flag)) return "–";
    return flag === 1 ? "yes" : h("span", { class: "no" }, "no");
  }
  if (kind === "number") {
    const value = num(table, name, row);
    if (name === "score" && !Number.isNaN(value)) return score(value);
    return number(Math.abs(value) < NOISE ? 0 : value * scale(column.unit));
  }
  const word = text(table, name, row);
  if (word === "") return "–";
  if (name === "formula") return formula(word);
  if (name === "evidence") return badge(word);
  if (name === "space_group_symbol" || name === "point_group") return spaceGroup(word);
  return word;
}

const EVIDENCE: Record<string, string> = { observed: "observed", hull: "near the hull" };

// What says that a crystal exists.
export function badge(evidence: unknown): HTMLElement {
  const kind = typeof evidence === "string" && evidence in EVIDENCE ? evidence : "none";
  return h("span", { class: `badge ${kind}` }, EVIDENCE[kind] ?? "no evidence of existence");
}

function score(value: number): HTMLElement {
  return h(
    "span",
    { class: "score" },
    svg(
      "svg",
      { viewBox: "0 0 40 6", width: 40, height: 6, "aria-hidden": "true" },
      svg("rect", { class: "rail", width: 40, height: 6, rx: 1.5 }),
      svg("rect", { class: "fill", width: 40 * value, height: 6, rx: 1.5 }),
    ),
    value.toFixed(3),
  );
}

// Widths in characters of the table's digits.
const WIDTHS: Record<string, number> = {
  material_id: 19,
  formula: 10,
  elements: 12,
  score: 15,
  evidence: 14,
  stable: 9,
  nac: 7,
  space_group_symbol: 12,
  chirality_class: 8,
  helicity_wave: 8,
  tensor_components: 19,
  potential: 13,
  reason: 46,
  licence: 16,
};

export function width({ name, kind, title }: ColumnInfo): number {
  return WIDTHS[name] ?? Math.max(kind === "text" ? 11 : 9, title.length + 3);
}
