// One diverging scale for all handed quantities: blue for left, orange for right, safe for the
// colour-blind; in between the colour of the paper's grey.
import { css } from "./dom";

type Rgb = [number, number, number];

function parse(text: string): Rgb {
  const value = parseInt(text.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export function diverging(): (value: number) => Rgb {
  const [left, middle, right] = ["--left", "--middle", "--right"].map((name) => parse(css(name)));
  return (value) => {
    const size = Math.min(Math.abs(value), 1) ** 0.7;
    const end = value < 0 ? left : right;
    return middle.map((part, i) => Math.round(part + (end[i] - part) * size)) as Rgb;
  };
}

export function rgb([red, green, blue]: Rgb): string {
  return `rgb(${red},${green},${blue})`;
}
