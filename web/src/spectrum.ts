// Helicity density of states of one or two crystals.
import uPlot from "uplot";
import { css, h, onColours } from "./dom";
import { unit } from "./format";
import { type Material, numbersOf } from "./model";
import { scale } from "./units";

const density = (row: Material["row"], name: string) => numbersOf(row, name).map((value) => value * scale("ħ/THz"));

export function spectrum(materials: Material[], closers: (() => void)[]): HTMLElement {
  const found = materials
    .map(({ row }) => ({
      step: Number(row.helicity_bin_width) * scale("THz"),
      dos: density(row, "helicity_dos"),
      total: density(row, "helicity_dos_absolute"),
    }))
    .filter(({ dos }) => dos.length);
  if (!found.length) return h("p", { class: "hint" }, "Not computed.");
  const one = found.length === 1;
  const stop = new AbortController();
  const box = h("div", { class: "chart", role: "img", "aria-label": "Helicity density of states against frequency" });
  const all = found.map(({ step, dos }) => dos.map((_, i) => (i + 0.5) * step));
  const xs = [...new Set(all.flat().map((x) => Number(x.toFixed(6))))].sort((a, b) => a - b);
  const spread = (values: number[], which: number) => {
    const known = new Map(all[which].map((x, i) => [Number(x.toFixed(6)), values[i]]));
    return xs.map((x) => known.get(x) ?? null);
  };
  const ys = one ? [spread(found[0].dos, 0), spread(found[0].total, 0)] : found.map(({ dos }, i) => spread(dos, i));
  let plot: uPlot | null = null;
  function make(): void {
    plot?.destroy();
    const [ink, line, right, left] = ["--ink-2", "--line", "--right", "--left"].map(css);
    const names = one ? ["χ", "|χ|"] : materials.map(({ material_id, potential }) => `${material_id} ${potential}`);
    plot = new uPlot(
      {
        width: Math.max(box.clientWidth, 240),
        height: 200,
        legend: { show: true, live: false },
        cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false } },
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
            label: unit("ħ/THz"),
            labelFont: "12px system-ui",
            labelSize: 18,
            size: 48,
          },
        ],
        series: [
          {},
          { label: names[0], stroke: right, width: 1.5, fill: one ? `${right}22` : undefined, spanGaps: true },
          { label: names[1], stroke: one ? ink : left, width: 1, dash: one ? [3, 3] : [5, 3], spanGaps: true },
        ],
      },
      [xs, ...ys] as uPlot.AlignedData,
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
