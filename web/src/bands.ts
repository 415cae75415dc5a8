// Band structure: coloured by a handed quantity, with hover, keyboard, zoom and a vector figure.
import uPlot from "uplot";
import { diverging, rgb } from "./colours";
import { css, h, onColours, save, say } from "./dom";
import { number, unit } from "./format";
import { type Bands, length } from "./model";

export const SHADES = { helicity: "helicity h", x: "l_x", y: "l_y", z: "l_z" } as const;
const DIGITS = "₀₁₂₃₄₅₆₇₈₉";
export type Shade = keyof typeof SHADES;

export function shadeOf(bands: Bands, shade: Shade, row: number, band: number): number {
  return shade === "helicity" ? bands.helicity[row][band] : bands.momentum[row][band]["xyz".indexOf(shade)];
}

export interface BandChart {
  element: HTMLElement;
  mark(row: number, band: number): void;
  close(): void;
}

interface Options {
  choose?: (row: number, band: number) => void;
  other?: Bands;
  height?: number;
}

export function bandChart(bands: Bands, options: Options = {}): BandChart {
  const stop = new AbortController();
  const tip = h("div", { class: "tip", hidden: true });
  const box = h("div", {
    class: "chart",
    tabindex: 0,
    role: "application",
    "aria-label": "Phonon bands; arrow keys walk along the path and through the bands, Enter chooses a mode",
  });
  let shade: Shade = "helicity";
  let marked: [number, number] | null = null;
  let spot: [number, number] | null = null;
  const nBands = bands.frequencies[0].length;
  const ys = Array.from({ length: nBands }, (_, band) => bands.frequencies.map((row) => row[band]));
  const uncharged = bands.without_charges && { ...bands, frequencies: bands.without_charges };
  // The other bands are drawn by hand; their extremes make the scale hold them too.
  const extremes = (options.other ?? uncharged)?.frequencies.flat() ?? [];
  const last = bands.distances.length - 1;
  const held: (number | null)[][] = extremes.length
    ? [bands.distances.map((_, i) => (i === 0 ? Math.min(...extremes) : i === last ? Math.max(...extremes) : null))]
    : [];
  let plot: uPlot | null = null;
  const bare = h("input", { type: "checkbox", id: "without-charges", change: () => plot?.redraw(false, false) });

  function options_(width: number): uPlot.Options {
    const [ink, line] = [css("--ink-2"), css("--line")];
    return {
      width,
      height: options.height ?? 420,
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: true, setScale: true }, y: false },
      scales: {
        x: { time: false, range: [bands.distances[0], bands.distances[bands.distances.length - 1]] },
        y: { range: (_, low, high) => [Math.min(0, low) - 0.02 * high, 1.02 * high] },
      },
      axes: [
        {
          stroke: ink,
          grid: { stroke: line, width: 1 },
          ticks: { show: false },
          font: "13px system-ui",
          size: 28,
          gap: 6,
          splits: () => bands.ticks.map(([at]) => at),
          values: () => labels(bands, width),
        },
        {
          stroke: ink,
          grid: { show: false },
          ticks: { stroke: line, size: 4 },
          font: "12px system-ui",
          label: `frequency (${unit("THz")})`,
          labelFont: "12px system-ui",
          labelSize: 20,
          size: 44,
        },
      ],
      series: [{}, ...[...ys, ...held].map(() => ({ paths: () => null, points: { show: false } }))],
      hooks: {
        draw: [draw],
        setCursor: [(u) => hover(u.cursor.left ?? -1, u.cursor.top ?? -1)],
      },
    };
  }

  function draw(u: uPlot): void {
    const { ctx } = u;
    const colour = diverging();
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.lineCap = "round";
    zeroLine(u);
    if (options.other) drawOther(u, options.other);
    else if (uncharged && bare.checked) drawOther(u, uncharged);
    ctx.lineWidth = (options.other ? 1.4 : 2) * devicePixelRatio;
    for (const [row, band, value] of strokes(bands, shade)) {
      ctx.strokeStyle = options.other ? css("--right") : rgb(colour(value));
      ctx.beginPath();
      ctx.moveTo(u.valToPos(bands.distances[row], "x", true), u.valToPos(bands.frequencies[row][band], "y", true));
      ctx.lineTo(
        u.valToPos(bands.distances[row + 1], "x", true),
        u.valToPos(bands.frequencies[row + 1][band], "y", true),
      );
      ctx.stroke();
    }
    for (const [row, band] of alone(bands)) {
      const at = [bands.distances[row], bands.frequencies[row][band]];
      ctx.fillStyle = rgb(colour(shadeOf(bands, shade, row, band)));
      ctx.beginPath();
      ctx.arc(u.valToPos(at[0], "x", true), u.valToPos(at[1], "y", true), 2 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    }
    if (marked) dot(u, marked, 5, css("--ink"));
    if (spot) dot(u, spot, 4, css("--ink-2"));
    ctx.restore();
  }

  function zeroLine(u: uPlot): void {
    if ((u.scales.y.min ?? 0) >= 0) return;
    const y = u.valToPos(0, "y", true);
    u.ctx.strokeStyle = css("--ink-3");
    u.ctx.lineWidth = devicePixelRatio;
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
  }

  // Segments of the other path are stretched to the lengths of this one.
  function drawOther(u: uPlot, other: Bands): void {
    const { ctx } = u;
    const at = stretched(other, bands);
    ctx.strokeStyle = css("--left");
    ctx.lineWidth = 1.4 * devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 3 * devicePixelRatio]);
    for (let band = 0; band < other.frequencies[0].length; band++) {
      ctx.beginPath();
      other.frequencies.forEach((row, i) => {
        const [x, y] = [u.valToPos(at[i], "x", true), u.valToPos(row[band], "y", true)];
        if (i > 0 && other.segments[i] === other.segments[i - 1]) ctx.lineTo(x, y);
        else ctx.moveTo(x, y);
      });
      ctx.stroke();
    }
    ctx.setLineDash([]);
  }

  function dot(u: uPlot, [row, band]: [number, number], radius: number, colour: string): void {
    u.ctx.beginPath();
    u.ctx.arc(
      u.valToPos(bands.distances[row], "x", true),
      u.valToPos(bands.frequencies[row][band], "y", true),
      radius * devicePixelRatio,
      0,
      2 * Math.PI,
    );
    u.ctx.fillStyle = css("--paper");
    u.ctx.fill();
    u.ctx.lineWidth = 2 * devicePixelRatio;
    u.ctx.strokeStyle = colour;
    u.ctx.stroke();
  }

  function hover(left: number, top: number): void {
    if (!plot || left < 0) {
      spot = null;
      tip.hidden = true;
      return;
    }
    const row = plot.cursor.idx ?? 0;
    const frequency = plot.posToVal(top, "y");
    let band = 0;
    bands.frequencies[row].forEach((value, i) => {
      if (Math.abs(value - frequency) < Math.abs(bands.frequencies[row][band] - frequency)) band = i;
    });
    point(row, band);
  }

  function point(row: number, band: number): void {
    spot = [row, band];
    if (!plot) return;
    tip.replaceChildren(...describe(bands, row, band));
    tip.hidden = false;
    const x = plot.valToPos(bands.distances[row], "x") + plot.over.offsetLeft;
    const y = plot.valToPos(bands.frequencies[row][band], "y") + plot.over.offsetTop;
    tip.style.left = `${Math.max(0, Math.min(x + 12, box.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, y - tip.offsetHeight - 10)}px`;
    plot.redraw(false, false);
  }

  function make(): void {
    plot?.destroy();
    plot = new uPlot(
      options_(Math.max(box.clientWidth, 240)),
      [bands.distances, ...ys, ...held] as uPlot.AlignedData,
      box,
    );
    box.append(tip);
  }

  box.addEventListener("click", () => {
    if (spot) options.choose?.(...spot);
  });
  box.addEventListener("mouseleave", () => {
    spot = null;
    tip.hidden = true;
    plot?.redraw(false, false);
  });
  box.addEventListener("blur", () => {
    spot = null;
    tip.hidden = true;
    plot?.redraw(false, false);
  });
  box.addEventListener("keydown", (event) => {
    const [row, band] = spot ?? marked ?? [0, 0];
    const steps: Record<string, [number, number]> = {
      ArrowRight: [1, 0],
      ArrowLeft: [-1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    if (event.key in steps) {
      event.preventDefault();
      const [a, b] = steps[event.key];
      point(Math.min(Math.max(row + a, 0), bands.distances.length - 1), Math.min(Math.max(band + b, 0), nBands - 1));
      // biome-ignore lint/performance/useDomNodeTextContent: innerText keeps the lines of the tip apart.
      say(tip.innerText);
    } else if (event.key === "Enter" && spot) options.choose?.(...spot);
  });
  const select = h(
    "select",
    {
      "aria-label": "Colour by",
      change: () => {
        shade = select.value as Shade;
        plot?.redraw(false, false);
      },
    },
    ...Object.entries(SHADES).map(([name, title]) => h("option", { value: name }, title)),
  );
  const tools = h(
    "div",
    { class: "tools" },
    options.other ? null : h("label", {}, "colour by ", select),
    options.other ? null : scaleBar(),
    uncharged && !options.other ? h("label", {}, bare, " without Born charges (dashed)") : null,
    options.other
      ? null
      : h(
          "button",
          { type: "button", click: () => save("bands.svg", figure(bands, shade), "image/svg+xml") },
          "Figure (SVG)",
        ),
  );
  const observer = new ResizeObserver(() => {
    if (!plot) make();
    else if (plot.width !== box.clientWidth) make();
  });
  observer.observe(box);
  onColours(make, stop.signal);
  return {
    element: h(
      "div",
      { class: "bands" },
      tools,
      box,
      h("p", { class: "hint" }, "Drag up or down to zoom, double-click to zoom out."),
    ),
    mark: (row, band) => {
      marked = [row, band];
      plot?.redraw(false, false);
    },
    close: () => {
      stop.abort();
      observer.disconnect();
      plot?.destroy();
    },
  };
}

function scaleBar(): HTMLElement {
  return h(
    "span",
    { class: "scale", role: "img", "aria-label": "Colours from minus one, blue, left, to plus one, orange, right" },
    "−1",
    h("i"),
    "+1 ħ",
  );
}

// Names that would overlap are left out, every other first.
function labels(bands: Bands, width: number): string[] {
  const all = bands.distances[bands.distances.length - 1];
  let last = -Infinity;
  return bands.ticks.map(([at, name]) => {
    const x = (at / all) * (width - 70);
    const half = 4 * name.length + 2;
    const shown = x - half > last;
    if (shown) last = x + half;
    return shown ? name.replace(/_(\d)/g, (_, digit: string) => DIGITS[Number(digit)]) : "";
  });
}

function* strokes(bands: Bands, shade: Shade): Generator<[number, number, number]> {
  for (let row = 0; row + 1 < bands.distances.length; row++) {
    if (bands.segments[row] !== bands.segments[row + 1]) continue;
    for (let band = 0; band < bands.frequencies[row].length; band++) {
      yield [row, band, (shadeOf(bands, shade, row, band) + shadeOf(bands, shade, row + 1, band)) / 2];
    }
  }
}

// Modes of q-points that are on no path, such as those of a mesh.
function* alone({ segments, frequencies }: Bands): Generator<[number, number]> {
  for (let row = 0; row < segments.length; row++) {
    if (segments[row] === segments[row - 1] || segments[row] === segments[row + 1]) continue;
    for (let band = 0; band < frequencies[row].length; band++) yield [row, band];
  }
}

export function samePath(a: Bands, b: Bands): boolean {
  return a.ticks.map(([, name]) => name).join() === b.ticks.map(([, name]) => name).join();
}

function stretched(from: Bands, to: Bands): number[] {
  const ends = (bands: Bands) => {
    const found: [number, number][] = [];
    bands.segments.forEach((segment, i) => {
      found[segment] ??= [bands.distances[i], bands.distances[i]];
      found[segment][1] = bands.distances[i];
    });
    return found;
  };
  const [a, b] = [ends(from), ends(to)];
  return from.distances.map((at, i) => {
    const [[start, end], [newStart, newEnd]] = [a[from.segments[i]], b[from.segments[i]]];
    return newStart + ((at - start) / (end - start || 1)) * (newEnd - newStart);
  });
}

export function describe(bands: Bands, row: number, band: number): Node[] {
  const q = bands.q_points[row].map((part) => number(Number(part.toFixed(3)), 3)).join(", ");
  const pam = bands.pam[row][band];
  const axis = bands.pam_order[row]
    ? `${bands.pam_order[row]}${bands.pam_screw[row] ? DIGITS[bands.pam_screw[row]] : ""}`
    : "";
  const lines: [string, string][] = [
    ["q", `${bands.labels[row] ? `${bands.labels[row]} ` : ""}(${q})`],
    ["band", String(band + 1)],
    ["ν", `${number(bands.frequencies[row][band], 4)} ${unit("THz")}`],
    ["h", `${number(bands.helicity[row][band])} ħ`],
    ["|l|", `${number(length(bands.momentum[row][band]))} ħ`],
  ];
  if (pam !== null) lines.push(["PAM", `${number(pam)} about ${axis}`]);
  return lines.map(([name, content]) => h("div", {}, h("span", {}, name), content));
}

// Vector figure on white, for papers and talks.
function figure(bands: Bands, shade: Shade): string {
  const [width, height, left, top, bottom] = [720, 480, 64, 14, 34];
  const all = bands.distances[bands.distances.length - 1];
  const flat = bands.frequencies.flat();
  const high = Math.max(...flat) * 1.04;
  const low = Math.min(0, Math.min(...flat) * 1.04);
  const x = (at: number) => left + (at / all) * (width - left - 14);
  const y = (frequency: number) => top + ((high - frequency) / (high - low)) * (height - top - bottom);
  const colour = diverging();
  const f = (value: number) => value.toFixed(1);
  const lines = [...strokes(bands, shade)].map(
    ([row, band, value]) =>
      `<path stroke="${rgb(colour(value))}" d="M${f(x(bands.distances[row]))} ${f(y(bands.frequencies[row][band]))}L${f(x(bands.distances[row + 1]))} ${f(y(bands.frequencies[row + 1][band]))}"/>`,
  );
  const escaped = (text: string) => text.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  const step = [0.5, 1, 2, 5, 10, 20, 50, 100, 200].find((size) => (high - low) / size <= 8) ?? 500;
  const levels = Array.from(
    { length: Math.floor(high / step) - Math.ceil(low / step) + 1 },
    (_, i) => (Math.ceil(low / step) + i) * step,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="14">` +
    `<rect width="${width}" height="${height}" fill="#fff"/>` +
    bands.ticks
      .map(
        ([at, name]) =>
          `<path stroke="#ccc" d="M${f(x(at))} ${top}V${height - bottom}"/><text x="${f(x(at))}" y="${height - 12}" text-anchor="middle">${escaped(name)}</text>`,
      )
      .join("") +
    levels
      .map(
        (level) =>
          `<path stroke="#888" d="M${left - 4} ${f(y(level))}h4"/><text x="${left - 8}" y="${f(y(level) + 5)}" text-anchor="end">${level}</text>`,
      )
      .join("") +
    `<text transform="translate(18 ${height / 2}) rotate(-90)" text-anchor="middle">frequency (${unit("THz")})</text>` +
    `<g fill="none" stroke-width="1.8" stroke-linecap="round">${lines.join("")}</g>` +
    `<path fill="none" stroke="#888" d="M${left} ${top}H${width - 14}V${height - bottom}H${left}Z"/></svg>`
  );
}
