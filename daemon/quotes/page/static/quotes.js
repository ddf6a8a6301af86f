// Searches while you type, and gives the page its keys. Without this script the
// form and the links do the same, a page at a time.

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement} results
 */
function searchWhileTyping(form, results) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {AbortController | undefined} */
  let running;
  const query = () => {
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string" && value.trim()) params.set(name, value);
    return params;
  };
  let shown = query().toString();

  const search = async () => {
    const params = query();
    if (params.toString() === shown) return;
    running?.abort();
    const mine = running = new AbortController();
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch("/quotes/results?" + params, { signal: mine.signal });
      if (!answer.ok) return;
      const html = await answer.text();
      if (mine !== running) return; // a later one is on its way
      results.innerHTML = html; // escaped by the server's template
      shown = params.toString();
      history.replaceState(null, "", "/quotes" + (shown ? "?" + shown : ""));
    } catch {
      if (!mine.signal.aborted) shown = ""; // offline: the next key tries again
    } finally {
      if (mine === running) results.removeAttribute("aria-busy");
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(search, 120); };

  for (const field of form.elements) field.addEventListener("input", soon);
  form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); search(); });
}

/** @param {KeyboardEvent} event */
function keys(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || !(event.target instanceof Element)) return;
  const typing = event.target.closest("input, textarea, select");
  /** @type {HTMLElement[]} */
  const links = [...document.querySelectorAll(".quotes .permalink")].flatMap((e) => e instanceof HTMLElement ? [e] : []);
  const at = links.findIndex((link) => link === document.activeElement);
  /** @param {number} i */
  const go = (i) => {
    const link = links[i];
    if (!link) return;
    link.focus();
    link.closest("li")?.scrollIntoView({ block: "nearest" });
    event.preventDefault();
  };
  if (typing instanceof HTMLElement) {
    if (event.key === "Escape") { typing.blur(); event.preventDefault(); }
    if (event.key === "ArrowDown" && typing.id === "q") go(0);
    return;
  }
  switch (event.key) {
    case "/": {
      const box = document.getElementById("q");
      if (box instanceof HTMLInputElement) { box.focus(); box.select(); event.preventDefault(); }
      break;
    }
    case "j": case "ArrowDown": if (event.key === "j" || at >= 0) go(at + 1); break;
    case "k": case "ArrowUp": if (event.key === "k" || at >= 0) go(Math.max(at - 1, 0)); break;
    case "r": location.href = "/quotes/random"; break;
  }
}

const form = document.getElementById("quote-search"), results = document.getElementById("results");
if (form instanceof HTMLFormElement && results) searchWhileTyping(form, results);
document.addEventListener("keydown", keys);
// Beside the results there is room for the filters.
const filters = document.querySelector(".filters");
if (filters instanceof HTMLDetailsElement && matchMedia("(min-width: 60rem)").matches) filters.open = true;
