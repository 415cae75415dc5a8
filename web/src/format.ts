// Numbers, formulas and symbols as readers of physics expect them.
import { h } from "./dom";
import { told } from "./units";

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(String(value));
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    const [mantissa, exponent] = value.toExponential(Math.max(digits - 2, 0)).split("e");
    return minus(`${mantissa}×10${superscript(Number(exponent))}`);
  }
  return minus(value.toPrecision(digits));
}

function superscript(value: number): string {
  const digits = String(Math.abs(value)).replace(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)]);
  return (value < 0 ? "⁻" : "") + digits;
}

function minus(text: string): string {
  return text.replace("-", "−");
}

// A stored unit as it is shown, frequencies in the unit that the reader chose.
export function unit(text: string): string {
  return told(text).replace(/\^(-?\d+)/g, (_, digits: string) => superscript(Number(digits)));
}

export function formula(text: string): HTMLElement {
  const parts = text.split(/(\d+(?:\.\d+)?)/).filter((part) => part !== "");
  return h("span", { class: "formula" }, ...parts.map((part) => (/^\d/.test(part) ? h("sub", {}, part) : part)));
}

// "P3_121" has a screw axis as a subscript, "I-42d" a bar over the 4.
export function spaceGroup(text: string): HTMLElement {
  const parts = text.match(/_\d|-\d|[^_-]+|./g) ?? [];
  return h(
    "span",
    { class: "symbol", title: text },
    ...parts.map((part) => {
      if (/^_\d$/.test(part)) return h("sub", {}, part[1]);
      if (/^-\d$/.test(part)) return h("span", { class: "bar" }, part[1]);
      return part;
    }),
  );
}

export function value(content: unknown): string {
  if (content === null || content === undefined || content === "") return "–";
  if (typeof content === "number") return number(content, 4);
  if (typeof content === "boolean") return content ? "yes" : "no";
  if (Array.isArray(content)) return content.map(value).join(", ");
  return String(content);
}

// What hovering over a quantity tells: its name in the dataset and its meaning in the dictionary.
export function explained(name: string, description: string): string {
  return description ? `${name}: ${description}` : name;
}

// A column by its name in the dataset, which may break after an underscore.
export function columnName(name: string): HTMLElement {
  const parts = name.split(/(?<=_)/);
  return h("span", { class: "code" }, ...parts.flatMap((part, i) => (i ? [h("wbr"), part] : [part])));
}
