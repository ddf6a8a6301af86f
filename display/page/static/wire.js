// The decoder of the frame format; package display/wire describes it and holds
// the test vectors that both decoders read.

const VERSION = 1;
const MAX_SIDE = 8192;
const MAX_CELLS = 1 << 23;
const HEADER = 18;
const DIFFERENCE = 1, DEFLATE = 2, PALETTE = 4, AGEING = 8, LABELS = 16, BYTES = 32, KNOWN = 63;

/**
 * @typedef {object} Frame
 * @property {number} number counted from 1
 * @property {number} width in cells
 * @property {number} height in cells
 * @property {number} bits a cell
 * @property {Uint8Array} cells row by row
 * @property {Uint8Array} palette red, green and blue of each value
 * @property {Uint8Array | null} ageing what a cell becomes when nothing happens
 * @property {string} scene
 * @property {string} caption
 * @property {boolean} [same] nothing is other than on the frame before but the number
 */

/** The message is no frame, or none that this screen can use. */
export class WireError extends Error {}

// Debian's TypeScript is older than this class in the browsers' types.
/** @type {new (format: string) => {readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array>}} */
const Inflater = /** @type {any} */ (globalThis).DecompressionStream;

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @param {Uint8Array} packed raw deflate
 * @param {number} limit bytes that may come out
 * @returns {Promise<Uint8Array>}
 */
async function inflate(packed, limit) {
  const stream = new Inflater("deflate-raw");
  const writer = stream.writable.getWriter();
  // What goes wrong here is seen by the reader as well.
  writer.write(packed).catch(() => {});
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  /** @type {Uint8Array[]} */
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) {
      reader.cancel().catch(() => {});
      throw new WireError("the payload inflates beyond what the frame can need");
    }
    parts.push(value);
  }
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * The table applied so many times.
 * @param {Uint8Array} table
 * @param {number} steps
 */
function aged(table, steps) {
  const out = new Uint8Array(table.length);
  for (let i = 0; i < out.length; i++) {
    let v = i;
    for (let k = 0; k < steps; k++) v = table[v];
    out[i] = v;
  }
  return out;
}

/** Decodes the messages of one screen, one after the other. */
export class Decoder {
  constructor() {
    /** @type {Frame | null} */
    this.frame = null;
  }

  /**
   * Applies one message; the frame is the decoder's own. After an error only a key frame
   * can follow. Wait for one call before the next.
   * @param {ArrayBuffer} message
   * @returns {Promise<Frame>}
   */
  async decode(message) {
    const before = this.frame;
    this.frame = null;
    this.frame = await this.#decode(new Uint8Array(message), before);
    return this.frame;
  }

  /**
   * @param {Uint8Array} msg
   * @param {Frame | null} held
   * @returns {Promise<Frame>}
   */
  async #decode(msg, held) {
    if (msg.length < HEADER) throw new WireError("the message ends too early");
    const view = new DataView(msg.buffer, msg.byteOffset, msg.byteLength);
    if (msg[0] !== 0x53 || msg[1] !== 0x46) throw new WireError("this is no frame");
    if (msg[2] !== VERSION) throw new WireError(`version ${msg[2]} of the frame format is not known here`);
    const flags = msg[3];
    if (flags & ~KNOWN) throw new WireError("flags of no meaning are set");
    const number = view.getUint32(4, true), base = view.getUint32(8, true);
    const width = view.getUint16(12, true), height = view.getUint16(14, true);
    const bits = msg[16], steps = msg[17];
    if (number === 0) throw new WireError("frame numbers count from 1");
    if (bits < 1 || bits > 8) throw new WireError(`${bits} bits a cell`);
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_CELLS) {
      throw new WireError(`${width}x${height} cells`);
    }
    const difference = (flags & DIFFERENCE) !== 0;
    if (difference) {
      if (!held || held.number !== base) throw new WireError("difference from a frame that is not here");
      if (held.width !== width || held.height !== height || held.bits !== bits) {
        throw new WireError("a difference between frames of two sizes");
      }
    } else if (base !== 0 || steps !== 0) {
      throw new WireError("a key frame with a base");
    }

    let at = HEADER;
    /** @param {number} n */
    const take = (n) => {
      if (at + n > msg.length) throw new WireError("the message ends too early");
      at += n;
      return msg.subarray(at - n, at);
    };
    /** @type {Uint8Array | null} */
    let palette = null;
    /** @type {Uint8Array | null} */
    let ageing = null;
    let scene = "", caption = "";
    if (flags & PALETTE) {
      const count = take(1)[0] + 1;
      if (count > 1 << bits) throw new WireError("more colours than values");
      palette = take(3 * count).slice();
    }
    if (flags & AGEING) {
      ageing = take(1 << bits).slice();
      for (const v of ageing) if (v >> bits) throw new WireError("the ageing table leads beyond the bits");
    }
    if (flags & LABELS) {
      const sceneLength = take(1)[0];
      if (sceneLength > 64) throw new WireError("the scene id is too long");
      const sceneBytes = take(sceneLength);
      const two = take(2);
      const captionLength = two[0] | two[1] << 8;
      if (captionLength > 1024) throw new WireError("the caption is too long");
      try {
        scene = text.decode(sceneBytes);
        caption = text.decode(take(captionLength));
      } catch (error) {
        if (error instanceof WireError) throw error;
        throw new WireError("the labels are not UTF-8");
      }
    }

    const stride = (width + 7) >> 3;
    const plane = stride * height;
    const size = plane * bits;
    let payload = msg.subarray(at);
    if (flags & DEFLATE) {
      const limit = flags & BYTES ? width * height : difference ? size + (size >> 3) + (size >> 6) + 2 : size;
      try {
        payload = await inflate(payload, limit);
      } catch (error) {
        if (error instanceof WireError) throw error;
        throw new WireError("the payload does not inflate: " + error);
      }
    }

    if (flags & BYTES) {
      if (payload.length !== width * height && !(difference && payload.length === 0)) throw new WireError("cells of a wrong number");
      for (let i = 0; i < payload.length; i++) if (payload[i] >> bits) throw new WireError("a cell beyond the bits");
    }

    /** @type {Frame} */
    let frame;
    if (difference && held) {
      frame = held;
    } else {
      if (!(flags & BYTES) && payload.length !== size) throw new WireError("planes of a wrong length");
      const reuse = held && held.cells.length === width * height ? held.cells.fill(0) : new Uint8Array(width * height);
      frame = { number, width, height, bits, cells: reuse, palette: new Uint8Array(0), ageing: null, scene: "", caption: "" };
    }
    if (palette) frame.palette = palette;
    if (ageing) frame.ageing = ageing;
    if (flags & LABELS) {
      frame.scene = scene;
      frame.caption = caption;
    }

    const cells = frame.cells;
    /**
     * Flips the cells that byte i of the planes names.
     * @param {number} i
     * @param {number} byte
     */
    const flip = (i, byte) => {
      const p = (i / plane) | 0;
      const within = i - p * plane;
      const y = (within / stride) | 0;
      const x = (within - y * stride) << 3;
      if (x + 8 > width && byte >> (width - x)) throw new WireError("bits are set beyond the width");
      const bit = 1 << p;
      let cell = y * width + x;
      for (; byte !== 0; byte >>= 1, cell++) if (byte & 1) cells[cell] ^= bit;
    };

    if (steps > 0) {
      if (!frame.ageing) throw new WireError("ageing steps without an ageing table");
      const table = aged(frame.ageing, steps);
      for (let i = 0; i < cells.length; i++) cells[i] = table[cells[i]];
    }
    if (flags & BYTES) {
      for (let i = 0; i < payload.length; i++) cells[i] ^= payload[i];
    } else if (!difference) {
      for (let i = 0; i < payload.length; i++) if (payload[i] !== 0) flip(i, payload[i]);
    } else {
      if (payload.length > 0) {
        const words = (size + 7) >> 3;
        const bitmap = (words + 7) >> 3;
        let next = bitmap;
        if (payload.length < bitmap) throw new WireError("the message ends too early");
        for (let b = 0; b < bitmap; b++) {
          for (let set = payload[b], word = b << 3; set !== 0; set >>= 1, word++) {
            if (!(set & 1)) continue;
            if (word >= words || next >= payload.length) throw new WireError("the message ends too early");
            let mask = payload[next++];
            if (mask === 0) throw new WireError("a changed word without a change");
            for (let i = word << 3; mask !== 0; mask >>= 1, i++) {
              if (!(mask & 1)) continue;
              if (i >= size || next >= payload.length) throw new WireError("the message ends too early");
              const byte = payload[next++];
              if (byte === 0) throw new WireError("a changed byte without a change");
              flip(i, byte);
            }
          }
        }
        if (next !== payload.length) throw new WireError("bytes too many at the end");
      }
    }
    frame.number = number;
    frame.same = difference && steps === 0 && payload.length === 0 && !palette && !(flags & LABELS);
    return frame;
  }
}

/**
 * The palette as little-endian pixels 0xAABBGGRR for all values of a byte.
 * @param {Uint8Array} palette
 * @param {Uint32Array} out of 256
 */
export function pixels(palette, out) {
  out.fill(0xff000000);
  for (let i = 0, n = palette.length / 3; i < n; i++) {
    out[i] = (0xff000000 | palette[3 * i + 2] << 16 | palette[3 * i + 1] << 8 | palette[3 * i]) >>> 0;
  }
  return out;
}

/**
 * The rows, from and up to but without to, of the picture of this number that a
 * heartbeat compares, as wire's Band says.
 * @param {number} width
 * @param {number} height
 * @param {number} number
 * @returns {[from: number, to: number]}
 */
export function band(width, height, number) {
  const rows = Math.max(1, Math.floor((1 << 17) / Math.max(1, width)));
  const bands = Math.ceil(height / rows);
  if (bands <= 1) return [0, height];
  number = Math.imul(number ^ number >>> 16, 0x85ebca6b);
  number = Math.imul(number ^ number >>> 13, 0xc2b2ae35);
  const from = (number >>> 16) % bands * rows;
  return [from, Math.min(from + rows, height)];
}

/**
 * The checksum of a picture, as wire's Frame.Hash computes it from the cells: over
 * pixels 0xAABBGGRR, the alpha left out.
 * @param {Uint32Array} px
 */
export function hash(px) {
  const prime = 16777619, offset = 2166136261 | 0;
  let a = offset, b = offset, c = offset, d = offset;
  const n = px.length & ~3;
  let i = 0;
  for (; i < n; i += 4) {
    a = Math.imul(a ^ (px[i] & 0xffffff), prime);
    b = Math.imul(b ^ (px[i + 1] & 0xffffff), prime);
    c = Math.imul(c ^ (px[i + 2] & 0xffffff), prime);
    d = Math.imul(d ^ (px[i + 3] & 0xffffff), prime);
  }
  if (i < px.length) a = Math.imul(a ^ (px[i++] & 0xffffff), prime);
  if (i < px.length) b = Math.imul(b ^ (px[i++] & 0xffffff), prime);
  if (i < px.length) c = Math.imul(c ^ (px[i++] & 0xffffff), prime);
  let h = offset;
  for (const s of [a, b, c, d]) h = Math.imul(h ^ s, prime);
  return h >>> 0;
}
