// The cut itself, in whole numbers: the same arithmetic as matte.go and plan.go, so
// that the preview is what the server makes of the same pixels. A test compares them.

/**
 * @typedef {object} CutOptions
 * @property {[number, number, number]} color of the background, 0 to 255 each
 * @property {number} tolerance 0 to 255
 * @property {boolean} border only what the border reaches
 * @property {number} feather pixels
 */

/** How many pixels an edge may climb, as in plan.go. */
const REACH = 6;
const FLOODED = 255;

/**
 * Cuts RGBA pixels; the input stays as it is.
 * @param {Uint8ClampedArray | Uint8Array} pixels
 * @param {number} w
 * @param {number} h
 * @param {CutOptions} o
 * @returns {{ pixels: Uint8ClampedArray, bounds: [number, number, number, number] }} the result and
 *   the rectangle x0, y0, x1, y1 outside which all is removed (all 0: nothing is left)
 */
export function cut(pixels, w, h, o) {
  const out = new Uint8ClampedArray(pixels);
  const matte = newMatte(o.color, o.tolerance);
  const n = w * h;
  const alpha = new Uint8Array(n);
  /** 1 where a pixel is within the tolerance of the background. */
  const gone = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    alpha[i] = matte.alpha(pixels, 4 * i);
    if (alpha[i] === 0) gone[i] = 1;
  }
  if (o.border) {
    flood(gone, w, h);
    cutBorder(out, alpha, gone, w, h, matte, Math.min(128, 8 * o.tolerance));
  } else {
    for (let i = 0; i < n; i++) matte.unmix(out, 4 * i, alpha[i]);
  }
  if (o.feather > 0) fade(out, gone, w, h, o.feather);
  return { pixels: out, bounds: bounds(gone, w, h) };
}

/**
 * @param {[number, number, number]} bg
 * @param {number} tolerance
 */
function newMatte(bg, tolerance) {
  const t = 255 * tolerance;
  const d = [0, 0, 0], room = [0, 0, 0];
  return {
    /**
     * The smallest alpha that explains the pixel at i.
     * @param {ArrayLike<number>} p
     * @param {number} i
     */
    alpha(p, i) {
      const s = p[i + 3];
      let worst = 0;
      for (let c = 0; c < 3; c++) {
        const off = p[i + c] - bg[c];
        room[c] = off < 0 ? bg[c] : 255 - bg[c];
        d[c] = s * Math.abs(off);
        if (d[c] > worst) worst = d[c];
      }
      if (worst <= t) return 0;
      const e = Math.max(0, 2 * t - worst);
      let a = 0;
      for (let c = 0; c < 3; c++) if (d[c] > e) a = Math.max(a, Math.ceil((d[c] - e) / room[c]));
      return a;
    },
    /**
     * Replaces the pixel at i by the colour that with alpha a gives it.
     * @param {Uint8ClampedArray} p
     * @param {number} i
     * @param {number} a
     */
    unmix(p, i, a) {
      const s = p[i + 3];
      p[i + 3] = a;
      if (a === s) return;
      if (a === 0) {
        p[i] = p[i + 1] = p[i + 2] = 0;
        return;
      }
      const half = a >> 1;
      for (let c = 0; c < 3; c++) {
        const off = p[i + c] - bg[c];
        const f = Math.floor((s * Math.abs(off) + half) / a);
        p[i + c] = off >= 0 ? Math.min(255, bg[c] + f) : Math.max(0, bg[c] - f);
      }
    },
  };
}

/**
 * Leaves of the marks those that can be reached from the border.
 * @param {Uint8Array} marks
 * @param {number} w
 * @param {number} h
 */
function flood(marks, w, h) {
  const REACHED = 2;
  /** @type {number[]} */
  const stack = [];
  /** @param {number} i */
  const visit = i => { if (marks[i] === 1) { marks[i] = REACHED; stack.push(i); } };
  for (let x = 0; x < w; x++) { visit(x); visit((h - 1) * w + x); }
  for (let y = 0; y < h; y++) { visit(y * w); visit(y * w + w - 1); }
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    const x = i % w;
    if (x > 0) visit(i - 1);
    if (x < w - 1) visit(i + 1);
    if (i >= w) visit(i - w);
    if (i < w * (h - 1)) visit(i + w);
  }
  for (let i = 0; i < marks.length; i++) marks[i] = marks[i] === REACHED ? 1 : 0;
}

/**
 * Removes what is flooded and unmixes the edge that climbs from it.
 * @param {Uint8ClampedArray} out
 * @param {Uint8Array} alpha
 * @param {Uint8Array} gone
 * @param {number} w
 * @param {number} h
 * @param {ReturnType<typeof newMatte>} matte
 * @param {number} least alpha that an object has
 */
function cutBorder(out, alpha, gone, w, h, matte, least) {
  const steps = new Uint8Array(w * h);
  /** Pixels of the last step; only their neighbours can be of the next. */
  let front = [];
  for (let i = 0; i < steps.length; i++) {
    if (gone[i]) { steps[i] = FLOODED; alpha[i] = 0; }
  }
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const i = y * w + x;
    if (!gone[i]) continue;
    // Within the flood there is nothing to climb.
    if (x > 0 && x < w - 1 && y > 0 && y < h - 1 && gone[i - 1] && gone[i + 1] && gone[i - w] && gone[i + w] &&
      gone[i - w - 1] && gone[i - w + 1] && gone[i + w - 1] && gone[i + w + 1]) continue;
    front.push(i);
  }
  const edge = [];
  for (let step = 1; step <= REACH; step++) {
    const next = [];
    for (const i of front) {
      const x = i % w, y = (i - x) / w;
      for (let j = Math.max(0, y - 1); j < Math.min(h, y + 2); j++) for (let k = Math.max(0, x - 1); k < Math.min(w, x + 2); k++) {
        const n = j * w + k;
        if (steps[n] === 0 && alpha[n] > alpha[i]) { steps[n] = step; next.push(n); }
      }
    }
    edge.push(...next);
    front = next;
  }
  for (let i = 0; i < steps.length; i++) if (steps[i] === FLOODED) matte.unmix(out, 4 * i, 0);
  for (const i of edge) {
    const x = i % w, y = (i - x) / w;
    let most = Math.max(alpha[i], least);
    for (let j = Math.max(0, y - REACH); j < Math.min(h, y + REACH + 1); j++) for (let k = Math.max(0, x - REACH); k < Math.min(w, x + REACH + 1); k++) {
      most = Math.max(most, alpha[j * w + k]);
    }
    matte.unmix(out, 4 * i, Math.max(alpha[i], Math.ceil(out[4 * i + 3] * alpha[i] / most)));
  }
}

/**
 * Fades the object in behind its edge: the share of kept pixels in the square around
 * decides.
 * @param {Uint8ClampedArray} out
 * @param {Uint8Array} gone
 * @param {number} w
 * @param {number} h
 * @param {number} f
 */
function fade(out, gone, w, h, f) {
  const total = (2 * f + 1) ** 2;
  const column = new Int32Array(w);
  /** @param {number} v @param {number} most */
  const within = (v, most) => Math.min(Math.max(v, 0), most);
  /** @param {number} y @param {number} sign */
  const add = (y, sign) => {
    const row = within(y, h - 1) * w;
    for (let x = 0; x < w; x++) if (!gone[row + x]) column[x] += sign;
  };
  for (let y = -f; y < f; y++) add(y, 1);
  for (let y = 0; y < h; y++) {
    add(y + f, 1);
    let sum = 0;
    for (let x = -f; x < f; x++) sum += column[within(x, w - 1)];
    for (let x = 0; x < w; x++) {
      sum += column[within(x + f, w - 1)];
      const i = 4 * (y * w + x);
      if (out[i + 3] !== 0) {
        const a = Math.ceil(out[i + 3] * Math.max(0, 2 * sum - total) / total);
        if (a === 0) out[i] = out[i + 1] = out[i + 2] = 0;
        out[i + 3] = a;
      }
      sum -= column[within(x - f, w - 1)];
    }
    add(y - f, -1);
  }
}

/**
 * The smallest rectangle that holds every pixel that is not marked.
 * @param {Uint8Array} marks
 * @param {number} w
 * @param {number} h
 * @returns {[number, number, number, number]}
 */
function bounds(marks, w, h) {
  let x0 = w, y0 = -1, x1 = 0, y1 = 0;
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    if (marks[y * w + x]) continue;
    if (y0 < 0) y0 = y;
    y1 = y + 1;
    if (x < x0) x0 = x;
    if (x >= x1) x1 = x + 1;
  }
  return y0 < 0 ? [0, 0, 0, 0] : [x0, y0, x1, y1];
}
