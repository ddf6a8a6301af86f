// The ladder of painters: WebGL on a real GPU, a canvas repainted where it changed,
// a canvas of a quarter of the cells, and the daemon's own PNG. Each paints at
// cell resolution; the browser scales.

import { pixels } from "./wire.js";

/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {"webgl" | "2d" | "quarter" | "png"} Rung */

/**
 * @typedef {object} Painter
 * @property {Rung} rung
 * @property {HTMLElement} element
 * @property {(frame: Frame) => void} paint
 * @property {(from?: number, to?: number) => Uint32Array | null} read rows of the canvas at cell resolution, 0xAABBGGRR from the top left; all without from and to
 * @property {() => void} close
 */

/** Rows that are repainted together. */
const BAND = 16;

/**
 * @param {number} width
 * @param {number} height
 */
function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.className = "picture";
  return canvas;
}

/**
 * A canvas of which only what changed is painted. With step 2 it takes every
 * second cell of every second row.
 * @param {number} width
 * @param {number} height
 * @param {1 | 2} step
 * @returns {Painter | null}
 */
function canvasPainter(width, height, step) {
  const w = Math.ceil(width / step), h = Math.ceil(height / step);
  const canvas = newCanvas(w, h);
  // Read for each heartbeat; and this rung is for machines without a GPU.
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) return null;
  const image = context.createImageData(w, h);
  const px = new Uint32Array(image.data.buffer);
  const colours = new Uint32Array(256);
  return {
    rung: step === 1 ? "2d" : "quarter",
    element: canvas,
    paint(frame) {
      pixels(frame.palette, colours);
      const cells = frame.cells;
      for (let top = 0; top < h; top += BAND) {
        const bottom = Math.min(top + BAND, h);
        let left = w, right = -1, first = bottom, last = -1;
        for (let y = top; y < bottom; y++) {
          let from = y * step * width;
          for (let i = y * w, x = 0; x < w; i++, x++, from += step) {
            const c = colours[cells[from]];
            if (px[i] !== c) {
              px[i] = c;
              if (x < left) left = x;
              if (x > right) right = x;
              if (y < first) first = y;
              last = y;
            }
          }
        }
        if (last >= 0) context.putImageData(image, 0, 0, left, first, right - left + 1, last - first + 1);
      }
    },
    read(from = 0, to = h) {
      return new Uint32Array(context.getImageData(0, from, w, to - from).data.buffer);
    },
    close() {},
  };
}

const VERTEX = `
attribute vec2 at;
varying vec2 place;
void main() { place = vec2(at.x, -at.y) * 0.5 + 0.5; gl_Position = vec4(at, 0.0, 1.0); }`;

const FRAGMENT = `
precision mediump float;
uniform sampler2D cells, palette;
varying vec2 place;
void main() {
  float value = texture2D(cells, place).r * 255.0;
  gl_FragColor = vec4(texture2D(palette, vec2((value + 0.5) / 256.0, 0.5)).rgb, 1.0);
}`;

/**
 * Reports whether a GPU does the work, and not a program that plays one.
 * @param {WebGLRenderingContext} gl
 */
function isReal(gl) {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/**
 * @param {number} width
 * @param {number} height
 * @param {boolean} forced even without a real GPU
 * @param {() => void} lost the GPU went away
 * @returns {Painter | null}
 */
function webglPainter(width, height, forced, lost) {
  const canvas = newCanvas(width, height);
  const gl = canvas.getContext("webgl", { alpha: false, antialias: false, depth: false, stencil: false, powerPreference: "low-power" });
  if (!gl || !(forced || isReal(gl)) || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;

  const program = gl.createProgram();
  if (!program) return null;
  for (const [type, source] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = gl.createShader(type);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
  const at = gl.getAttribLocation(program, "at");
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
  /** @param {number} unit @param {string} name */
  const texture = (unit, name) => {
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    gl.uniform1i(gl.getUniformLocation(program, name), unit);
  };
  texture(0, "cells");
  texture(1, "palette");
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.viewport(0, 0, width, height);
  const colours = new Uint32Array(256);
  const bytes = new Uint8Array(colours.buffer);
  let fresh = true;
  canvas.addEventListener("webglcontextlost", lost);
  const draw = () => gl.drawArrays(gl.TRIANGLES, 0, 3);
  return {
    rung: "webgl",
    element: canvas,
    paint(frame) {
      gl.activeTexture(gl.TEXTURE0);
      if (fresh) {
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.LUMINANCE, width, height, 0, gl.LUMINANCE, gl.UNSIGNED_BYTE, frame.cells);
        fresh = false;
      } else {
        gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.LUMINANCE, gl.UNSIGNED_BYTE, frame.cells);
      }
      pixels(frame.palette, colours);
      gl.activeTexture(gl.TEXTURE1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
      draw();
    },
    read(from = 0, to = height) {
      // Drawn again, because the drawing buffer is gone once it was shown.
      draw();
      const rows = to - from;
      const px = new Uint32Array(width * rows);
      gl.readPixels(0, height - to, width, rows, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(px.buffer));
      for (let top = 0, bottom = rows - 1; top < bottom; top++, bottom--) {
        const row = px.slice(top * width, (top + 1) * width);
        px.copyWithin(top * width, bottom * width, (bottom + 1) * width);
        px.set(row, bottom * width);
      }
      return px;
    },
    close() {
      canvas.removeEventListener("webglcontextlost", lost);
      gl.getExtension("WEBGL_lose_context")?.loseContext();
    },
  };
}

/** @returns {Painter & {element: HTMLImageElement}} */
function picturePainter() {
  const image = document.createElement("img");
  image.className = "picture";
  image.alt = "";
  return { rung: "png", element: image, paint() {}, read: () => null, close() {} };
}

/** @type {Rung[]} */
export const LADDER = ["webgl", "2d", "quarter", "png"];

/**
 * The best painter from this rung downwards.
 * @param {Rung} from
 * @param {number} width
 * @param {number} height
 * @param {boolean} forced take that rung even if it will be slow
 * @param {() => void} lost called when the painter can paint no more
 * @returns {Painter}
 */
export function painter(from, width, height, forced, lost) {
  for (const rung of LADDER.slice(LADDER.indexOf(from))) {
    /** @type {Painter | null} */
    let p = null;
    if (rung === "webgl") p = webglPainter(width, height, forced, lost);
    if (rung === "2d") p = canvasPainter(width, height, 1);
    if (rung === "quarter") p = canvasPainter(width, height, 2);
    if (p) return p;
  }
  return picturePainter();
}
