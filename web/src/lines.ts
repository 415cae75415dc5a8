// Lines that light sees, in tracks one below the other: circular Raman by channel, infrared by direction.
import uPlot from "uplot";
import { css, h, onColours } from "./dom";
import { number, unit } from "./format";
import { type Material, numbersOf } from "./model";
import { scale } from "./units";

interface Line {
  frequency: number;
  // Share of the height of its track.
  height: number;
  text: string;
}

interface Track {
  name: string;
  // Lines of each crystal.
  lines: Line[][];
}

const CHANNELS = [
  ["RR LL", "RR, LL"],
  ["RL", "RL"],
  ["LR", "LR"],
];
// Height of a track in pixels.
const TRACK = 46;

export function ramanSections(materials: Material[], closers: (() => void)[]): HTMLElement[] {
  const [{ row }] = materials;
  return numbersOf(row, "axis_orders").flatMap((order, axis) => {
    const tracks = CHANNELS.map(([seen, name]) => ({
      name,
      lines: materials.map((material) => ramanLines(material, axis, seen.split(" "))),
    }));
    if (!tracks.some(({ lines }) => lines.some((all) => all.length))) return [];
    const direction = numbersOf(row, "axis_directions").slice(3 * axis, 3 * axis + 3);
    const place = `(${direction.map((part) => number(Number(part.toFixed(3)))).join(", ")})`;
    return [
      section(
        `Circular Raman along ${place}, axis of order ${order}`,
        tracks,
        "Lines that symmetry allows in back-scattering, by circular channel (incident, scattered); their intensities are not known.",
        materials,
        closers,
      ),
    ];
  });
}

function ramanLines({ row }: Material, axis: number, seen: string[]): Line[] {
  const channels = Array.isArray(row.raman_channels) ? row.raman_channels.map(String) : [];
  const [axes, frequencies] = [numbersOf(row, "raman_axes"), numbersOf(row, "raman_frequencies")];
  return channels.flatMap((channel, k) =>
    axes[k] === axis && channel.split(" ").some((one) => seen.includes(one))
      ? [{ frequency: frequencies[k], height: 1, text: channel }]
      : [],
  );
}

export function infraredSection(materials: Material[], closers: (() => void)[]): HTMLElement | null {
  const found = materials.map(({ infrared }) => infrared ?? []);
  const largest = Math.max(...found.flat().flatMap((line) => [line.strength_x, line.strength_y, line.strength_z]), 0);
  if (!largest) return null;
  const tracks = (["x", "y", "z"] as const).map((axis) => ({
    name: axis,
    lines: found.map((lines) =>
      lines
        .filter((line) => line[`strength_${axis}`] > 1e-6 * largest)
        .map((line) => ({
          frequency: line.frequency,
          height: Math.sqrt(line[`strength_${axis}`] / largest),
          text: `Δε ${number(line[`strength_${axis}`])}`,
        })),
    ),
  }));
  return section(
    "Infrared",
    tracks,
    `Transverse lines by the direction of the field, from the Born charges of the analysis. Heights go with the square root of Δε, what a line adds to the static dielectric constant; the highest is ${number(largest)}.`,
    materials,
    closers,
  );
}

function section(
  title: string,
  tracks: Track[],
  note: string,
  materials: Material[],
  closers: (() => void)[],
): HTMLElement {
  return h(
    "section",
    { "aria-label": title },
    h("h2", {}, title),
    chart(title, tracks, closers),
    h("p", { class: "hint" }, note),
    h("details", {}, h("summary", {}, `Lines (${unit("THz")})`), ...materials.map((one, i) => listed(one, i, tracks))),
  );
}

function listed({ material_id, potential }: Material, index: number, tracks: Track[]): HTMLElement {
  const text = tracks.map(({ name, lines }) => {
    const all = lines[index].map(({ frequency, text }) => `${number(frequency * scale("THz"), 4)} (${text})`);
    return h("li", {}, `${name}: ${all.join(", ") || "–"}`);
  });
  return h("div", {}, h("p", { class: "hint" }, `${material_id} ${potential}`), h("ul", {}, ...text));
}

function chart(title: string, tracks: Track[], closers: (() => void)[]): HTMLElement {
  const stop = new AbortController();
  const box = h("div", { class: "chart", role: "img", "aria-label": `${title} against frequency` });
  const all = tracks.flatMap(({ lines }) => lines.flat().map(({ frequency }) => frequency * scale("THz")));
  const high = 1.04 * Math.max(...all);
  let plot: uPlot | null = null;

  function draw(u: uPlot): void {
    const { ctx } = u;
    ctx.save();
    ctx.lineWidth = 2 * devicePixelRatio;
    tracks.forEach(({ lines }, k) => {
      const base = tracks.length - 1 - k;
      lines.forEach((sticks, which) => {
        ctx.strokeStyle = css(which ? "--left" : "--right");
        ctx.setLineDash(which ? [4 * devicePixelRatio, 3 * devicePixelRatio] : []);
        for (const { frequency, height } of sticks) {
          const x = u.valToPos(frequency * scale("THz"), "x", true);
          ctx.beginPath();
          ctx.moveTo(x, u.valToPos(base, "y", true));
          ctx.lineTo(x, u.valToPos(base + 0.85 * height, "y", true));
          ctx.stroke();
        }
      });
    });
    ctx.restore();
  }

  function make(): void {
    plot?.destroy();
    const [ink, line] = [css("--ink-2"), css("--line")];
    plot = new uPlot(
      {
        width: Math.max(box.clientWidth, 240),
        height: TRACK * tracks.length + 44,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: [0, high] }, y: { range: [0, tracks.length] } },
        axes: [
          {
            stroke: ink,
            grid: { show: false },
            ticks: { stroke: line, size: 4 },
            font: "12px system-ui",
            label: `frequency (${unit("THz")})`,
            labelFont: "12px system-ui",
            labelSize: 18,
            size: 30,
          },
          {
            stroke: ink,
            grid: { stroke: line, width: 1 },
            ticks: { show: false },
            font: "12px system-ui",
            size: 52,
            splits: () => tracks.map((_, k) => k),
            values: () => tracks.map((_, k) => tracks[tracks.length - 1 - k].name),
          },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [draw] },
      },
      [
        [0, high],
        [0, tracks.length],
      ],
      box,
    );
  }

  const observer = new ResizeObserver(() => {
    if (plot?.width !== box.clientWidth) make();
  });
  observer.observe(box);
  onColours(make, stop.signal);
  closers.push(() => {
    stop.abort();
    observer.disconnect();
    plot?.destroy();
  });
  return box;
}

// All spectra of one crystal, or of two over one another.
export function lightSections(materials: Material[], closers: (() => void)[]): HTMLElement | null {
  const found = [...ramanSections(materials, closers), infraredSection(materials, closers)].filter(
    (one) => one !== null,
  );
  return found.length ? h("div", { class: "light" }, ...found) : null;
}
