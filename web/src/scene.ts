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
import { css, h, onColours } from "./dom";
import type { Structure, Vector } from "./model";

const UP = new Vector3(0, 1, 0);
const MOST_ATOMS = 600;

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
    this.controls.addEventListener("change", () => this.ask());
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
  phase: Vector3;
  image: Vector;
}

export class CrystalView {
  readonly element: HTMLElement;
  private readonly stage: Stage;
  private readonly cell: Vector3[];
  private content = new Group();
  private atoms: Atom[] = [];
  private bonds: [number, number][] = [];
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
  ) {
    this.cell = structure.cell.map((row) => new Vector3(...row));
    this.stage = new Stage("Crystal structure", 10);
    this.stage.scene.add(this.content);
    this.element = h("div", { class: "scene" }, this.stage.canvas);
    onColours(() => this.build(), this.stage.stop.signal);
    this.build();
    const c = this.cell[2].clone().normalize();
    const side = new Vector3().crossVectors(c, this.cell[0]).normalize();
    this.stage.look(
      this.cell[0].clone().normalize().multiplyScalar(0.35).addScaledVector(side, -1).addScaledVector(c, 0.35),
      c,
    );
  }

  setRepeats(repeats: Vector): void {
    this.repeats = repeats;
    this.build();
  }

  setAmplitude(amplitude: number): void {
    this.amplitude = amplitude;
    this.build();
  }
  setSpeed(speed: number): void {
    this.speed = speed;
  }

  show(mode: Mode | null): void {
    this.mode = mode;
    this.build();
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
      this.clock += ((now - this.last) / 1000) * this.speed;
      this.last = now;
      this.move();
      this.stage.draw();
      this.running = requestAnimationFrame(step);
    };
    this.running = requestAnimationFrame(step);
  }

  close(): void {
    this.play(false);
    this.stage.close();
  }

  private build(): void {
    this.content.clear();
    this.atoms = this.place();
    this.bonds = this.connect();
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
    this.structure.positions.forEach((fraction, site) => {
      const inside = fraction.map((x) => x - Math.floor(x + 1e-4));
      const ends = [na, nb, nc].map((n, i) => n + (inside[i] < 1e-3 ? 1 : 0));
      for (let a = 0; a < ends[0]; a++)
        for (let b = 0; b < ends[1]; b++)
          for (let c = 0; c < ends[2]; c++) {
            const image = [inside[0] + a, inside[1] + b, inside[2] + c] as Vector;
            if (atoms.length < MOST_ATOMS)
              atoms.push({ home: this.at(...image), site, phase: new Vector3(...image), image });
          }
    });
    return atoms;
  }

  private connect(): [number, number][] {
    const found: [number, number][] = [];
    const radius = this.atoms.map(({ site }) => this.looks(this.structure.numbers[site])[1]);
    for (let i = 0; i < this.atoms.length; i++)
      for (let j = 0; j < i; j++) {
        const distance = this.atoms[i].home.distanceTo(this.atoms[j].home);
        if (distance < 1.15 * (radius[i] + radius[j]) && distance > 0.4) found.push([i, j]);
      }
    return found;
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
      Math.max(2 * this.bonds.length, 1),
    );
    this.sticks.count = 2 * this.bonds.length;
    const colour = (atom: Atom) => new Color(this.looks(this.structure.numbers[atom.site])[0]);
    this.atoms.forEach((atom, i) => this.spheres.setColorAt(i, colour(atom)));
    this.bonds.forEach(([i, j], k) => {
      this.sticks.setColorAt(2 * k, colour(this.atoms[i]));
      this.sticks.setColorAt(2 * k + 1, colour(this.atoms[j]));
    });
    this.content.add(this.spheres, this.sticks);
  }

  // Displacement of an atom at a phase of the motion: Re{u exp[i (q . r - w t)]}.
  private displaced(atom: Atom, angle: number, into: Vector3): Vector3 {
    into.set(0, 0, 0);
    if (!this.mode) return into;
    const { q, displacements, band } = this.mode;
    const phase = 2 * Math.PI * (q[0] * atom.phase.x + q[1] * atom.phase.y + q[2] * atom.phase.z) - angle;
    const [cos, sin] = [Math.cos(phase), Math.sin(phase)];
    const start = 6 * (band * this.structure.numbers.length + atom.site);
    const part = (i: number) => displacements[start + 2 * i] * cos - displacements[start + 2 * i + 1] * sin;
    return into.set(part(0), part(1), part(2)).multiplyScalar(this.amplitude);
  }

  private move(): void {
    const angle = 2 * Math.PI * this.clock * 0.5;
    const matrix = new Matrix4();
    const turn = new Quaternion();
    const places = this.atoms.map((atom, i) => {
      const place = this.displaced(atom, angle, new Vector3()).add(atom.home);
      const radius = 0.38 * this.looks(this.structure.numbers[atom.site])[1] + 0.08;
      this.spheres.setMatrixAt(i, matrix.compose(place, turn.identity(), new Vector3(radius, radius, radius)));
      return place;
    });
    this.bonds.forEach(([i, j], k) => {
      const middle = places[i].clone().add(places[j]).multiplyScalar(0.5);
      for (const [end, index] of [
        [places[i], 2 * k],
        [places[j], 2 * k + 1],
      ] as [Vector3, number][]) {
        const along = middle.clone().sub(end);
        turn.setFromUnitVectors(UP, along.clone().normalize());
        this.sticks.setMatrixAt(
          index,
          matrix.compose(end.clone().addScaledVector(along, 0.5), turn, new Vector3(1, along.length(), 1)),
        );
      }
    });
    this.spheres.instanceMatrix.needsUpdate = true;
    this.sticks.instanceMatrix.needsUpdate = true;
  }

  // The path of each atom, in the colour of its sense.
  private orbits(): void {
    const colour = css(this.mode!.sign < 0 ? "--left" : "--right");
    const material = new LineBasicMaterial({ color: Math.abs(this.mode!.sign) < 0.02 ? css("--ink-2") : colour });
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
