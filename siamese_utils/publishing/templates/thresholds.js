// The threshold explorer: move the threshold of each network, and see what it accepts.
LIVE.thresholds = class {
  constructor(data, tell) {
    this.tell = tell;
    const looks = [{ colour: "var(--fig-green)", dash: "none" }, { colour: "var(--fig-indigo)", dash: "6 3" }];
    this.networks = data.networks.map((network, i) =>
      new JudgedPairs(network, data.reach, looks[i % looks.length], () => this.show(), () => this.say()));
    this.set = make("select", {}, ...data.sets.map((name) => make("option", { value: name }, name)));
    this.set.value = "all";
    this.set.addEventListener("change", () => this.change());
    const rule = (name, pick) => {
      const button = make("button", { type: "button" }, name);
      button.addEventListener("click", () => {
        for (const network of this.networks) network.threshold = pick(network.data);
        this.change();
      });
      return button;
    };
    this.roc = make("svg", { role: "img", viewBox: "-34 -8 246 244" });
    this.told = make("p", { class: "told", role: "status" });
    this.box = make("div", { class: "live", role: "group", "aria-label": "Threshold explorer" },
      ...(data.task ? [make("p", { class: "task" }, data.task)] : []),
      make("div", { class: "controls" },
        make("label", {}, "Set of pairs", this.set),
        rule("0.5", () => 0.5), rule("half the margin", ({ margin }) => margin / 2),
        rule("tuned", ({ tuned }) => tuned)),
      make("div", { class: "networks" }, ...this.networks.map((network) => network.box),
        make("div", { class: "roc" }, this.roc)),
      this.told,
      make("p", { class: "key" },
        "Pairs by distance D. Filled: positive (same) pairs; dashed outline: negative (different) pairs; a bar's height is the square root of its share. Then each threshold's place on its ROC curve. All are means over the seeds."));
  }

  change() {
    this.show();
    this.say();
  }

  say() {
    this.tell({ set: this.set.value, at: this.networks.map(({ threshold }) => threshold.toFixed(3)).join(" ") });
  }

  // words: as they were told; what they say of no set or network is left as it is.
  restore({ set, at }) {
    if ([...this.set.options].some(({ value }) => value === set)) this.set.value = set;
    (at || "").split(" ").forEach((text, i) => {
      if (this.networks[i] && Number.isFinite(parseFloat(text))) this.networks[i].threshold = parseFloat(text);
    });
  }

  show() {
    const set = this.set.value;
    for (const network of this.networks) network.show(set);
    if (this.networks.length === 2) {
      const [first, second] = this.networks;
      const gap = (100 * (second.accuracy - first.accuracy)).toFixed(2).replace("-", "−");
      this.told.textContent = `${second.data.name} minus ${first.data.name}: ${gap} points of accuracy`;
    }
    this.drawRoc(set);
  }

  drawRoc(set) {
    const size = 200;
    const place = (x, y) => [size * x, size * (1 - y)];
    const parts = this.networks.flatMap(({ data, look, falseAccepts, trueAccepts }) => {
      const line = data.same[set].map((share, i) => place(data.different[set][i], share).join(",")).join("L");
      const [cx, cy] = place(falseAccepts, trueAccepts);
      return [
        make("path", { d: `M${line}L${place(1, 1)}`, style: `fill: none; stroke: ${look.colour}; stroke-width: 2`,
          "stroke-dasharray": look.dash }),
        make("circle", { cx, cy, r: 6, style: `fill: ${look.colour}; stroke: var(--back); stroke-width: 2` }),
      ];
    });
    const text = (x, y, words, more = {}) => make("text", { x, y, "text-anchor": "middle", ...more }, words);
    this.roc.replaceChildren(
      make("path", { d: `M0,0V${size}H${size}`, style: "fill: none; stroke: var(--edge)" }),
      make("path", { d: `M0,${size}L${size},0`, style: "fill: none; stroke: var(--edge); stroke-dasharray: 1 4" }),
      ...parts,
      text(size / 2, size + 28, "negative pairs accepted"),
      text(0, 0, "positive pairs accepted", { transform: `translate(-20 ${size / 2}) rotate(-90)` }),
      text(0, size + 14, "0"), text(size, size + 14, "1"));
    this.roc.setAttribute("aria-label", `ROC curves. ${this.networks.map(({ data, falseAccepts, trueAccepts }) =>
      `${data.name}: at its threshold ${percent(trueAccepts)} of same pairs and ${percent(falseAccepts)} of different ones are accepted`).join("; ")}.`);
  }
};

const percent = (share) => `${(100 * share).toFixed(2)} %`;

// One network of the explorer: its pairs by distance, its threshold, and what that makes of them.
class JudgedPairs {
  constructor(data, reach, look, moved, chosen) {
    Object.assign(this, { data, look });
    this.end = reach * data.margin;
    this.slider = make("input", { type: "range", min: 0, max: this.end, step: this.end / 600 });
    this.slider.addEventListener("input", () => {
      this.threshold = Number(this.slider.value);
      moved();
    });
    this.slider.addEventListener("change", chosen);
    this.drawing = make("svg", { role: "img" });
    this.told = make("dl");
    this.box = make("div", { role: "group", "aria-label": data.name },
      make("p", {}, make("strong", { style: `border-bottom: 3px solid ${look.colour}` }, data.name)),
      this.drawing, make("label", { class: "slide" }, "Threshold", this.slider), this.told);
    this.threshold = 0.5;
  }

  // Kept beside the slider, which has steps.
  get threshold() { return this.exact; }

  set threshold(value) {
    this.exact = Math.min(Math.max(value, 0), this.end);
    this.slider.value = this.exact;
  }

  // The share of pairs that the threshold accepts, between two of those counted.
  accepted(shares) {
    const at = (this.threshold / this.end) * (shares.length - 1);
    const below = Math.floor(at);
    const above = Math.min(below + 1, shares.length - 1);
    return shares[below] + (at - below) * (shares[above] - shares[below]);
  }

  show(set) {
    const [same, different] = [this.data.same[set], this.data.different[set]];
    this.trueAccepts = this.accepted(same);
    this.falseAccepts = this.accepted(different);
    this.accuracy = (this.trueAccepts + 1 - this.falseAccepts) / 2;
    const figures = {
      "threshold": this.threshold.toFixed(3),
      "accuracy": percent(this.accuracy),
      "negative pairs accepted": percent(this.falseAccepts),
      "positive pairs rejected": percent(1 - this.trueAccepts),
    };
    const words = `threshold ${figures.threshold}, accuracy ${figures.accuracy}`;
    this.slider.setAttribute("aria-valuetext", words);
    listFigures(this.told, figures);
    this.drawing.setAttribute("aria-label", `Shares of same and different pairs by distance; ${words}.`);
    this.draw(same, different);
  }

  draw(same, different) {
    const width = Math.max(220, this.drawing.clientWidth || 300); // so that its words keep their size
    this.drawing.setAttribute("viewBox", `0 0 ${width} 172`);
    const [left, right, top, bottom] = [8, width - 8, 24, 150]; // the slider's knob is as far in
    const last = same.length - 1;
    const x = (share) => left + (right - left) * share;
    const bars = (shares) => shares.slice(1).map((share, i) => share - shares[i]);
    // a root scale: most pairs crowd at few distances, and the tails are what a threshold cuts
    const highest = Math.max(...bars(same), ...bars(different));
    const y = (share) => bottom - (bottom - top) * Math.sqrt(Math.max(share, 0) / highest);
    const outline = (shares) => bars(shares).map((share, i) => `H${x(i / last)}V${y(share)}H${x((i + 1) / last)}`).join("");
    const path = (shares, style) => make("path", { d: `M${left},${bottom}${outline(shares)}V${bottom}`, style });
    const label = (place, height, text, anchor = "middle") =>
      make("text", { x: place, y: height, "text-anchor": anchor }, text);
    const { margin } = this.data;
    const ticks = [0, margin / 2, margin].map((at) =>
      label(x(at / this.end), bottom + 16, at.toString(), at ? "middle" : "start"));
    const at = x(this.threshold / this.end);
    this.drawing.replaceChildren(
      path(same, "fill: var(--fig-blue); fill-opacity: 0.45; stroke: var(--fig-blue)"),
      path(different, "fill: none; stroke: var(--fig-vermilion); stroke-width: 2; stroke-dasharray: 5 2"),
      make("line", { x1: left, x2: right, y1: bottom, y2: bottom, style: "stroke: var(--edge)" }),
      make("line", { x1: at, x2: at, y1: top - 6, y2: bottom, style: "stroke: var(--text); stroke-width: 2" }),
      ...(at - left > 50 ? [label(at - 6, 12, "◀ same", "end")] : []),
      ...(right - at > 75 ? [label(at + 6, 12, "different ▶", "start")] : []),
      ...ticks);
  }
}
