// A crystal in three dimensions: atoms, bonds and cell, at rest or moving in a mode.
import {
  AmbientLight,
  BufferGeometry,
  Color,
  CylinderGeometry,
  DirectionalLight,
  Float32BufferAttribute,
  Group,
  InstancedMesh,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  Matrix4,
  MeshStandardMaterial,
  OrthographicCamera,
  Quaternion,
  Scene,
  SphereGeometry,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { findNeighbours, inside, type Neighbour } from "./bonds";
import { diverging, rgb } from "./colours";
import { css, h, onColours } from "./dom";
import type { Structure, Vector } from "./model";

const UP = new Vector3(0, 1, 0);
const MOST_ATOMS = 600;
// Seconds of one period at speed 1.
const PERIOD = 2;

// Rendering that all pictures in three dimensions share: size, colours, pointer and keyboard.
export class Stage {
  readonly scene = new Scene();
  readonly camera = new OrthographicCamera(-1, 1, 1, -1, -1000, 1000);
  readonly canvas: HTMLCanvasElement;
  readonly stop = new AbortController();
  private readonly renderer: WebGLRenderer;
  private readonly controls: OrbitControls;
  private readonly observer: ResizeObserver;
  private pending = 0;
  // Told of each turn and zoom of the reader.
  turned: () => void = () => undefined;

  constructor(
    label: string,
    private reach: number,
  ) {
    this.canvas = h("canvas", {
      tabindex: 0,
      role: "img",
      "aria-label": `${label}; arrow keys turn it, plus and minus zoom`,
    });
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: true, alpha: true });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.scene.add(new AmbientLight(0xffffff, 1.5));
    const light = new DirectionalLight(0xffffff, 2.2);
    light.position.set(0.5, 0.7, 1);
    this.camera.add(light);
    this.scene.add(this.camera);
    this.controls = new OrbitControls(this.camera, this.canvas);
    this.controls.enablePan = false;
    // Up and down scroll the page on a phone; sideways turns the crystal.
    this.canvas.style.touchAction = "pan-y";
    this.controls.addEventListener("change", () => {
      this.ask();
      this.turned();
    });
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.canvas);
  }

  // Looks from a direction, with another one upwards.
  look(from: Vector3, up: Vector3): void {
    this.camera.up.copy(up);
    this.camera.position.copy(
      from
        .clone()
        .normalize()
        .multiplyScalar(4 * this.reach),
    );
    this.controls.update();
    this.ask();
    this.turned();
  }

  // Looks as another stage does, seen in a mirror with this normal.
  mirror({ camera }: Stage, normal: Vector3): void {
    this.camera.position.copy(camera.position).reflect(normal);
    this.camera.up.copy(camera.up).reflect(normal);
    this.camera.zoom = camera.zoom;
    this.camera.lookAt(0, 0, 0);
    this.camera.updateProjectionMatrix();
    this.ask();
  }

  setReach(reach: number): void {
    this.reach = reach;
    this.fit();
  }

  ask(): void {
    this.pending ||= requestAnimationFrame(() => this.draw());
  }

  draw(): void {
    this.pending = 0;
    this.renderer.render(this.scene, this.camera);
  }

  close(): void {
    this.stop.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.pending);
    this.controls.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }

  private fit(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    const [x, y] = width > height ? [width / height, 1] : [1, height / width];
    Object.assign(this.camera, {
      left: -x * this.reach,
      right: x * this.reach,
      top: y * this.reach,
      bottom: -y * this.reach,
    });
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  private onKey(event: KeyboardEvent): void {
    const turns: Record<string, [number, number]> = {
      ArrowLeft: [-0.15, 0],
      ArrowRight: [0.15, 0],
      ArrowUp: [0, -0.15],
      ArrowDown: [0, 0.15],
    };
    if (event.key in turns) {
      event.preventDefault();
      const [around, over] = turns[event.key];
      const side = new Vector3().crossVectors(this.camera.up, this.camera.position).normalize();
      this.camera.position.applyAxisAngle(this.camera.up, around).applyAxisAngle(side, over);
    } else if (event.key === "+" || event.key === "=") this.camera.zoom *= 1.15;
    else if (event.key === "-") this.camera.zoom /= 1.15;
    else return;
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.ask();
    this.turned();
  }
}

export interface Mode {
  q: Vector;
  displacements: Float32Array;
  band: number;
  sign: number;
}

interface Atom {
  home: Vector3;
  site: number;
  // Place in units of the lattice vectors, and the cell it belongs to.
  image: Vector;
  cell: Vector;
}

export class CrystalView {
  readonly element: HTMLElement;
  private readonly stage: Stage;
  private readonly cell: Vector3[];
  private content = new Group();
  private atoms: Atom[] = [];
  // Half a bond each: from an atom to the middle of the way to another, or to one beyond the picture.
  private halves: [number, Atom][] = [];
  private readonly neighbours: Neighbour[][];
  private twin: CrystalView | null = null;
  private spheres!: InstancedMesh;
  private sticks!: InstancedMesh;
  private mode: Mode | null = null;
  private amplitude = 0.5;
  private speed = 1;
  private repeats: Vector = [1, 1, 1];
  private running = 0;
  private clock = 0;
  private last = 0;

  constructor(
    private readonly structure: Structure,
    private readonly looks: (atomicNumber: number) => [string, number],
    // Normal of the mirror in which the structure is shown, if any.
    private readonly mirror: Vector3 | null = null,
  ) {
    this.cell = structure.cell.map((row) => new Vector3(...row));
    if (mirror) for (const row of this.cell) row.reflect(mirror);
    this.neighbours = findNeighbours(structure, (z) => looks(z)[1]);
    this.stage = new Stage(mirror ? "Mirror image of the crystal" : "Crystal structure", 10);
    this.stage.scene.add(this.content);
    this.element = h("div", { class: "scene" }, this.stage.canvas);
    onColours(() => this.build(), this.stage.stop.signal);
    this.build();
    if (!mirror) this.stage.look(this.start(), this.cell[2]);
  }

  private start(): Vector3 {
    const c = this.cell[2].clone().normalize();
    const side = new Vector3().crossVectors(c, this.cell[0]).normalize();
    return this.cell[0].clone().normalize().multiplyScalar(0.35).addScaledVector(side, -1).addScaledVector(c, 0.35);
  }

  // Looks along a lattice vector, 0 to 2; c points up where it can, and b where it cannot.
  lookAlong(axis: number): void {
    this.stage.look(this.cell[axis], this.cell[axis === 2 ? 1 : 2]);
  }

  // Shows the other hand beside this one, as a mirror between them would.
  setMirrored(on: boolean): void {
    if (!on) {
      this.twin?.close();
      this.twin?.element.remove();
      this.twin = null;
      return;
    }
    const normal = new Vector3().crossVectors(this.cell[2], this.start()).normalize();
    const twin = new CrystalView(this.structure, this.looks, normal);
    Object.assign(twin, { repeats: this.repeats, amplitude: this.amplitude, clock: this.clock });
    twin.show(reversed(this.mode));
    this.element.append(twin.element);
    this.stage.turned = () => twin.stage.mirror(this.stage, normal);
    twin.stage.turned = () => this.stage.mirror(twin.stage, normal);
    this.stage.turned();
    this.twin = twin;
  }

  setRepeats(repeats: Vector): void {
    this.repeats = repeats;
    this.build();
    this.twin?.setRepeats(repeats);
  }

  setAmplitude(amplitude: number): void {
    this.amplitude = amplitude;
    this.build();
    this.twin?.setAmplitude(amplitude);
  }
  setSpeed(speed: number): void {
    this.speed = speed;
  }

  show(mode: Mode | null): void {
    this.mode = mode;
    this.build();
    this.twin?.show(reversed(mode));
  }

  // Pictures of one period at equal steps, the hands side by side; one picture as it stands for n = 1.
  async picture(n = 1): Promise<Uint8Array[]> {
    const [before, playing] = [this.clock, this.playing];
    this.play(false);
    const found: Uint8Array[] = [];
    for (let i = 0; i < n; i++) {
      this.tick(n === 1 ? before : (PERIOD * i) / n);
      const canvases = [this.stage.canvas, ...(this.twin ? [this.twin.stage.canvas] : [])];
      found.push(await encode(beside(canvases)));
    }
    this.tick(before);
    this.play(playing);
    return found;
  }

  get playing(): boolean {
    return this.running !== 0;
  }
  get time(): number {
    return this.clock;
  }

  play(on: boolean): void {
    cancelAnimationFrame(this.running);
    this.running = 0;
    if (!on) return;
    this.last = performance.now();
    const step = (now: number) => {
      this.tick(this.clock + ((now - this.last) / 1000) * this.speed);
      this.last = now;
      this.running = requestAnimationFrame(step);
    };
    this.running = requestAnimationFrame(step);
  }

  close(): void {
    this.play(false);
    this.twin?.close();
    this.stage.close();
  }

  private tick(clock: number): void {
    this.clock = clock;
    this.move();
    this.stage.draw();
    this.twin?.tick(clock);
  }

  private build(): void {
    this.content.clear();
    this.atoms = this.place();
    this.halves = this.halfBonds();
    this.content.add(this.box());
    this.makeMeshes();
    if (this.mode) this.orbits();
    const centre = this.at(this.repeats[0] / 2, this.repeats[1] / 2, this.repeats[2] / 2);
    this.content.position.copy(centre).negate();
    const corner = Math.max(
      ...[
        [1, 1, 1],
        [1, 1, -1],
        [1, -1, 1],
        [-1, 1, 1],
      ].map(([a, b, c]) => this.at(a * this.repeats[0], b * this.repeats[1], c * this.repeats[2]).length()),
    );
    this.stage.setReach(0.44 * corner + 0.9);
    this.move();
    this.stage.ask();
  }

  private at(a: number, b: number, c: number): Vector3 {
    return new Vector3()
      .addScaledVector(this.cell[0], a)
      .addScaledVector(this.cell[1], b)
      .addScaledVector(this.cell[2], c);
  }

  // Atoms on a face of the cell are drawn on the opposite one as well.
  private place(): Atom[] {
    const atoms: Atom[] = [];
    const [na, nb, nc] = this.repeats;
    this.structure.positions.forEach((_, site) => {
      const place = inside(this.structure, site);
      const ends = [na, nb, nc].map((n, i) => n + (place[i] < 1e-3 ? 1 : 0));
      for (let a = 0; a < ends[0]; a++)
        for (let b = 0; b < ends[1]; b++)
          for (let c = 0; c < ends[2]; c++) {
            if (atoms.length < MOST_ATOMS) atoms.push(this.atom(site, [a, b, c]));
          }
    });
    return atoms;
  }

  private atom(site: number, cell: Vector): Atom {
    const image = inside(this.structure, site).map((x, i) => x + cell[i]) as Vector;
    return { home: this.at(...image), site, image, cell };
  }

  private halfBonds(): [number, Atom][] {
    return this.atoms.flatMap(({ site, cell }, i) =>
      this.neighbours[site].map(({ site: partner, step }): [number, Atom] => [
        i,
        this.atom(partner, cell.map((x, k) => x + step[k]) as Vector),
      ]),
    );
  }

  private box(): LineSegments {
    const points: number[] = [];
    const corners = [0, 1];
    for (const a of corners)
      for (const b of corners)
        for (const [from, to] of [
          [
            [0, a, b],
            [1, a, b],
          ],
          [
            [a, 0, b],
            [a, 1, b],
          ],
          [
            [a, b, 0],
            [a, b, 1],
          ],
        ]) {
          points.push(...this.at(from[0], from[1], from[2]).toArray(), ...this.at(to[0], to[1], to[2]).toArray());
        }
    const geometry = new BufferGeometry().setAttribute("position", new Float32BufferAttribute(points, 3));
    return new LineSegments(geometry, new LineBasicMaterial({ color: css("--ink-3") }));
  }

  private makeMeshes(): void {
    const material = () => new MeshStandardMaterial({ roughness: 0.55, metalness: 0 });
    this.spheres = new InstancedMesh(new SphereGeometry(1, 28, 18), material(), this.atoms.length);
    this.sticks = new InstancedMesh(
      new CylinderGeometry(0.09, 0.09, 1, 10),
      material(),
      Math.max(this.halves.length, 1),
    );
    this.sticks.count = this.halves.length;
    const colour = (atom: Atom) => new Color(this.looks(this.structure.numbers[atom.site])[0]);
    this.atoms.forEach((atom, i) => this.spheres.setColorAt(i, colour(atom)));
    this.halves.forEach(([i], k) => this.sticks.setColorAt(k, colour(this.atoms[i])));
    this.content.add(this.spheres, this.sticks);
  }

  // Displacement of an atom at a phase of the motion: Re{u exp[i (q . r - w t)]}.
  private displaced(atom: Atom, angle: number, into: Vector3): Vector3 {
    into.set(0, 0, 0);
    if (!this.mode) return into;
    const { q, displacements, band } = this.mode;
    const phase = 2 * Math.PI * (q[0] * atom.image[0] + q[1] * atom.image[1] + q[2] * atom.image[2]) - angle;
    const [cos, sin] = [Math.cos(phase), Math.sin(phase)];
    const start = 6 * (band * this.structure.numbers.length + atom.site);
    const part = (i: number) => displacements[start + 2 * i] * cos - displacements[start + 2 * i + 1] * sin;
    into.set(part(0), part(1), part(2)).multiplyScalar(this.amplitude);
    return this.mirror ? into.reflect(this.mirror) : into;
  }

  private move(): void {
    const angle = (2 * Math.PI * this.clock) / PERIOD;
    const matrix = new Matrix4();
    const turn = new Quaternion();
    const places = this.atoms.map((atom, i) => {
      const place = this.displaced(atom, angle, new Vector3()).add(atom.home);
      const radius = 0.38 * this.looks(this.structure.numbers[atom.site])[1] + 0.08;
      this.spheres.setMatrixAt(i, matrix.compose(place, turn.identity(), new Vector3(radius, radius, radius)));
      return place;
    });
    const end = new Vector3();
    this.halves.forEach(([i, other], k) => {
      const along = this.displaced(other, angle, end).add(other.home).sub(places[i]).multiplyScalar(0.5);
      const length = along.length();
      const middle = places[i].clone().addScaledVector(along, 0.5);
      turn.setFromUnitVectors(UP, along.normalize());
      this.sticks.setMatrixAt(k, matrix.compose(middle, turn, new Vector3(1, length, 1)));
    });
    this.spheres.instanceMatrix.needsUpdate = true;
    this.sticks.instanceMatrix.needsUpdate = true;
  }

  // The path of each atom, in the colour of the angular momentum of the motion.
  private orbits(): void {
    const material = new LineBasicMaterial({ color: rgb(diverging()(this.mode!.sign)) });
    for (const atom of this.atoms) {
      const points = Array.from({ length: 36 }, (_, i) =>
        this.displaced(atom, (i / 36) * 2 * Math.PI, new Vector3()).add(atom.home),
      );
      if (points.some((point) => point.distanceTo(atom.home) > 0.04)) {
        this.content.add(new LineLoop(new BufferGeometry().setFromPoints(points), material));
      }
    }
  }
}

// The same motion seen in a mirror turns the other way.
function reversed(mode: Mode | null): Mode | null {
  return mode && { ...mode, sign: -mode.sign };
}

function beside(canvases: HTMLCanvasElement[]): HTMLCanvasElement {
  const width = canvases.reduce((sum, canvas) => sum + canvas.width, 0);
  const all = h("canvas", { width, height: Math.max(...canvases.map(({ height }) => height)) });
  const context = all.getContext("2d")!;
  context.fillStyle = css("--paper");
  context.fillRect(0, 0, all.width, all.height);
  let left = 0;
  for (const canvas of canvases) {
    context.drawImage(canvas, left, 0);
    left += canvas.width;
  }
  return all;
}

async function encode(canvas: HTMLCanvasElement): Promise<Uint8Array> {
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("This browser writes no pictures.");
  return new Uint8Array(await blob.arrayBuffer());
}
