// The visitors' remote: the wall's picture, a ghost of what is about to be drawn, and
// the scenes. A finger aims; nothing lives before it is placed.

import { GhostLayer, colourOf } from "./ghosts.js";
import { Link } from "./link.js";
import { LADDER, painter } from "./paint.js";

/** @typedef {{name: string, width: number, height: number, cells: number[]}} Pattern */
/** @typedef {{kind: "pen" | "eraser"} | {kind: "stamp", pattern: Pattern}} Tool */

const TAKEN = 4001, IDLE = 4002; // close codes of the daemon
const LIFT = 44; // px that what is stamped floats above the finger
const ZOOMS = [1, 3, 6];
const GHOST_EVERY = 100; // ms between two words about the ghost
const AIM = 26; // px that the frame around a ghost has at least

const $ = /** @type {<T extends HTMLElement>(id: string) => T} */ ((id) => /** @type {any} */ (document.getElementById(id)));

class Remote {
  #stage = $("stage");
  #view = $("view");
  #aim = $("aim");
  #caption = $("caption");
  #message = $("message");
  #hint = $("hint");
  #place = /** @type {HTMLButtonElement} */ ($("place"));
  #discard = /** @type {HTMLButtonElement} */ ($("discard"));
  #undo = /** @type {HTMLButtonElement} */ ($("undo"));
  #turn = /** @type {HTMLButtonElement} */ ($("turn"));
  #layer = new GhostLayer();

  width = 480; // of the universe, in cells
  height = 270;
  #maxCells = 600;
  #name = "";
  #state = { scene: "", hold: false, undo: false, playing: false, fading: false };

  /** @type {Tool} */
  #tool = { kind: "pen" };
  #turns = 0;
  #day = false; // the wall is ink on paper
  /** @type {Map<number, [number, number]>} the ghost's cells, by place */
  #ghost = new Map();
  /** @type {[number, number]} where a stamp is */
  #at = [0, 0];
  #zoom = 1;
  #pan = { x: 0, y: 0 }; // px
  #n = 0;
  /** @type {Map<number, (error: string) => void>} who waits for an answer */
  #waiting = new Map();
  /** @type {WebSocket | null} */
  #socket = null;
  #pause = 500;
  #stopped = false;

  constructor() {
    /** @type {import("./paint.js").Painter | null} */
    let brush = null;
    let size = "";
    new Link(matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 10, {
      frame: (frame) => {
        const now = `${frame.width}x${frame.height}`;
        if (now !== size || !brush) {
          size = now;
          brush?.close();
          brush = painter(LADDER[1], frame.width, frame.height, false, () => {});
          brush.element.setAttribute("role", "img");
          brush.element.setAttribute("aria-label", "What the wall shows now; a finger on it aims");
          this.#view.replaceChildren(brush.element, this.#layer.canvas);
        }
        brush.paint(frame);
        if (this.#caption.textContent !== frame.caption) this.#caption.textContent = frame.caption;
      },
      cards() {},
      state() {},
      tell: (message) => {
        if (message.type !== "light" || this.#day === message.day) return;
        this.#day = message.day;
        this.#show();
      },
    });
    this.#place.onclick = () => this.#send();
    this.#discard.onclick = () => this.#drop();
    this.#undo.onclick = () => this.#ask({ type: "undo" }, "Taken back.");
    this.#turn.onclick = () => {
      this.#turns = (this.#turns + 1) % 4;
      if (this.#ghost.size > 0) this.#stamp();
    };
    $("next").onclick = () => this.#ask({ type: "next" }, "");
    $("hold").onclick = () => this.#ask({ type: "hold", on: !this.#state.hold }, "");
    $("zoom").onclick = () => this.#zoomTo(ZOOMS[(ZOOMS.indexOf(this.#zoom) + 1) % ZOOMS.length] ?? 1);
    $("scenes").addEventListener("click", (event) => {
      const name = event.target instanceof HTMLElement ? event.target.dataset.scene : undefined;
      if (name) this.#ask({ type: "scene", name }, "");
    });
    this.#listen();
    addEventListener("resize", () => this.#show());
    addEventListener("keydown", (event) => this.#key(event));
    this.#connect();
  }

  // The connection.

  #connect() {
    const url = new URL("/display/remote", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    socket.onclose = async (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      for (const done of this.#waiting.values()) done("The wall does not answer.");
      this.#waiting.clear();
      if (event.code === TAKEN || event.code === IDLE) {
        this.#stopped = true;
        this.#say(event.code === TAKEN ? "Another page of yours has the remote now. Load this one again to have it back." : "The remote was put down. Load the page to take it up.", "warn");
        return;
      }
      // Frozen, banned, over? Then the page itself says so.
      try {
        const answer = await fetch("/remote/state.json", { cache: "no-store" });
        const state = await answer.json();
        if (!state.visitor) {
          location.reload();
          return;
        }
      } catch {
        // The daemon is away; it is asked again.
      }
      this.#say("The wall does not answer; it is asked again.", "warn");
      setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
      this.#pause = Math.min(10000, this.#pause * 2);
    };
  }

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {any} message */
  #hear(message) {
    if (message.type === "hello") {
      this.#pause = 500;
      this.#name = message.name;
      this.width = message.width;
      this.height = message.height;
      this.#maxCells = message.maxCells;
      this.#stage.style.aspectRatio = `${this.width} / ${this.height}`;
      this.#palette(message.patterns);
      this.#say("");
    }
    if (message.type === "state") {
      this.#state = message.state;
      this.#showState();
    }
    if (message.type === "done" || message.type === "error") {
      const done = this.#waiting.get(message.n);
      this.#waiting.delete(message.n);
      done?.(message.type === "error" ? `${message.error} ${message.remedy}` : "");
    }
  }

  /**
   * @param {object} message
   * @param {string} good what to say when it is done
   * @param {(failed: boolean) => void} [then]
   */
  #ask(message, good, then) {
    if (!this.connected) {
      if (!this.#stopped) this.#say("The wall does not answer; it is asked again.", "warn");
      return;
    }
    const n = ++this.#n;
    this.#waiting.set(n, (error) => {
      this.#say(error || good, error ? "warn" : "ok");
      then?.(error !== "");
    });
    this.#socket?.send(JSON.stringify({ ...message, n }));
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #quiet;

  /** @param {string} text @param {string} [kind] */
  #say(text, kind = "") {
    clearTimeout(this.#quiet);
    this.#message.hidden = text === "";
    this.#message.className = `notice ${kind}`;
    this.#message.textContent = text;
    if (kind === "ok") this.#quiet = setTimeout(() => this.#say(""), 2500);
  }

  #showState() {
    const { scene, hold, undo, playing } = this.#state;
    this.#undo.disabled = !undo;
    $("hold").setAttribute("aria-pressed", String(hold));
    $("hold").textContent = hold ? "Held" : "Hold";
    for (const button of document.querySelectorAll("[data-scene]")) {
      button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.scene === scene));
    }
    document.body.classList.toggle("playing", playing);
  }

  // The palette.

  /** @param {Pattern[]} patterns */
  #palette(patterns) {
    const stamps = $("stamps"), shape = /** @type {HTMLTemplateElement} */ ($("shape"));
    /** @type {[string, Tool, number[], number, number][]} */
    const tools = [
      ["Pen", { kind: "pen" }, [0, 3, 1, 2, 2, 2, 3, 1, 4, 1, 5, 2, 6, 2, 7, 1, 8, 0], 9, 4],
      ["Eraser", { kind: "eraser" }, [0, 0, 1, 0, 2, 0, 0, 1, 2, 1, 0, 2, 1, 2, 2, 2], 3, 3],
      ...patterns.map((p) => /** @type {[string, Tool, number[], number, number]} */ ([p.name, { kind: "stamp", pattern: p }, p.cells, p.width, p.height])),
    ];
    stamps.replaceChildren(...tools.map(([name, tool, cells, w, h], i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "stamp";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(i === 0));
      const svg = /** @type {Element} */ (shape.content.firstElementChild?.cloneNode(true));
      svg.setAttribute("viewBox", `-1 -1 ${w + 2} ${h + 2}`);
      let d = "";
      for (let k = 0; k < cells.length; k += 2) d += `M${cells[k] + 0.06} ${cells[k + 1] + 0.06}h.88v.88h-.88z`;
      svg.firstElementChild?.setAttribute("d", d);
      button.append(svg, name);
      button.onclick = () => {
        for (const other of stamps.children) other.setAttribute("aria-checked", String(other === button));
        this.#choose(tool);
      };
      return button;
    }));
    this.#choose(tools[0][1]);
  }

  /** @param {Tool} tool */
  #choose(tool) {
    this.#tool = tool;
    this.#turns = 0;
    this.#turn.disabled = tool.kind !== "stamp";
    this.#drop();
    this.#hint.textContent = tool.kind === "stamp"
      ? "A finger on the picture moves the ghost; the wall shows it. Nothing lives before you place it."
      : "Zoom in, and draw with a finger; two fingers move the picture. Nothing changes before you place it.";
  }

  // The ghost.

  #drop() {
    this.#ghost.clear();
    this.#show();
    this.#tell(true);
  }

  /** @param {number} x @param {number} y */
  #add(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height || this.#ghost.size >= this.#maxCells) return;
    this.#ghost.set(y * this.width + x, [x, y]);
  }

  #stamp() {
    if (this.#tool.kind !== "stamp") return;
    const { width, height, cells } = this.#tool.pattern;
    this.#ghost.clear();
    const odd = this.#turns % 2 === 1;
    const w = odd ? height : width, h = odd ? width : height;
    // Wholly on the picture.
    const x0 = Math.max(0, Math.min(this.width - w, this.#at[0] - (w >> 1)));
    const y0 = Math.max(0, Math.min(this.height - h, this.#at[1] - (h >> 1)));
    for (let i = 0; i < cells.length; i += 2) {
      let x = cells[i], y = cells[i + 1];
      if (this.#turns === 1) [x, y] = [height - 1 - y, x];
      if (this.#turns === 2) [x, y] = [width - 1 - x, height - 1 - y];
      if (this.#turns === 3) [x, y] = [y, width - 1 - x];
      this.#add(x0 + x, y0 + y);
    }
    this.#show();
    this.#tell(false);
  }

  /** @returns {number[]} */
  #cells() {
    return [...this.#ghost.values()].flat();
  }

  #show() {
    const cells = this.#cells();
    const some = cells.length > 0;
    this.#place.disabled = this.#discard.disabled = !some;
    this.#place.textContent = this.#tool.kind === "eraser" ? "Erase" : "Place";
    const own = colourOf(this.#name, this.#day);
    this.#stage.style.setProperty("--aim", own);
    const colour = this.#tool.kind !== "eraser" ? own : this.#day ? "#c02a1a" : "#ff8d80";
    this.#layer.show(this.width, this.height, [{ colour, cells }]);
    this.#view.style.transform = `translate(${this.#pan.x}px, ${this.#pan.y}px) scale(${this.#zoom})`;
    this.#aim.hidden = !some;
    if (!some) return;
    let left = Infinity, top = Infinity, right = -1, bottom = -1;
    for (const [x, y] of this.#ghost.values()) {
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
    const scale = this.#scale();
    const w = Math.max(AIM, (right - left) * scale + 10), h = Math.max(AIM, (bottom - top) * scale + 10);
    const x = (left + right) / 2 * scale + this.#pan.x - w / 2, y = (top + bottom) / 2 * scale + this.#pan.y - h / 2;
    this.#aim.style.width = `${w}px`;
    this.#aim.style.height = `${h}px`;
    this.#aim.style.transform = `translate(${x}px, ${y}px)`;
  }

  #toldAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #tellTimer;

  /**
   * Tells the wall about the ghost: not too often, but the last word always.
   * @param {boolean} now
   */
  #tell(now) {
    clearTimeout(this.#tellTimer);
    const wait = now ? 0 : Math.max(0, GHOST_EVERY - (performance.now() - this.#toldAt));
    this.#tellTimer = setTimeout(() => {
      this.#toldAt = performance.now();
      if (this.connected) this.#socket?.send(JSON.stringify({ type: "ghost", cells: this.#tool.kind === "eraser" ? [] : this.#cells() }));
    }, wait);
  }

  #send() {
    if (this.#ghost.size === 0) return;
    this.#place.disabled = true;
    const erases = this.#tool.kind === "eraser";
    this.#ask({ type: "draw", cells: this.#cells(), alive: !erases }, erases ? "Erased." : "It lives.", (failed) => {
      if (failed) this.#show();
      else this.#drop();
    });
  }

  // Fingers.

  /** CSS pixels a cell. */
  #scale() {
    return this.#stage.clientWidth / this.width * this.#zoom;
  }

  /** @param {number} zoom @param {number} [x] the point that stays, in px of the stage @param {number} [y] */
  #zoomTo(zoom, x = this.#stage.clientWidth / 2, y = this.#stage.clientHeight / 2) {
    zoom = Math.max(1, Math.min(8, zoom));
    const k = zoom / this.#zoom;
    this.#pan.x = x - (x - this.#pan.x) * k;
    this.#pan.y = y - (y - this.#pan.y) * k;
    this.#zoom = zoom;
    this.#bound();
    const factor = `${Math.round(zoom)}×`;
    $("zoom").textContent = factor;
    $("zoom").ariaLabel = `${factor}, zoom`;
    this.#show();
  }

  #bound() {
    const w = this.#stage.clientWidth, h = this.#stage.clientHeight;
    this.#pan.x = Math.max(w - w * this.#zoom, Math.min(0, this.#pan.x));
    this.#pan.y = Math.max(h - h * this.#zoom, Math.min(0, this.#pan.y));
  }

  #listen() {
    /** @type {Map<number, {x: number, y: number}>} */
    const fingers = new Map();
    /** @type {[number, number] | null} */
    let last = null;
    let before = new Map(this.#ghost);
    const place = (/** @type {PointerEvent} */ event) => {
      const box = this.#stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const cell = (/** @type {{x: number, y: number}} */ p) => /** @type {[number, number]} */ ([
      Math.floor((p.x - this.#pan.x) / this.#scale()), Math.floor((p.y - this.#pan.y) / this.#scale()),
    ]);
    const aim = (/** @type {PointerEvent} */ event) => {
      const p = place(event);
      if (this.#tool.kind === "stamp") {
        this.#at = cell({ x: p.x, y: p.y - (event.pointerType === "touch" ? LIFT : 0) });
        this.#stamp();
        return;
      }
      // A line from where the finger was.
      const to = cell(p), from = last ?? to;
      const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
      const thick = this.#tool.kind === "eraser" ? 2 : 0;
      for (let i = 0; i <= steps; i++) {
        const x = Math.round(from[0] + (to[0] - from[0]) * i / steps), y = Math.round(from[1] + (to[1] - from[1]) * i / steps);
        for (let dy = -thick; dy <= thick; dy++) for (let dx = -thick; dx <= thick; dx++) this.#add(x + dx, y + dy);
      }
      last = to;
      this.#show();
      this.#tell(false);
    };
    this.#stage.addEventListener("pointerdown", (event) => {
      if (event.target instanceof HTMLButtonElement || event.button !== 0) return;
      event.preventDefault();
      this.#stage.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, place(event));
      if (fingers.size === 1) {
        before = new Map(this.#ghost);
        last = null;
        aim(event);
      } else if (fingers.size === 2) {
        // It was not a stroke: two fingers move the picture.
        this.#ghost = before;
        this.#show();
        this.#tell(false);
      }
    });
    this.#stage.addEventListener("pointermove", (event) => {
      const was = fingers.get(event.pointerId);
      if (!was) return;
      const now = place(event);
      if (fingers.size === 1) {
        fingers.set(event.pointerId, now);
        aim(event);
        return;
      }
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (!other) return;
      const far = Math.hypot(was.x - other.x, was.y - other.y), near = Math.hypot(now.x - other.x, now.y - other.y);
      fingers.set(event.pointerId, now);
      this.#pan.x += (now.x - was.x) / 2;
      this.#pan.y += (now.y - was.y) / 2;
      this.#zoomTo(this.#zoom * (far > 0 ? near / far : 1), (now.x + other.x) / 2, (now.y + other.y) / 2);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.#stage.addEventListener(name, (event) => {
        fingers.delete(/** @type {PointerEvent} */ (event).pointerId);
        last = null;
      });
    }
    this.#stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = this.#stage.getBoundingClientRect();
      this.#zoomTo(this.#zoom * Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
  }

  /**
   * Arrow keys move a stamp, Escape discards it.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    const way = new Map([["ArrowLeft", [-1, 0]], ["ArrowRight", [1, 0]], ["ArrowUp", [0, -1]], ["ArrowDown", [0, 1]]]).get(event.key);
    if (event.target instanceof HTMLElement && event.target.closest("[role=radiogroup], input")) return;
    if (way && this.#tool.kind === "stamp" && this.#ghost.size > 0) {
      const step = event.shiftKey ? 1 : 5;
      this.#at = [
        Math.max(0, Math.min(this.width - 1, this.#at[0] + way[0] * step)),
        Math.max(0, Math.min(this.height - 1, this.#at[1] + way[1] * step)),
      ];
      this.#stamp();
      event.preventDefault();
    }
    if (event.key === "Escape") this.#drop();
  }

  /** For tests. */
  get ghost() {
    return this.#cells();
  }

  get state() {
    return this.#state;
  }
}

if (document.getElementById("remote")) Object.assign(globalThis, { sierpi: { remote: new Remote() } });
