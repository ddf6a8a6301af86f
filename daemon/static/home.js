// The small wall on the home page: the stage's own frames, at a phone's pace.
import { Link } from "/static/display/link.js";
import { LADDER, painter } from "/static/display/paint.js";

const slot = /** @type {HTMLElement} */ (document.getElementById("wall"));
const caption = /** @type {HTMLElement} */ (document.getElementById("wall-caption"));
/** @type {import("/static/display/paint.js").Painter | null} */
let brush = null;
let size = "";

const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
new Link(calm ? 1 : 10, {
  frame(frame) {
    const now = `${frame.width}x${frame.height}`;
    if (now !== size || !brush) {
      size = now;
      brush?.close();
      brush = painter(LADDER[1], frame.width, frame.height, false, () => {});
      brush.element.setAttribute("role", "img");
      brush.element.setAttribute("aria-label", "What the wall shows now");
      slot.replaceChildren(brush.element);
    }
    brush.paint(frame);
    if (caption.textContent !== frame.caption) caption.textContent = frame.caption;
  },
  cards() {},
  state(up) {
    slot.classList.toggle("offline", !up);
  },
});
