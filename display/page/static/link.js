// The connection to the stage: it comes back by itself, and decodes in order.

import { Decoder } from "./wire.js";

/** @typedef {import("./wire.js").Frame} Frame */

const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000; // ms
const ACK_EVERY = 100; // ms

/**
 * @typedef {object} Listener
 * @property {(frame: Frame) => void} frame a frame was decoded
 * @property {(cards: any) => void} cards
 * @property {(up: boolean) => void} state connected, or not
 * @property {(message: any) => void} [tell] whatever else the stage says, by its type
 */

/** A name that survives a reload of this tab. */
function screenID() {
  try {
    let id = sessionStorage.getItem("sierpi-screen");
    if (!id) {
      id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("sierpi-screen", id);
    }
    return id;
  } catch {
    return "";
  }
}

export class Link {
  /** @type {WebSocket | null} */
  #socket = null;
  #pause = FIRST_PAUSE;
  #rate;
  #painted = 0;
  #ackedAt = -ACK_EVERY;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #ackTimer;
  /** @type {Listener} */
  #listener;

  /**
   * @param {number} rate frames a second to ask for; Infinity for as many as there are
   * @param {Listener} listener
   */
  constructor(rate, listener) {
    this.#rate = rate;
    this.#listener = listener;
    /** Milliseconds spent in decoding, and frames, since they were last taken. */
    this.spent = 0;
    this.received = 0;
    this.#connect();
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => this.#hurry());
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  #hurry() {
    if (this.#socket || document.hidden) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #connect() {
    const url = new URL("/display/screen", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const query = new URLSearchParams(location.search);
    for (const name of ["token", "output", "view"]) {
      const value = query.get(name);
      if (value) url.searchParams.set(name, value);
    }
    if (Number.isFinite(this.#rate)) url.searchParams.set("rate", String(this.#rate));
    const id = screenID();
    if (id) url.searchParams.set("id", id);

    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const decoder = new Decoder();
    // Inflating is asynchronous, and a difference needs the frame before it.
    let turn = Promise.resolve();
    socket.onopen = () => {
      this.#listener.state(true);
    };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") {
        const message = JSON.parse(event.data);
        if (message.type === "cards") this.#listener.cards(message.cards);
        else this.#listener.tell?.(message);
        return;
      }
      turn = turn.then(async () => {
        if (this.#socket !== socket) return;
        const began = performance.now();
        try {
          const frame = await decoder.decode(event.data);
          this.#pause = FIRST_PAUSE;
          this.spent += performance.now() - began;
          this.received++;
          this.#listener.frame(frame);
        } catch (error) {
          console.warn("frame:", error);
          this.send({ type: "key" });
        }
      });
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#listener.state(false);
      // Spread out, so that fifty screens do not knock at once.
      this.#timer = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
      this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
    };
  }

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {object} message */
  send(message) {
    if (this.connected) this.#socket?.send(JSON.stringify(message));
  }

  /**
   * Asks for another rate; 0 for no frames.
   * @param {number} rate
   */
  setRate(rate) {
    this.#rate = rate;
    this.send({ type: "rate", rate: Number.isFinite(rate) ? rate : 1000 });
  }

  /**
   * Tells the stage what was painted: not too often, but always in the end, since the stage
   * waits for it before it sends more.
   * @param {number} number
   */
  painted(number) {
    this.#painted = number;
    if (this.#ackTimer !== undefined) return;
    this.#ackTimer = setTimeout(() => {
      this.#ackTimer = undefined;
      this.#ackedAt = performance.now();
      this.send({ type: "ack", frame: this.#painted });
    }, Math.max(0, ACK_EVERY - (performance.now() - this.#ackedAt)));
  }
}
