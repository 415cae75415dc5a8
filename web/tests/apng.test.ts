// Movies are PNG files whose first picture any program shows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { animate } from "../src/apng";

function picture(width: number, grey: number): Uint8Array {
  const chunk = (name: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const [size, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, check]);
  };
  const header = Buffer.from([0, 0, 0, width, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
  const rows = deflateSync(Buffer.from([0, ...Array(width).fill(grey)]));
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const parts = [signature, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))];
  return Uint8Array.from(Buffer.concat(parts));
}

test("chunks of a movie come in order, are counted, and have sound checksums", () => {
  const file = Buffer.from(animate([picture(3, 1), picture(3, 2)], 50));
  const names: string[] = [];
  for (let at = 8; at < file.length; ) {
    const size = file.readUInt32BE(at);
    names.push(file.toString("latin1", at + 4, at + 8));
    assert.equal(file.readUInt32BE(at + 8 + size), crc32(file.subarray(at + 4, at + 8 + size)));
    at += 12 + size;
  }
  assert.deepEqual(names, ["IHDR", "acTL", "fcTL", "IDAT", "fcTL", "fdAT", "IEND"]);
});

test("pictures of several sizes make no movie", () => {
  assert.throws(() => animate([picture(3, 1), picture(4, 1)], 50), /one size/);
});
