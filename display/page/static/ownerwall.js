// The small live picture on the owner's page.
import { Link } from "./link.js";
import { LADDER, painter } from "./paint.js";

const view = /** @type {HTMLElement} */ (document.getElementById("view"));
/** @type {import("./paint.js").Painter | null} */
let brush = null;
let size = "";
new Link(matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 10, {
  frame(frame) {
    const now = `${frame.width}x${frame.height}`;
    if (now !== size || !brush) {
      size = now;
      brush?.close();
      brush = painter(LADDER[1], frame.width, frame.height, false, () => {});
      view.replaceChildren(brush.element);
    }
    brush.paint(frame);
  },
  cards() {},
  state() {},
});
