// A training on one map: move through its epochs, and see where each image goes.
const DOTS = ["blue", "vermilion", "green", "purple", "orange", "sky", "grey", "ink", "brown", "indigo"];

LIVE.epochs = class {
  constructor(data, id, tell) {
    this.data = data;
    this.slider = make("input", { type: "range", min: 0, max: data.epochs.length - 1, step: 1, value: 1 });
    this.choice = make("select", {}, ...["all classes", "seen", "unseen", ...data.classes].map((name, i) =>
      make("option", { value: i }, name)));
    for (const control of [this.slider, this.choice]) {
      control.addEventListener("input", () => {
        this.show();
        tell({ epochs: data.epochs[this.slider.value], classes: this.choice.selectedOptions[0].text });
      });
    }
    this.dots = data.class.map((which) => this.dot(which));
    this.drawing = make("svg", { role: "img", viewBox: "-30 -30 1060 1060" }, ...this.dots);
    for (const kind of ["pointermove", "pointerdown"]) {
      this.drawing.addEventListener(kind, (event) => this.point(event));
    }
    this.picture = make("div", { class: "thumbnail", style: `background-image: url("${data.sheet}")` });
    this.name = make("p", { class: "key" }, "Point at a dot to see its image.");
    this.told = make("dl");
    this.box = make("div", { class: "explorer", role: "group", "aria-label": "The training, epoch by epoch" },
      make("div", { class: "controls" },
        make("label", {}, "Show", this.choice),
        make("label", { class: "slide" }, `Epochs trained: ${data.epochs.join(", ")}`, this.slider)),
      make("div", { class: "map" }, this.drawing,
        make("div", {}, this.told, this.picture, this.name, this.legend())));
  }

  // Dots of seen classes are filled, those of unseen ones are rings.
  dot(which) {
    const colour = `var(--fig-${DOTS[which % DOTS.length]})`;
    const look = which < this.data.seen ? `fill: ${colour}; fill-opacity: 0.7` : `fill: none; stroke: ${colour}; stroke-width: 4`;
    return make("circle", { r: 9, style: look });
  }

  legend() {
    const entries = this.data.classes.map((name, which) => make("li", {},
      make("svg", { viewBox: "-14 -14 28 28", "aria-hidden": "true" }, this.dot(which)),
      which < this.data.seen ? name : `${name} (unseen)`));
    return make("ul", { class: "legend" }, ...entries);
  }

  shows(which) {
    const chosen = Number(this.choice.value);
    const seen = which < this.data.seen;
    return chosen < 3 ? [true, seen, !seen][chosen] : which === chosen - 3;
  }

  restore({ epochs, classes }) {
    const moment = this.data.epochs.indexOf(Number(epochs));
    if (moment >= 0) this.slider.value = moment;
    const names = [...this.choice.options].map((option) => option.text);
    if (names.includes(classes)) this.choice.value = names.indexOf(classes);
  }

  show() {
    const { data } = this;
    const moment = Number(this.slider.value);
    const trained = `${data.epochs[moment]} epoch${data.epochs[moment] === 1 ? "" : "s"}`;
    this.dots.forEach((dot, i) => {
      const [x, y] = data.places[moment][i];
      dot.style.transform = `translate(${x}px, ${1000 - y}px)`;
      dot.style.display = this.shows(data.class[i]) ? "" : "none";
    });
    const figures = { "epochs trained": data.epochs[moment] };
    for (const [name, ratios] of Object.entries(data.ratios)) {
      figures[`variance within ${name} classes over that between them`] = this.said(ratios[moment]);
    }
    this.told.replaceChildren(...Object.entries(figures).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    const words = Object.entries(data.ratios).map(([name, ratios]) => `${name} ${this.said(ratios[moment])}`);
    this.slider.setAttribute("aria-valuetext", `${trained}; variance within over between: ${words.join(", ")}`);
    this.drawing.setAttribute("aria-label", `The embeddings of ${data.class.length} test images after ${trained}.`);
  }

  said(ratio) { return ratio === null ? "–" : ratio.toFixed(2); }

  // Shows the image nearest to the pointer.
  point(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.drawing.getScreenCTM().inverse());
    const far = this.data.places[this.slider.value].map(([x, y], i) =>
      this.shows(this.data.class[i]) ? Math.hypot(x - at.x, 1000 - y - at.y) : Infinity);
    const nearest = far.indexOf(Math.min(...far));
    const { across } = this.data;
    const [column, row] = [nearest % across, Math.floor(nearest / across)];
    const rows = Math.ceil(far.length / across);
    // of a sheet as wide as so many thumbnails, the part in this row and column
    this.picture.style.backgroundSize = `${100 * across}% auto`;
    this.picture.style.backgroundPosition = `${(100 * column) / (across - 1)}% ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`;
    const which = this.data.class[nearest];
    this.name.textContent = `${this.data.classes[which]}${which < this.data.seen ? "" : " (unseen)"}`;
  }
};
