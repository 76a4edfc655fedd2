"use strict";
// All that a page does beyond showing: without scripts it reads the same, and nothing is missing
// but the switches, the search, the sorting, the enlarging and what can be handled.

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "circle"].includes(tag);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Theme: the system's until the reader chooses; a choice is remembered where that is allowed.
function setUpTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", isDark());
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch {}
    show();
  });
  system.addEventListener("change", show);
  show();
}

// Code: folded by default; one switch for all, and a button to copy each.
function setUpCode() {
  const blocks = all("details.code");
  const button = document.getElementById("code");
  button.hidden = blocks.length === 0;
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", open);
    root.dataset.code = open ? "shown" : "";
    for (const block of blocks) block.open = open || block.matches(".in-text");
  });
  for (const box of all(".highlight")) {
    const copy = make("button", { type: "button", class: "copy" }, "Copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(box.querySelector("pre").textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(box.querySelector("pre"));
        copy.textContent = "Selected: press Ctrl C";
      }
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
    box.append(copy);
  }
}

// The side: folded on narrow screens, and the heading at hand marked.
function setUpSide() {
  const narrow = matchMedia("(max-width: 60rem)");
  const menu = document.querySelector("details.menu");
  const fold = () => (menu.open = !narrow.matches);
  narrow.addEventListener("change", fold);
  fold();
  const links = all(".headings a");
  const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const mark = () => {
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 120).length;
    links.forEach((link, i) => {
      if (i === passed - 1) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    });
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}

// Search: all words asked for must begin a word of a place. The index is loaded when it is wanted.
const WORDS = /[\p{L}\p{N}_]+(?:[.-][\p{L}\p{N}_]+)*/gu;
const SHOWN = 12;

function setUpSearch() {
  const box = document.querySelector("search");
  if (!box) return;
  const [input, told, list] =
    ["search", "told", "found"].map((id) => document.getElementById(id));
  let index = null; // a promise of it, once it is wanted
  const look = () => {
    const asked = input.value.toLowerCase().match(WORDS) || []; // split as the index's words are
    const begins = (text, word) => ` ${text}`.includes(` ${word}`);
    const title = (place) => asked.filter((word) => begins(place.title.toLowerCase(), word)).length;
    const places = asked.length
      ? window.searchIndex.filter((place) => asked.every((word) => begins(place.words, word)))
      : [];
    places.sort((a, b) => title(b) - title(a));
    list.replaceChildren(...places.slice(0, SHOWN).map((place) => make("li", {},
      make("a", { href: place.link }, place.title,
        ...(place.page ? [make("span", {}, place.page)] : [])))));
    const number = `${places.length || "no"} place${places.length === 1 ? "" : "s"}`;
    const first = places.length > SHOWN ? `the first ${SHOWN} of ` : "";
    told.textContent = asked.length ? first + number : "";
  };
  const load = () => new Promise((resolve, reject) => {
    const script = make("script", { src: "search.js" });
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
  const ask = () => {
    index ||= load();
    index.then(look, () => (told.textContent = "search.js, which belongs beside this page, is missing"));
  };
  input.addEventListener("input", ask);
  addEventListener("keydown", (event) => {
    if (!box.contains(event.target)) return;
    const stops = [input, ...all("a", list)];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      stops[stops.indexOf(event.target) + step]?.focus();
    } else if (event.key === "Escape") {
      input.value = "";
      look();
      input.focus();
    }
  });
  box.hidden = false;
}

// Tables: a click on a heading sorts by its column, up, then down, then as it was.
const FIGURE = /^[+−-]?\d[\d,]*(\.\d+)?(?=%|\s|$)/; // perhaps with an interval behind it

function compare(a, b) {
  if (FIGURE.test(a) && FIGURE.test(b)) {
    const [x, y] = [a, b].map((text) => parseFloat(text.replaceAll("−", "-").replaceAll(",", "")));
    return x - y;
  }
  return a.localeCompare(b, undefined, { numeric: true });
}

function sortRows(rows, column, sign) {
  const text = (row) => row.cells[column].textContent.trim();
  const unknown = (row) => ["", "–"].includes(text(row));
  return [...rows].sort((a, b) =>
    unknown(a) - unknown(b) || (unknown(a) ? 0 : sign * compare(text(a), text(b))));
}

function setUpTables() {
  for (const table of all("main table")) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    if (original.length < 3 || table.tHead?.rows.length !== 1) continue;
    const headings = all("thead th", table);
    headings.forEach((heading, column) => {
      const button = make("button", { type: "button" }, ...heading.childNodes);
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const next = { null: "ascending", ascending: "descending", descending: null };
        const order = next[heading.getAttribute("aria-sort")];
        for (const other of headings) other.removeAttribute("aria-sort");
        if (order) heading.setAttribute("aria-sort", order);
        body.append(...(order ? sortRows(original, column, order === "ascending" ? 1 : -1) : original));
      });
    });
  }
}

// What can be scrolled is a stop for the keyboard; what cannot, is none.
function setUpScrolling() {
  const boxes = all("div.table, .drawn, .highlight pre");
  const look = () => {
    for (const box of boxes) {
      const scrolls = box.scrollWidth > box.clientWidth;
      box.classList.toggle("scrolls", scrolls);
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  new ResizeObserver(look).observe(document.querySelector("main"));
  look();
}

// What a word means, or a link leads to, shows while it is pointed at or focused, and goes with Escape.
function setUpTerms() {
  const wake = () => delete root.dataset.quiet;
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") root.dataset.quiet = "";
  });
  for (const term of all("[data-meaning]")) {
    term.addEventListener("pointerenter", wake);
    term.addEventListener("focus", wake);
  }
}

// A figure can be had as large as the window. It moves there and back: its ids stay its own.
function setUpZoom() {
  const dialog = make("dialog", { "aria-label": "The figure, enlarged" });
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  for (const links of all(".get")) {
    const box = links.closest("figure").querySelector(".drawn");
    const name = `Enlarge ${links.closest("figure").id}`;
    const button = make("button", { type: "button", "aria-label": name }, "Enlarge");
    button.addEventListener("click", () => {
      const drawing = box.firstElementChild;
      dialog.replaceChildren(close, drawing);
      dialog.addEventListener("close", () => box.prepend(drawing), { once: true });
      dialog.showModal();
    });
    links.prepend(button, " ");
  }
}

// What can be handled takes its figure's place. A script beside this one, named by its kind, makes
// the box; `show` draws what is set, which it tells as words for the address, and `restore` takes
// these again.
const LIVE = {};

function setUpLive() {
  for (const source of all("script.live-data")) {
    const figure = source.closest("figure");
    const data = JSON.parse(source.textContent);
    const live = new LIVE[data.kind](data, (words) => {
      const state = new URLSearchParams(words).toString();
      try { history.replaceState(null, "", `#${figure.id}&${state}`); } catch {}
    });
    const restore = () => {
      const [place, state] = location.hash.slice(1).split(/&(.*)/);
      if (place !== figure.id || !state) return;
      live.restore(Object.fromEntries(new URLSearchParams(state)));
      live.show();
      figure.scrollIntoView();
    };
    const drawn = figure.querySelector(".drawn");
    drawn.before(live.box);
    live.show(); // now that it has a width
    drawn.hidden = true;
    restore();
    addEventListener("hashchange", restore);
    addEventListener("resize", () => live.show());
  }
}

// Figures by name, such as those of what is set.
function listFigures(list, figures) {
  list.replaceChildren(...Object.entries(figures).map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

// What is folded is printed all the same, but for the answers to exercises.
function setUpPrinting() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.folded:not([open])");
    for (const box of opened) box.open = true;
  });
  addEventListener("afterprint", () => {
    for (const box of opened) box.open = false;
  });
}
