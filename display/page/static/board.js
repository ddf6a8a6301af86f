// A visitor's own board: the connection to it, its canvas, and what the pages that
// play on one share.

import { painter } from "./paint.js";
import { Decoder } from "./wire.js";

/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {import("./paint.js").Painter} Painter */

const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000; // ms
const ACK_EVERY = 80; // ms

// The daemon's reasons for closing.
const TAKEN_OVER = 4001, IDLE = 4002, BUSY = 4003;

/**
 * @typedef {object} Listener
 * @property {(frame: Frame) => void} [frame]
 * @property {(state: any) => void} state
 * @property {(answer: any) => void} [answer] an answer, by its type
 * @property {(kept: boolean) => void} [open] the board is there, as it was left or new
 * @property {(what: string, remedy: string) => void} error
 * @property {(text: string, again: boolean) => void} away not connected: why, and whether only the visitor can go on
 */

/**
 * The element of that id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byID(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error("the page has no #" + id);
  return element;
}

/** A connection that comes back by itself. */
export class BoardLink {
  /** @type {WebSocket | null} */
  #socket = null;
  #pause = FIRST_PAUSE;
  #ackedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #closed = false;
  #path;
  #query;
  #listener;

  /**
   * @param {string} path of the WebSocket
   * @param {Record<string, string>} query with a kind, by which a reload finds its board again
   * @param {Listener} listener
   */
  constructor(path, query, listener) {
    this.#path = path;
    this.#query = query;
    this.#listener = listener;
    this.#connect();
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      this.#hurry();
      this.send({ type: "hidden", hidden: document.hidden });
    });
  }

  #key() {
    return "sierpi-board-" + this.#query.kind;
  }

  #hurry() {
    if (this.#socket || document.hidden || this.#closed) return;
    this.again();
  }

  /** Connects now. */
  again() {
    clearTimeout(this.#timer);
    this.#closed = false;
    if (!this.#socket) this.#connect();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null; // what it still brings is not heard
  }

  #connect() {
    const url = new URL(this.#path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    for (const [name, value] of Object.entries(this.#query)) url.searchParams.set(name, value);
    const token = new URLSearchParams(location.search).get("token");
    if (token) url.searchParams.set("token", token);
    try {
      const id = sessionStorage.getItem(this.#key());
      if (id) url.searchParams.set("board", id);
    } catch {
      // Without storage a reload is a new board.
    }
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const decoder = new Decoder();
    // Inflating is asynchronous, and a difference needs the frame before it.
    let turn = Promise.resolve();
    socket.onopen = () => {
      if (document.hidden) this.send({ type: "hidden", hidden: true });
    };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") {
        const message = JSON.parse(event.data);
        this.#pause = FIRST_PAUSE;
        turn = turn.then(() => {
          if (this.#socket === socket) this.#hear(message);
        });
        return;
      }
      turn = turn.then(async () => {
        if (this.#socket !== socket) return;
        try {
          const frame = await decoder.decode(event.data);
          this.#listener.frame?.(frame);
          this.#acknowledge(frame.number);
        } catch (error) {
          console.warn("frame:", error);
          this.send({ type: "key" });
        }
      });
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (event.code === TAKEN_OVER) return this.#stop("This board is open in another page.");
      if (event.code === IDLE) return this.#stop("Nothing happened for a long time.");
      if (event.code === BUSY) return this.#stop(event.reason[0].toUpperCase() + event.reason.slice(1) + ".");
      if (this.#closed) return;
      this.#listener.away("sierpi does not answer, and is asked again.", false);
      this.#timer = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
      this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
    };
  }

  /** @param {string} why */
  #stop(why) {
    this.#closed = true;
    this.#listener.away(why, true);
  }

  /** @param {any} message */
  #hear(message) {
    switch (message.type) {
      case "board":
        try {
          sessionStorage.setItem(this.#key(), message.id);
        } catch {
          // See above.
        }
        this.#listener.away("", false);
        this.#listener.open?.(message.kept);
        break;
      case "state":
        this.#listener.state(message.state);
        break;
      case "error":
        this.#listener.error(message.error, message.remedy);
        break;
      default:
        this.#listener.answer?.(message);
    }
  }

  /** @param {number} number */
  #acknowledge(number) {
    const now = performance.now();
    if (now - this.#ackedAt < ACK_EVERY) {
      // The last of a run must be acknowledged too.
      clearTimeout(this.#ackTimer);
      this.#ackTimer = setTimeout(() => this.send({ type: "ack", frame: number }), ACK_EVERY);
      return;
    }
    clearTimeout(this.#ackTimer);
    this.#ackedAt = now;
    this.send({ type: "ack", frame: number });
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #ackTimer;

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {object} message */
  send(message) {
    if (this.connected) this.#socket?.send(JSON.stringify(message));
  }
}

/** The canvas of a board, as large as its place allows. */
export class Canvas {
  /** @type {Painter | null} */
  #painter = null;
  #due = 0;
  /** @type {Frame | null} */
  frame = null;
  painted = 0;
  #place;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
    new ResizeObserver(() => this.#layOut()).observe(place);
    addEventListener("resize", () => this.#layOut());
  }

  /** @param {Frame} frame */
  take(frame) {
    const fresh = !this.frame || !this.#painter || frame.width !== this.frame.width || frame.height !== this.frame.height;
    this.frame = frame;
    if (fresh) {
      this.#painter?.close();
      this.#painter = painter("2d", frame.width, frame.height, false, () => {});
      this.#painter.element.setAttribute("aria-hidden", "true");
      this.#place.querySelector(".picture")?.remove();
      this.#place.prepend(this.#painter.element);
      this.#layOut();
    }
    if (this.#due) return;
    this.#due = requestAnimationFrame(() => {
      this.#due = 0;
      if (!this.frame) return;
      this.#painter?.paint(this.frame);
      this.painted = this.frame.number;
    });
  }

  #layOut() {
    const picture = this.#painter?.element, frame = this.frame;
    if (!picture || !frame) return;
    // The place's own style says how wide and how high it may become.
    const style = getComputedStyle(this.#place);
    const most = Math.max(160, parseFloat(style.maxHeight) || innerHeight * 0.8);
    const width = this.#place.parentElement?.clientWidth ?? this.#place.clientWidth;
    const dpr = devicePixelRatio || 1;
    let scale = Math.min(width / frame.width, most / frame.height);
    // Whole pixels a cell look best, where it costs little of the size.
    const whole = Math.floor(scale * dpr) / dpr;
    if (whole > 0 && whole > scale * 0.82) scale = whole;
    picture.style.width = this.#place.style.width = `${frame.width * scale}px`;
    picture.style.height = `${frame.height * scale}px`;
  }

  /**
   * The cell at a place on the page, null beside the board.
   * @param {number} clientX
   * @param {number} clientY
   */
  cellAt(clientX, clientY) {
    const box = this.#painter?.element.getBoundingClientRect();
    if (!box || !this.frame) return null;
    const x = Math.floor((clientX - box.left) / box.width * this.frame.width);
    const y = Math.floor((clientY - box.top) / box.height * this.frame.height);
    if (x < 0 || y < 0 || x >= this.frame.width || y >= this.frame.height) return null;
    return { x, y };
  }

  /** The canvas at cell resolution. */
  read() {
    return this.#painter?.read() ?? null;
  }
}

/**
 * Shows a notice, or hides it.
 * @param {HTMLElement} notice
 * @param {string} text empty: nothing to say
 */
export function say(notice, text) {
  notice.hidden = text === "";
  notice.textContent = text;
}

/**
 * Wires the notice that says why the board is away, with a button to have it again.
 * @param {() => BoardLink} link
 */
export function awayNotice(link) {
  const notice = byID("away"), text = byID("away-text"), button = byID("again");
  button.addEventListener("click", () => link().again());
  /** @param {string} why @param {boolean} again */
  return (why, again) => {
    notice.hidden = why === "";
    text.textContent = why;
    button.hidden = !again;
  };
}
