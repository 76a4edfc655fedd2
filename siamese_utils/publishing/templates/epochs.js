// A training on one map: move through its epochs, and see where each image goes.
LIVE.epochs = class {
  constructor(data, tell) {
    this.data = data;
    // after the first epoch, where there is one: before it all lie in one spot
    this.slider = make("input", { type: "range", min: 0, max: data.epochs.length - 1, step: 1, value: 1 });
    this.choice = make("select", {}, ...["all classes", "seen", "unseen", ...data.classes].map((name, i) =>
      make("option", { value: i }, name)));
    for (const control of [this.slider, this.choice]) {
      control.addEventListener("input", () => this.show());
      control.addEventListener("change", () =>
        tell({ epochs: data.epochs[this.slider.value], classes: this.choice.selectedOptions[0].text }));
    }
    this.dots = data.class.map((which) => this.dot(which));
    this.drawing = make("svg", { role: "img", viewBox: `-30 -30 ${data.grid + 60} ${data.grid + 60}` }, ...this.dots);
    for (const kind of ["pointermove", "pointerdown"]) {
      this.drawing.addEventListener(kind, (event) => this.pick(this.nearest(event)));
    }
    this.image = make("input", { type: "range", min: 0, step: 1, value: 0 }); // the same by keyboard
    this.image.addEventListener("input", () => this.pick(this.shown[this.image.value]));
    this.picture = make("div", { class: "thumbnail", style:
      `background-image: url("${data.sheet}"); background-size: ${100 * data.across}% auto` });
    this.name = make("p", { class: "key", role: "status" }, "Point at a dot to see its image.");
    this.told = make("dl");
    this.box = make("div", { class: "live", role: "group", "aria-label": "The training, epoch by epoch" },
      make("div", { class: "controls" },
        make("label", {}, "Show", this.choice),
        make("label", { class: "slide" }, `Epochs trained: ${data.epochs.join(", ")}`, this.slider)),
      make("div", { class: "map" }, this.drawing,
        make("div", {}, this.told, this.picture, this.name,
          make("label", { class: "slide" }, "Image", this.image), this.legend())));
  }

  // Dots of seen classes are filled, those of unseen ones are rings.
  dot(which) {
    const colour = this.data.colours[which % this.data.colours.length];
    const look = which < this.data.seen ? `fill: ${colour}; fill-opacity: 0.7` : `fill: none; stroke: ${colour}; stroke-width: 4`;
    return make("circle", { r: 9, style: look });
  }

  legend() {
    const entries = this.data.classes.map((name, which) => make("li", {},
      make("svg", { viewBox: "-14 -14 28 28", "aria-hidden": "true" }, this.dot(which)), name));
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

  place(i) {
    const [x, y] = this.data.places[this.slider.value][i];
    return [x, this.data.grid - y];
  }

  show() {
    const { data } = this;
    const moment = Number(this.slider.value);
    const trained = `${data.epochs[moment]} epoch${data.epochs[moment] === 1 ? "" : "s"}`;
    this.shown = data.class.flatMap((which, i) => (this.shows(which) ? [i] : []));
    this.image.max = this.shown.length - 1;
    this.dots.forEach((dot, i) => {
      const [x, y] = this.place(i);
      dot.style.transform = `translate(${x}px, ${y}px)`;
      dot.style.display = this.shows(data.class[i]) ? "" : "none";
    });
    const said = (ratio) => (ratio === null ? "–" : ratio.toFixed(2));
    const figures = { "epochs trained": data.epochs[moment] };
    for (const [name, ratios] of Object.entries(data.ratios)) {
      figures[`${name} classes: variance within them over that between, in all dimensions`] = said(ratios[moment]);
    }
    listFigures(this.told, figures);
    const words = Object.entries(data.ratios).map(([name, ratios]) => `${name} ${said(ratios[moment])}`);
    this.slider.setAttribute("aria-valuetext", `${trained}; variance within over between: ${words.join(", ")}`);
    this.drawing.setAttribute("aria-label", `The embeddings of ${this.shown.length} test images after ${trained}.`);
  }

  // Of the images shown, the one whose dot is nearest to the pointer.
  nearest(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.drawing.getScreenCTM().inverse());
    const far = (i) => Math.hypot(this.place(i)[0] - at.x, this.place(i)[1] - at.y);
    return this.shown.reduce((best, i) => (far(i) < far(best) ? i : best), this.shown[0]);
  }

  // Shows an image: of the sheet the part in its row and column; and which dot is its own.
  pick(i) {
    const { across } = this.data;
    const [column, row] = [i % across, Math.floor(i / across)];
    const rows = Math.ceil(this.dots.length / across);
    this.picture.style.backgroundPosition = `${(100 * column) / (across - 1)}% ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`;
    for (const dot of this.dots) dot.setAttribute("r", dot === this.dots[i] ? 18 : 9);
    this.image.value = this.shown.indexOf(i);
    this.image.setAttribute("aria-valuetext", this.data.classes[this.data.class[i]]);
    this.name.textContent = this.data.classes[this.data.class[i]];
  }
};
