// Helicity of one band over the directions of q, as a coloured sphere.
import {
  BufferGeometry,
  CanvasTexture,
  Float32BufferAttribute,
  Line,
  LineBasicMaterial,
  Mesh,
  MeshBasicMaterial,
  Sprite,
  SpriteMaterial,
  Vector3,
} from "three";
import { diverging } from "./colours";
import { css, h, onColours } from "./dom";
import { number } from "./format";
import { type Material, unpack } from "./model";
import { Stage } from "./scene";

export interface SphereView {
  element: HTMLElement;
  show(band: number): void;
  close(): void;
}

export function sphereView(sphere: NonNullable<Material["sphere"]>): SphereView {
  const { n_polar: nPolar, n_azimuth: nAzimuth } = sphere;
  const values = unpack(sphere.helicity);
  const size = nPolar * nAzimuth;
  const stage = new Stage("Helicity over the directions of q", 1.45);
  const legend = h("p", { class: "hint" });
  const rings = 2 * nPolar - 1;
  const geometry = grid(rings, nAzimuth);
  stage.scene.add(new Mesh(geometry, new MeshBasicMaterial({ vertexColors: true })));
  const axes: [Vector3, string][] = [
    [new Vector3(1, 0, 0), "x"],
    [new Vector3(0, 1, 0), "y"],
    [new Vector3(0, 0, 1), "z"],
  ];
  for (const [direction, name] of axes) {
    const points = [direction.clone(), direction.clone().multiplyScalar(1.22)];
    stage.scene.add(
      new Line(new BufferGeometry().setFromPoints(points), new LineBasicMaterial({ color: css("--ink-3") })),
      letter(name, direction),
    );
  }
  stage.look(new Vector3(1, 0.55, 0.5), new Vector3(0, 0, 1));
  let current = 0;

  // The lower half follows from h(-q) = h(q).
  function at(band: number, ring: number, turn: number): number {
    const [polar, azimuth] = ring < nPolar ? [ring, turn] : [rings - 1 - ring, turn + nAzimuth / 2];
    return values[band * size + polar * nAzimuth + (azimuth % nAzimuth)];
  }

  function show(band: number): void {
    current = band;
    const largest = Math.max(1e-3, ...values.subarray(band * size, (band + 1) * size).map(Math.abs));
    const colour = diverging();
    const colours: number[] = [];
    for (let ring = 0; ring < rings; ring++)
      for (let turn = 0; turn <= nAzimuth; turn++) {
        colours.push(...colour(at(band, ring, turn) / largest).map((part) => (part / 255) ** 2.2));
      }
    geometry.setAttribute("color", new Float32BufferAttribute(colours, 3));
    legend.textContent = `Band ${band + 1}, |q| = ${number(sphere.radius)} Å⁻¹ (without 2π); full colour at |h| = ${number(largest)} ħ.`;
    stage.ask();
  }
  onColours(() => show(current), stage.stop.signal);
  show(0);
  return { element: h("div", { class: "scene sphere" }, stage.canvas, legend), show, close: () => stage.close() };
}

function grid(rings: number, nAzimuth: number): BufferGeometry {
  const points: number[] = [];
  const faces: number[] = [];
  for (let ring = 0; ring < rings; ring++)
    for (let turn = 0; turn <= nAzimuth; turn++) {
      const [polar, azimuth] = [(Math.PI * ring) / (rings - 1), (2 * Math.PI * turn) / nAzimuth];
      points.push(Math.sin(polar) * Math.cos(azimuth), Math.sin(polar) * Math.sin(azimuth), Math.cos(polar));
      if (ring + 1 < rings && turn < nAzimuth) {
        const [a, b] = [ring * (nAzimuth + 1) + turn, (ring + 1) * (nAzimuth + 1) + turn];
        faces.push(a, b, a + 1, b, b + 1, a + 1);
      }
    }
  return new BufferGeometry().setAttribute("position", new Float32BufferAttribute(points, 3)).setIndex(faces);
}

function letter(name: string, direction: Vector3): Sprite {
  const canvas = h("canvas", { width: 64, height: 64 });
  const context = canvas.getContext("2d")!;
  context.font = "italic 44px serif";
  context.fillStyle = css("--ink-2");
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(name, 32, 32);
  const sprite = new Sprite(new SpriteMaterial({ map: new CanvasTexture(canvas), depthTest: true }));
  sprite.position.copy(direction).multiplyScalar(1.33);
  sprite.scale.set(0.24, 0.24, 1);
  return sprite;
}
