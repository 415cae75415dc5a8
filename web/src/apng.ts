// Animated PNG from pictures of one size: https://www.w3.org/TR/png-3/#apng-frame-based-animation
const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

interface Chunk {
  name: string;
  data: Uint8Array;
}

// Joins still pictures (whole PNG files of one size and colour type) to a loop.
export function animate(pictures: Uint8Array[], milliseconds: number): Uint8Array<ArrayBuffer> {
  const frames = pictures.map(readChunks);
  const [header] = frames[0];
  if (frames.some(([other]) => other.data.join() !== header.data.join()))
    throw new Error("The pictures of a movie must have one size.");
  let sequence = 0;
  const parts: Chunk[] = [header, { name: "acTL", data: words(frames.length, 0) }];
  frames.forEach((chunks, i) => {
    parts.push({ name: "fcTL", data: join(words(sequence++), header.data.slice(0, 8), timing(milliseconds)) });
    for (const { data } of chunks.filter(({ name }) => name === "IDAT"))
      parts.push(i === 0 ? { name: "IDAT", data } : { name: "fdAT", data: join(words(sequence++), data) });
  });
  parts.push({ name: "IEND", data: new Uint8Array() });
  return join(Uint8Array.from(SIGNATURE), ...parts.map(writeChunk));
}

// No offset; each frame takes the place of the one before.
function timing(milliseconds: number): Uint8Array {
  return join(words(0, 0), Uint8Array.of(milliseconds >> 8, milliseconds & 255, 1000 >> 8, 1000 & 255, 0, 0));
}

function readChunks(file: Uint8Array): Chunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const found: Chunk[] = [];
  for (let at = SIGNATURE.length; at < file.length; ) {
    const size = view.getUint32(at);
    const name = String.fromCharCode(...file.subarray(at + 4, at + 8));
    found.push({ name, data: file.subarray(at + 8, at + 8 + size) });
    at += 12 + size;
  }
  return found;
}

function writeChunk({ name, data }: Chunk): Uint8Array {
  const body = join(
    Uint8Array.from(name, (letter) => letter.charCodeAt(0)),
    data,
  );
  let crc = 0xffffffff;
  for (const byte of body) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return join(words(data.length), body, words((crc ^ 0xffffffff) >>> 0));
}

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
