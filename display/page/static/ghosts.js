// What visitors are about to draw, over the picture: it glows and breathes, and is no
// part of the universe yet.

const FRAME = 5; // cells between a ghost and its frame
const COLOURS = ["#8cf0d7", "#f2b8ff", "#9ec5ff", "#c9f08c", "#ffffff"]; // none that Life glows in
const INKS = ["#00705f", "#8c1fae", "#1357b8", "#3f6f00", "#000000"]; // the same by day

/**
 * A visitor's colour: the same on the wall and on the phone.
 * @param {string} who
 * @param {boolean} day on paper
 */
export function colourOf(who, day) {
  let sum = 0;
  for (const c of who) sum = (sum * 31 + (c.codePointAt(0) ?? 0)) >>> 0;
  return (day ? INKS : COLOURS)[sum % COLOURS.length];
}

/** A canvas at cell resolution that lies over a picture. */
export class GhostLayer {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "ghosts";
    this.canvas.hidden = true;
  }

  /**
   * @param {number} width in cells, of the picture below
   * @param {number} height
   * @param {{colour: string, cells: number[]}[]} ghosts
   * @param {boolean} [framed] with a frame around each
   */
  show(width, height, ghosts, framed = false) {
    const canvas = this.canvas;
    canvas.hidden = ghosts.every((g) => g.cells.length === 0);
    if (canvas.hidden) return;
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    if (!context) return;
    for (const { colour, cells } of ghosts) {
      if (cells.length === 0) continue;
      context.fillStyle = context.strokeStyle = colour;
      if (framed) {
        // Small things are found from afar by their frame.
        const xs = cells.filter((_, i) => i % 2 === 0), ys = cells.filter((_, i) => i % 2 === 1);
        const left = Math.min(...xs) - FRAME, top = Math.min(...ys) - FRAME;
        context.globalAlpha = 0.6;
        context.strokeRect(left + 0.5, top + 0.5, Math.max(...xs) + FRAME - left, Math.max(...ys) + FRAME - top);
        context.globalAlpha = 1;
      }
      for (let i = 0; i + 1 < cells.length; i += 2) context.fillRect(cells[i], cells[i + 1], 1, 1);
    }
  }
}
